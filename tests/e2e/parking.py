#!/usr/bin/env python3
"""Actors that wait for a message while their workers are full: they are parked in the store, and go on with
their files as they were."""
import json
import pathlib
import signal
import subprocess
import time

from harness import EXCAMERA, Case, excamera, main

# Each makes files of its own, waits for the one behind it, and adds both up: all wait for the last one.
CHAIN = {
    "format": 1, "job": "chain", "variables": {"links": 10, "output": "sum.txt", "pause": 0},
    "outputs": [{"file": "${output}", "key": "sum"}],
    "actors": [{"family": "link", "count": "${links}"}],
    "machine": {
        "start": "make",
        "states": {
            "make": {"run": {"argv": ["sh", "-euc", "mkdir own; echo ${index} >own/number; "
                                      "ln -s own/number same; echo 'echo 0' >zero; chmod +x zero"]},
                     "on": {"ok": [{"if": {"variable": "next", "is": ""}, "to": "last"},
                                   {"to": "wait"}]}},
            "last": {"run": {"argv": ["sh", "-euc", "sleep ${pause}; sh ./zero >sum-behind"]},
                     "on": {"ok": "add"}},
            "wait": {"receive": {"from": "${next}", "name": "sum", "file": "sum-behind"},
                     "on": {"ok": "add"}},
            "add": {"run": {"argv": ["sh", "-euc",
                                     "test -x zero; echo $$(($$(cat sum-behind) + $$(cat same))) >sum"]},
                    "on": {"ok": [{"if": {"variable": "previous", "is": ""}, "to": "deliver"},
                                  {"to": "hand-over"}]}},
            "hand-over": {"send": {"to": "${previous}", "name": "sum", "file": "sum"},
                          "on": {"ok": "done"}},
            "deliver": {"put": {"file": "sum", "key": "sum"}, "on": {"ok": "done"}},
            "done": {"quit": {}}}}}


class Parking(Case):
    def setUp(self):
        super().setUp()
        self.job = self.folder / "chain.json"
        self.job.write_text(json.dumps(CHAIN))
        self.output = self.folder / "sum.txt"
        self.store = self.folder / "store"

    def arguments(self, links, *options):
        return ["run", self.job, f"links={links}", f"output={self.output}", "--store", self.store,
                *options]

    def lines(self, trace, **having):
        lines = [json.loads(line) for line in trace.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if all(line[name] == value for name, value in having.items())]

    def assert_sum(self, links):
        self.assertEqual(int(self.output.read_text()), links * (links - 1) // 2)

    def test_more_actors_than_places(self):
        links, trace = 160, self.folder / "trace"
        excamera(*self.arguments(links, "pause=2", "--workers", 2, "--window", links, "--trace", trace),
                 timeout=240)
        self.assert_sum(links)
        self.assertGreater(len(self.lines(trace, outcome="parked")), 0)
        self.assertEqual(len(self.lines(trace, kind="quit", outcome="ok")), links)
        # What was parked is gone.
        self.assertEqual([path for path in pathlib.Path(self.store).rglob("*.attempt-*")
                          if path.parent.name == "parked"], [])

    def test_a_coordinator_goes_on_with_what_was_parked(self):
        links, first, second = 160, self.folder / "first", self.folder / "second"
        words = self.arguments(links, "--workers", 2, "--window", links, "pause=3", "--trace", first)
        process = subprocess.Popen([str(word) for word in (EXCAMERA, *words)], stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while not first.exists() or len(self.lines(first, outcome="parked")) < 10:
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        words[words.index(first)] = second
        excamera(*words, timeout=240)
        self.assert_sum(links)
        # Those that were parked have not made their files again.
        parked = {line["actor"] for line in self.lines(first, outcome="parked")}
        again = {line["actor"] for line in self.lines(second, state="make", outcome="ok")}
        self.assertLess(len(parked & again), len(parked))
        self.assertEqual(len(self.lines(second, kind="quit", outcome="ok")) +
                         len(self.lines(first, kind="quit", outcome="ok")), links)


if __name__ == "__main__":
    main()
