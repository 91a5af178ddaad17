#!/usr/bin/env python3
"""`excamera coordinator` and those who hand in jobs: several jobs at once, detached from and attached to
again, cancelled, cleaned; servers that are killed and started again."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

import collect
from harness import EXCAMERA, NORMAL, ROOT, Case, excamera, main, make_clip, read_line, wait_until

# Parts that take a while, and one who collects them.
COLLECT = {
    "format": 1, "job": "collect",
    "variables": {"parts": 12, "seconds": 0, "input": "", "output": "sum.txt"},
    "inputs": [{"file": "${input}", "key": "word"}],
    "outputs": [{"file": "${output}", "key": "sum"}],
    "actors": [{"name": "collect"}, {"family": "part", "count": "${parts}"}],
    "machine": {
        "start": [{"if": {"variable": "actor", "is": "collect"}, "to": "gather"}, {"to": "fetch"}],
        "states": {
            "fetch": {"get": {"key": "word", "file": "word"}, "on": {"ok": "work"}},
            "work": {"run": {"argv": ["sh", "-c",
                                      "sleep ${seconds}.1; echo $$(cat word) ${index} >part"]},
                     "on": {"ok": "hand-in"}},
            **collect.STATES}}}


class Server:
    """A server process of the deployment, which can be killed and started again at its port."""

    def __init__(self, case, name, *options, environment=None):
        self.case, self.name, self.options, self.port, self.process = case, name, options, 0, None
        self.environment = environment
        self.log = case.folder / f"{name}-{id(self)}.log"
        case.addCleanup(self.kill)

    def start(self, *more):
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [EXCAMERA, self.name, "--listen", f"127.0.0.1:{self.port}", "-v",
                 *map(str, self.options + more)], stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment)
        line = self.process.stdout.readline()
        self.case.assertRegex(line, r"^listening on port \d+\n$", self.log.read_text())
        self.port = int(re.search(r"\d+", line)[0])
        return self

    def kill(self, number=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(timeout=60)
        if self.process:
            self.process.stdout.close()
        return self.process and self.process.returncode

    @property
    def place(self):
        return f"127.0.0.1:{self.port}"


class Coordinator(Case):
    def setUp(self):
        super().setUp()
        self.keys, self.store = self.folder / "keys", self.folder / "store"
        excamera("keys", "init", self.keys)
        self.job, self.word = self.folder / "collect.json", self.folder / "word"
        self.job.write_text(json.dumps(COLLECT))
        self.word.write_text("word\n")
        self.trace = self.folder / "trace"
        self.server = None

    def tearDown(self):
        if self.server:
            self.server.kill()
        super().tearDown()

    def start(self, *options):
        self.server = Server(self, "coordinator", "--keys", self.keys, "--state",
                             self.folder / "state", "--scratch", self.folder, "--trace", self.trace,
                             *options).start()
        return self.server

    def access(self):
        return "--coordinator", self.server.place, "--keys", self.keys

    def hand_in(self, output, *words, job=None):
        files = [f"input={self.word}", f"output={output}"] if output else []
        return subprocess.Popen(
            [EXCAMERA, "run", *map(str, (job or self.job, *files, "--store", self.store,
                                         *self.access(), *words))],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def id_of(self, process):
        line = read_line(process.stderr)
        self.assertRegex(line, r"^excamera run: the job is handed in as [\w.-]+\n$")
        return line.split()[-1]

    def jobs(self):
        """State by id."""
        listing = excamera("jobs", *self.access(), text=True).stdout
        return {line.split()[0]: line.split()[1] for line in listing.splitlines()
                if line and not line.startswith(" ")}

    def check(self, output, parts=12):
        self.assertEqual(output.read_text(), "".join(f"word {n}\n" for n in range(parts)))

    def done(self, process, status=0):
        said = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, status, said + self.server.log.read_text())
        return said

    def lines(self, **having):
        lines = [json.loads(line) for line in self.trace.read_text().splitlines()]
        return [line for line in lines if all(line[name] == value for name, value in having.items())]

    def test_several_jobs(self):
        self.start("--workers", 3)
        outputs = [self.folder / f"sum-{number}" for number in range(4)]
        runs = [self.hand_in(output) for output in outputs]
        for run, output in zip(runs, outputs):
            self.done(run)
            self.check(output)
        self.assertEqual(list(self.jobs().values()), ["done"] * 4)
        self.assertEqual(len(list(self.store.iterdir())), 4)
        excamera("clean", *self.access())
        self.assertEqual(self.jobs(), {})
        self.assertEqual(list(self.store.iterdir()), [])
        self.assertEqual(list((self.folder / "state" / "jobs").iterdir()), [])
        self.assertEqual(self.server.kill(signal.SIGTERM), 0)

    def test_fairness(self):
        self.start("--workers", 4)
        long = self.hand_in(self.folder / "long", "parts=300")
        wait_until(lambda: len(self.lines(kind="run")) > 4)
        short = self.hand_in(self.folder / "short", "parts=8")
        self.done(short)
        self.check(self.folder / "short", 8)
        self.assertIsNone(long.poll(), "the job that came first was done first")
        long.send_signal(signal.SIGINT)
        self.done(long, 1)
        for job, state in self.jobs().items():
            if state == "running":
                excamera("cancel", job, *self.access())

    def test_detach_and_attach(self):
        self.start("--workers", 2)
        run = self.hand_in(self.folder / "sum", "parts=30")
        job = self.id_of(run)
        wait_until(lambda: self.jobs()[job] == "running")
        run.send_signal(signal.SIGINT)
        self.assertIn(f"watch {job}", self.done(run, 1))
        self.assertFalse((self.folder / "sum").exists())
        watches = [subprocess.Popen([EXCAMERA, "watch", job, *map(str, self.access())],
                                    stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for watch in watches:
            self.done(watch)
        self.check(self.folder / "sum", 30)
        os.remove(self.folder / "sum")
        excamera("watch", job, *self.access())
        self.check(self.folder / "sum", 30)

    def test_cancel(self):
        self.start("--workers", 2)
        run = self.hand_in(self.folder / "sum", "seconds=600")
        job = self.id_of(run)
        wait_until(lambda: self.jobs()[job] == "running")
        excamera("clean", job, *self.access())
        self.assertEqual(self.jobs()[job], "running")
        excamera("cancel", job, *self.access())
        self.assertIn("cancelled", self.done(run, 1))
        wait_until(lambda: self.jobs()[job] == "cancelled")
        excamera("clean", job, *self.access())
        self.assertEqual(self.jobs(), {})

    def test_failures(self):
        self.start("--workers", 2)
        failing = json.loads(json.dumps(COLLECT))
        failing["machine"]["states"]["work"]["run"]["argv"] = ["sh", "-c", "echo no way >&2; exit 3"]
        path = self.folder / "failing.json"
        path.write_text(json.dumps(failing))
        run = self.hand_in(self.folder / "sum", job=path)
        job = self.id_of(run)
        self.assertIn("no way", self.done(run, 1))
        self.assertEqual(self.jobs(), {job: "failed"})
        self.assertIn("no way", excamera("watch", job, *self.access(), expect=1).stderr)
        self.assertIn("no such job", excamera("watch", "none", *self.access(), expect=1).stderr)
        self.word.unlink()
        run = self.hand_in(self.folder / "sum")
        job = self.id_of(run)
        self.assertIn("word", self.done(run, 1))
        self.assertEqual(self.jobs()[job], "cancelled")
        other = self.folder / "other"
        excamera("keys", "init", other)
        excamera("jobs", "--coordinator", self.server.place, "--keys", other, expect=1)
        for words in (["jobs"], ["watch", *self.access()], ["cancel", *self.access()],
                      ["coordinator", "--keys", self.keys]):
            excamera(*words, expect=2)

    def test_limits(self):
        self.need(NORMAL)
        self.start("--workers", 2, "--price", "0.5")
        run = self.hand_in(self.folder / "sum", "seconds=600", "--time", "1.5")
        self.assertIn("limit of 1.5 seconds", self.done(run, 1))
        run = self.hand_in(self.folder / "sum", "seconds=600", "--cost", "1")
        self.assertIn("limit of cost, 1", self.done(run, 1))
        run = self.hand_in(self.folder / "sum", "parts=4", "--cost", "1000")
        self.assertRegex(self.done(run), "the job has cost 0?[.]?[0-9]+")

    def go_on(self, end):
        self.start("--workers", 2)
        run = self.hand_in(self.folder / "sum", "parts=40")
        job = self.id_of(run)
        wait_until(lambda: len(self.lines(kind="quit", outcome="ok")) >= 10)
        end(self.server)
        made = [line["actor"] for line in self.lines(kind="quit", outcome="ok")]
        self.server.start()
        self.done(run)
        self.check(self.folder / "sum", 40)
        self.assertEqual(self.jobs(), {job: "done"})
        again = [line["actor"] for line in self.lines(kind="quit", outcome="ok")]
        # What the coordinator was told of as done may not have been safe yet at its very end.
        self.assertLess(len(again) - 41, len(made) // 2)

    def test_killed_and_started_again(self):
        self.go_on(lambda server: server.kill())

    def test_ended_and_started_again(self):
        self.need(NORMAL)
        self.go_on(lambda server: self.assertEqual(server.kill(signal.SIGTERM), 0))
        # Who gathers the parts was parked at the point where it waited for one.
        self.assertTrue(self.lines(actor="collect", kind="run", outcome="parked"))

    def test_long_journal(self):
        # What members that are done were told is left out when the journal has grown.
        self.need(NORMAL)
        self.start("--workers", 2, "--slots", 4)
        run = self.hand_in("", "members=1400", "rounds=1", job=ROOT / "examples/ring.json")
        job = self.id_of(run)
        journal = self.folder / "state" / "jobs" / job / "journal"
        wait_until(lambda: len(self.lines(kind="quit", outcome="ok")) >= 1350, 120)
        self.server.kill()
        self.assertLess(journal.read_bytes().count(b'"from"'), 700)
        self.server.start()
        self.done(run)
        self.assertLess(len(self.lines(kind="quit", outcome="ok")), 1500)

    def test_one_coordinator(self):
        self.start()
        done = excamera("coordinator", "--keys", self.keys, "--state", self.folder / "state",
                        "--listen", "127.0.0.1:0", expect=1, text=True)
        self.assertIn("journal", done.stderr)

    def rendezvous(self, count):
        return [Server(self, "rendezvous", "--credentials", self.keys / "rendezvous.pem").start()
                for _ in range(count)]

    def start_with(self, rendezvous, *more):
        words = [word for server in rendezvous for word in ("--rendezvous", server.place)]
        self.start("--workers", 2, *words, *more)

    def test_rendezvous_started_again(self):
        self.need(NORMAL)
        rendezvous = self.rendezvous(1)
        self.start_with(rendezvous)
        run = self.hand_in(self.folder / "sum", "parts=30")
        wait_until(lambda: len(self.lines(kind="quit", outcome="ok")) >= 5)
        rendezvous[0].kill()
        time.sleep(0.5)
        rendezvous[0].start()
        self.done(run)
        self.check(self.folder / "sum", 30)

    def test_rendezvous_lost(self):
        rendezvous = self.rendezvous(2)
        self.start_with(rendezvous, "--rendezvous-patience", "1")
        run = self.hand_in(self.folder / "sum", "parts=30")
        wait_until(lambda: len(self.lines(kind="quit", outcome="ok")) >= 5)
        rendezvous[0].kill()
        self.done(run)
        self.check(self.folder / "sum", 30)
        run = self.hand_in(self.folder / "more", "parts=5")
        self.done(run)
        self.check(self.folder / "more", 5)

    def test_all_killed(self):
        self.need(NORMAL)
        rendezvous = self.rendezvous(1)
        self.start_with(rendezvous)
        run = self.hand_in(self.folder / "sum", "parts=30")
        wait_until(lambda: len(self.lines(kind="quit", outcome="ok")) >= 5)
        self.server.kill()
        rendezvous[0].kill()
        rendezvous[0].start()
        self.server.start()
        self.done(run)
        self.check(self.folder / "sum", 30)

    def test_spare_workers(self):
        self.start("--workers", 4)
        run = self.hand_in(self.folder / "sum", "parts=20", "--workers", 2, "--spare", 2)
        self.done(run)
        self.check(self.folder / "sum", 20)
        self.assertLessEqual(len({line["worker"] for line in self.lines(kind="run")}), 2)

    def test_launched_by_a_command(self):
        self.need(NORMAL)
        # Every other worker never comes; one that is started twice works once.
        script = self.folder / "launch"
        script.write_text(f"""#!/bin/sh
            document=$(mktemp {self.folder}/document-XXXXXX); cat >$document
            case $1 in
                *[13579]) exec sleep 1000;;
                *) {EXCAMERA} worker --invocation - <$document 2>/dev/null &
                   exec {EXCAMERA} worker --invocation - <$document;;
            esac
            """)
        script.chmod(0o755)
        self.start("--workers", 1, "--engine", "command", "--engine-opt", f"command={script} {{worker}}",
                   "--launch-patience", "5")
        run = self.hand_in(self.folder / "sum", "parts=40")
        self.done(run)
        self.check(self.folder / "sum", 40)
        self.assertIn("has not come", self.server.log.read_text())
        self.assertIn("another process", self.server.log.read_text())

    def test_what_workers_cannot_dial(self):
        """Said in one sentence, and early: the coordinator at another place, the rendezvous at another port."""
        self.start("--workers", 2, "--advertise", "127.0.0.1:1", "--launch-patience", "1")
        said = self.done(self.hand_in(self.folder / "sum"), 1)
        self.assertRegex(said, r"none of the \d+ workers that were started has come; they were to dial 127.0.0.1:1\b")
        self.server.kill()
        script = self.folder / "launch"
        script.write_text(f"""#!/usr/bin/env python3
import json, subprocess, sys
document = json.load(sys.stdin)
document["rendezvous"][0]["port"] = 1
subprocess.run(["{EXCAMERA}", "worker", "--invocation", "-"], input=json.dumps(document).encode())
""")
        script.chmod(0o755)
        self.start("--workers", 2, "--engine", "command", "--engine-opt", f"command={script}")
        said = self.done(self.hand_in(self.folder / "sum", "seconds=300"), 1)
        self.assertRegex(said, r"the workers cannot reach the rendezvous at 127.0.0.1:\d+, .* refused")

    def test_encode(self):
        """A film, handed in, detached from, and attached to: the same as one that is made here."""
        clip = make_clip(self.folder / "clip.mkv", "176x144", 25)
        settings = ["-N", 3, "-x", 3, "-q", 30, "-Q"]
        here, there = self.folder / "here.webm", self.folder / "there.webm"
        excamera("encode", clip, "-o", here, *settings)
        self.start("--workers", 2)
        elsewhere = ["encode", clip, "-o", there, *settings, "--store", self.store, *self.access()]
        excamera(*elsewhere)
        self.assertEqual(here.read_bytes(), there.read_bytes())
        there.unlink()
        process = subprocess.Popen([EXCAMERA, *map(str, elsewhere)], stderr=subprocess.PIPE, text=True)
        wait_until(lambda: "running" in self.jobs().values())
        process.terminate()
        said = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 130, said)
        self.assertIn("excamera watch", said)
        excamera("watch", re.search(r"encode-\w+", said)[0], *self.access())
        self.assertEqual(here.read_bytes(), there.read_bytes())
        excamera(*elsewhere[:-4], "--resume", *self.access(), expect=1)
        excamera("encode", clip, "-o", there, "--store", self.store, expect=2)

    def test_advertised(self):
        # Workers dial a port that passes everything on.
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.start("--workers", 2, "--advertise", f"localhost:{listener.getsockname()[1]}")

        def pump(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
            except OSError:
                pass
            sink.close()

        def serve():
            try:
                while True:
                    client = listener.accept()[0]
                    server = socket.create_connection(("127.0.0.1", self.server.port))
                    for pair in ((client, server), (server, client)):
                        threading.Thread(target=pump, args=pair, daemon=True).start()
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()
        self.done(self.hand_in(self.folder / "sum"))
        self.check(self.folder / "sum")

    def test_ipv6(self):
        if not socket.has_dualstack_ipv6():
            self.skipTest("no IPv6 here")
        server = Server(self, "coordinator", "--keys", self.keys, "--state", self.folder / "state",
                        "--scratch", self.folder)
        server.process = subprocess.Popen(
            [EXCAMERA, "coordinator", "--listen", "[::1]:0", *map(str, server.options)],
            stdout=subprocess.PIPE, text=True)
        port = int(server.process.stdout.readline().split()[-1])
        excamera("run", self.job, f"input={self.word}", f"output={self.folder}/sum", "--store",
                 self.store, "--coordinator", f"[::1]:{port}", "--keys", self.keys)
        self.check(self.folder / "sum")


if __name__ == "__main__":
    main()
