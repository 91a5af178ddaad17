#!/usr/bin/env python3
"""Several hosts: servers and workers in network namespaces of their own, joined by wires that are slow and lose
packets."""
import subprocess

from deployment import Deployment
from harness import ALL, LEVEL, NORMAL, QUICK
from spaces import TOOLS, Space
from subject import Faults, main

HOSTS = ["coordinator", "rendezvous-0", "rendezvous-1", "submitter", "worker"]


class Hosts(Faults):
    def wired(self, delay, loss):
        """A place for each host."""
        spaces = {name: Space(self, "net") for name in HOSTS}
        address = {name: f"10.77.0.{number + 1}" for number, name in enumerate(HOSTS)}
        ends = [f"/proc/{spaces[name].holder.pid}/ns/net={address[name]}" for name in HOSTS]
        wires = subprocess.Popen([TOOLS / "wires", str(delay), str(loss), "1", *ends], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def end():
            wires.communicate()
        self.addCleanup(end)
        if wires.stdout.readline() != "ready\n":
            self.skipTest(f"no wires between namespaces: {wires.stderr.read().strip()}")
        return {name: (spaces[name].prefix, address[name]) for name in HOSTS}

    def test_slow_wires_that_lose_packets(self):
        """20 ms and 1 % each way."""
        for workers, rendezvous in {QUICK: [], NORMAL: [(4, 2)], ALL: [(1, 1), (4, 1), (4, 2), (12, 2)]}[LEVEL]:
            with self.subTest(workers=workers, rendezvous=rendezvous):
                self.assert_film(self.job(kind=Deployment, workers=workers, rendezvous=rendezvous,
                                          places=self.wired(20, 1)).start())


if __name__ == "__main__":
    main()
