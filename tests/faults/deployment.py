"""A job that a long-lived coordinator runs, with rendezvous of their own: each a process that can be killed
and started again."""
import re
import subprocess

from harness import EXCAMERA, excamera, wait_until
from subject import JOB, LAUNCH, Job, quote


class Server:
    """A server that says at which port it listens, and listens there again when it is started again."""

    def __init__(self, name, folder, arguments, host="127.0.0.1", prefix=()):
        self.name, self.folder, self.host = name, folder, host
        self.arguments, self.prefix = list(arguments), list(prefix)
        self.port, self.starts, self.process = 0, 0, None

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def said(self):
        return self.folder / f"{self.name}-said-{self.starts}"

    def start(self, *more):
        self.starts += 1
        command = [*self.prefix, EXCAMERA, *self.arguments, "--listen", self.address, "-v", *more]
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                            stdout=said, stderr=said)
        wait_until(lambda: self.process.poll() is not None or self.listening())
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} did not start\n{self.said.read_text()}")
        self.port = int(self.listening()[1])

    def listening(self):
        return re.search(r"listening on port (\d+)", self.said.read_text(errors="replace"))

    def kill(self):
        self.process.kill()
        self.process.wait()


class Deployment(Job):
    """`host` gives for a server's name ("coordinator", "rendezvous-0") or "submitter" or a worker's part of a
    launch ("worker") what its commands are started by, and at which address it is."""

    ends_workers = False

    def __init__(self, folder, clip, rendezvous=1, places=None, **more):
        super().__init__(folder, clip, **more)
        self.places = places or {}
        self.keys = self.folder / "keys"
        hosts = sorted({self.host(name) for name in ["coordinator", *self.names(rendezvous)]} - {"127.0.0.1"})
        excamera("keys", "init", self.keys, *(word for host in hosts for word in ("--host", host)))
        self.rendezvous = [
            self.server(name, "rendezvous", "--credentials", self.keys / "rendezvous.pem")
            for name in self.names(rendezvous)]
        self.coordinator = self.server("coordinator", "coordinator", "--keys", self.keys, "--state",
                                       self.folder / "state", "--scratch", self.make("scratch"))

    @staticmethod
    def names(count):
        return [f"rendezvous-{number}" for number in range(count)]

    def make(self, name):
        (self.folder / name).mkdir()
        return self.folder / name

    def prefix_of(self, name):
        return self.places[name][0] if name in self.places else []

    def host(self, name):
        return self.places[name][1] if name in self.places else "127.0.0.1"

    def server(self, name, *arguments):
        return Server(name, self.folder, arguments, self.host(name), self.prefix_of(name))

    # ---- Starting --------------------------------------------------------------------------------

    def start_coordinator(self):
        self.starts += 1
        self.trace = self.folder / f"trace-{self.starts}"
        self.processes = self.make(f"workers-{self.starts}")
        launch = [LAUNCH, self.processes, "{worker}", *self.prefix_of("worker"), *self.worker_prefix, EXCAMERA,
                  "worker", "--invocation", "-"]
        places = [word for one in self.rendezvous for word in ("--rendezvous", one.address)]
        self.coordinator.start("--workers", self.workers, "--trace", self.trace, "--engine", "command",
                               "--engine-opt", "command=" + " ".join(map(quote, launch)), *places,
                               "--rendezvous-patience", "2", *self.options)

    def start(self):
        for one in self.rendezvous:
            one.start()
        self.start_coordinator()
        self.said = self.folder / "said"
        command = [*self.prefix_of("submitter"), EXCAMERA, "run", JOB, *self.choices(), "--store", self.store,
                   "--coordinator", self.coordinator.address, "--keys", self.keys, "--workers", self.workers]
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                            stdout=said, stderr=said)
        return self

    def end(self):
        for server in [self.coordinator, *self.rendezvous]:
            if server.process is not None:
                server.kill()
        super().end()

    def coordinator_pid(self):
        return self.coordinator.process.pid

    def kill_coordinator(self):
        self.coordinator.kill()

    def tail(self):
        servers = [f"{one.name}:\n" + "\n".join(one.said.read_text(errors="replace").splitlines()[-12:])
                   for one in [self.coordinator, *self.rendezvous] if one.starts]
        return "\n".join([super().tail(), *servers])
