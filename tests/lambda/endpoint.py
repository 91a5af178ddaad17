"""Programs that others made for Lambda: an Invoke endpoint (serverless-offline) in front of native bootstraps
(fun). From npm, 280 MB, into a cache folder the first time."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import unittest
import urllib.request

from harness import wait_until
from service import Service

FILES = pathlib.Path(__file__).with_name("endpoint")
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "excamera/lambda-endpoint"
INSTALL_SECONDS = 600


def install():
    """The folder of npm's packages; a skipped test where they cannot be had."""
    if not shutil.which("npm"):
        raise unittest.SkipTest("no npm, which brings the Lambda endpoint")
    done = CACHE / "done"
    if done.exists() and done.read_text() == (FILES / "package.json").read_text():
        return CACHE / "node_modules"
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir(parents=True)
    shutil.copy(FILES / "package.json", CACHE)
    said = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=CACHE, check=False,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    if said.returncode != 0:
        raise unittest.SkipTest(f"npm cannot install the Lambda endpoint: {said.stderr.strip()[-300:]}")
    shutil.copy(FILES / "package.json", done)
    return CACHE / "node_modules"


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Endpoint:
    """The real one, in a folder that it makes; for close(). It checks no signatures."""

    def __init__(self, folder, bootstrap):
        modules = install()
        self.folder = folder
        shutil.copytree(FILES, self.folder)
        (self.folder / "node_modules").symlink_to(modules)
        (self.folder / "task").mkdir()
        (self.folder / "task/bootstrap").symlink_to(bootstrap)  # the program finds what lies beside it
        http_port, self.port = free_ports(2)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["node", "node_modules/serverless/bin/serverless.js", "offline", "start"], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**kept, "SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off", "CI": "1",
                     "AWS_ACCESS_KEY_ID": "role", "AWS_SECRET_ACCESS_KEY": "role-secret",
                     "HTTP_PORT": str(http_port), "LAMBDA_PORT": str(self.port)})
        try:
            wait_until(self.answers, 120)
        except BaseException:
            self.close()
            raise

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text())
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def processes(self):
        """Of its session: itself and its instances."""
        return [int(line) for line in subprocess.run(["ps", "-o", "pid=", "-s", str(self.process.pid)], check=False,
                                                     capture_output=True, text=True).stdout.split()]

    def instances(self):
        return [pid for pid in self.processes()
                if b"bootstrap" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]

    def close(self):
        """Idle instances are stopped processes, which heed no other signal."""
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()


class Front(Service):
    """The tests' own Invoke API, with its checks and fates, in front of the real endpoint's instances."""

    def __init__(self, case, endpoint, **more):
        super().__init__(case, None, **more)
        self.endpoint = endpoint

    def run(self, invocation):
        def pass_on():
            request = urllib.request.Request(
                f"{self.endpoint.url}/2015-03-31/functions/worker/invocations", invocation.event,
                {"X-Amz-Invocation-Type": "Event", "Content-Type": "application/json"})
            urllib.request.urlopen(request, timeout=120).close()
        threading.Thread(target=pass_on, daemon=True).start()
