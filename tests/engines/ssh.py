#!/usr/bin/env python3
"""Workers that a real SSH server starts, by the engine for commands of any kind."""
import json
import os
import pathlib
import shutil
import signal
import subprocess

from harness import EXCAMERA, Case, children, excamera, main, make_clip, run, wait_until
from slurm_cluster import free_ports

SSHD = pathlib.Path("/usr/sbin/sshd")

SERVER = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
"""
CLIENT = """
Host east west
    HostName 127.0.0.1
    Port {port}
Host nowhere
    HostName 127.0.0.1
    Port {closed}
Host *
    IdentityFile {folder}/user_key
    UserKnownHostsFile {folder}/known_hosts
    StrictHostKeyChecking accept-new
    BatchMode yes
    LogLevel ERROR
"""


class Ssh(Case):
    def setUp(self):
        super().setUp()
        if not SSHD.exists() or shutil.which("ssh") is None:
            self.skipTest("no sshd: install openssh-server")
        port, closed = free_ports(2)
        for name in ("host_key", "user_key"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name)
        for name, text in (("server", SERVER), ("client", CLIENT)):
            (self.folder / name).write_text(text.format(port=port, closed=closed, folder=self.folder))
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(exist_ok=True)
        self.server = subprocess.Popen([SSHD, "-D", "-e", "-f", self.folder / "server"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=open(self.folder / "said", "wb"))
        self.addCleanup(self.stop)
        wait_until(lambda: "Server listening" in (self.folder / "said").read_text() or self.server.poll())
        self.trace = self.folder / "trace"
        self.clip = make_clip(self.folder / "clip.mkv", "176x144", 48)
        self.settings = ["-N", 3, "-x", 4, "-q", 30, "-Q"]
        self.here, self.there = self.folder / "here.webm", self.folder / "there.webm"

    def stop(self):
        self.server.terminate()
        self.server.wait()

    def engine(self, hosts, *options):
        command = f"command=ssh -F {self.folder}/client {{host}} {EXCAMERA} worker --invocation -"
        words = [command, f"hosts={hosts}", *options]
        return ["--engine", "command", *(word for option in words for word in ("--engine-opt", option))]

    def workers(self):
        """Those that have run something."""
        if not self.trace.exists():
            return set()
        lines = [json.loads(line) for line in self.trace.read_text().splitlines() if line.endswith("}")]
        return {line["worker"] for line in lines if line["kind"] == "run"}

    def check(self):
        excamera("encode", self.clip, "-o", self.here, *self.settings)
        self.assertEqual(self.here.read_bytes(), self.there.read_bytes())

    def test_connections_that_are_cut(self):
        words = [EXCAMERA, "encode", self.clip, "-o", self.there, *self.settings, "--workers", 4,
                 "--trace", self.trace, *self.engine("east,west", "per_host=2")]
        process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_until(lambda: len(self.workers()) >= 2, 60)
        connections = [pid for pid in children(process.pid)
                       if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "ssh"]
        os.kill(connections[0], signal.SIGKILL)
        self.assertEqual(process.wait(timeout=120), 0)
        self.check()

    def test_host_that_is_away(self):
        excamera("encode", self.clip, "-o", self.there, *self.settings, "--workers", 2,
                 *self.engine("nowhere,west"))
        self.check()


if __name__ == "__main__":
    main()
