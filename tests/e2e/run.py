#!/usr/bin/env python3
"""`excamera run`: jobs of any kind through coordinator, rendezvous and workers over TLS; workers and
coordinators that are killed, and jobs that go on where they were left."""
import json
import os
import shutil
import signal
import subprocess
import time

import collect
from harness import EXCAMERA, ROOT, Case, excamera, ffmpeg, main, run

EXAMPLES = ROOT / "examples"

# Parts that take a while, and one who collects them.
COLLECT = {
    "format": 1, "job": "collect", "variables": {"parts": 12, "seconds": 0, "output": "sum.txt"},
    "outputs": [{"file": "${output}", "key": "sum"}],
    "actors": [{"name": "collect"}, {"family": "part", "count": "${parts}"}],
    "machine": {
        "start": [{"if": {"variable": "actor", "is": "collect"}, "to": "gather"}, {"to": "work"}],
        "states": {
            "work": {"run": {"argv": ["sh", "-c", "sleep ${seconds}.2; echo ${actor} >part"]},
                     "on": {"ok": "hand-in"}},
            **collect.STATES}}}
SUM = "".join(f"part-{number:06d}\n" for number in range(12))


def children(process):
    return [int(line) for line in run("ps", "-o", "pid=", "--ppid", process, expect=None,
                                      text=True).stdout.split()]


class Run(Case):
    def setUp(self):
        super().setUp()
        self.job = self.folder / "collect.json"
        self.job.write_text(json.dumps(COLLECT))
        self.output = self.folder / "sum.txt"
        self.trace = self.folder / "trace"

    def arguments(self, *options):
        return ["run", self.job, f"output={self.output}", "--trace", self.trace, *options]

    def start(self, *options):
        return subprocess.Popen([str(word) for word in (EXCAMERA, *self.arguments(*options))],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def lines(self, **having):
        lines = [json.loads(line) for line in self.trace.read_text().splitlines()]
        return [line for line in lines if all(line[name] == value for name, value in having.items())]

    def test_ring(self):
        for members, rounds, workers in ((1, 2, 1), (16, 3, 2), (500, 1, 3)):
            excamera("run", EXAMPLES / "ring.json", f"members={members}", f"rounds={rounds}",
                     "--workers", workers, "--trace", self.trace, "--window", "8", timeout=120)
            self.assertEqual(len(self.lines(kind="receive", outcome="ok")), members * rounds)
            self.assertEqual(len(self.lines(kind="quit", outcome="ok")), members)

    def test_grayscale(self):
        if not shutil.which("ffmpeg"):
            self.skipTest("no ffmpeg")
        film, gray = self.folder / "film.mp4", self.folder / "gray.mkv"
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x90:r=12:d=4", "-g", "12", film)
        films = []
        for workers in (1, 3):
            excamera("run", EXAMPLES / "grayscale.json", f"input={film}", f"output={gray}",
                     "--workers", workers)
            films.append(gray.read_bytes())
        self.assertEqual(films[0], films[1])
        count = run("ffprobe", "-v", "error", "-count_frames", "-show_entries",
                    "stream=nb_read_frames", "-of", "csv=p=0", gray, text=True).stdout
        self.assertEqual(int(count.split(",")[0]), 48)

    def test_numbers_of_workers_and_slots(self):
        for workers, slots in ((1, 1), (1, 4), (5, 2), (20, 1)):
            excamera(*self.arguments("--workers", workers, "--slots", slots))
            self.assertEqual(self.output.read_text(), SUM)

    def test_killed_workers(self):
        job = self.start("--workers", 3, "-v")
        for _ in range(5):
            time.sleep(0.3)
            for worker in children(job.pid)[:1]:
                os.kill(worker, signal.SIGKILL)
        said = job.communicate(timeout=60)[1]
        self.assertEqual(job.returncode, 0, said)
        self.assertIn("ended by signal 9", said)
        self.assertEqual(self.output.read_text(), SUM)

    def test_stopped_worker(self):
        job = self.start("--workers", 2)
        time.sleep(0.6)
        os.kill(children(job.pid)[0], signal.SIGSTOP)
        said = job.communicate(timeout=60)[1]
        self.assertEqual(job.returncode, 0, said)
        self.assertEqual(self.output.read_text(), SUM)

    def wait_for_quits(self, job, count):
        while job.poll() is None:
            if self.trace.exists() and self.trace.read_text().count('"kind":"quit"') >= count:
                break
            time.sleep(0.01)

    def go_on(self, number):
        store = self.folder / f"store-{number}"
        job = self.start("--workers", 2, "--store", store)
        self.wait_for_quits(job, 4)
        job.send_signal(number)
        job.communicate(timeout=60)
        self.assertNotEqual(job.returncode, 0)
        made = {line["actor"] for line in self.lines(kind="quit", outcome="ok")}
        excamera(*self.arguments("--workers", 2, "--store", store))
        self.assertEqual(self.output.read_text(), SUM)
        again = {line["actor"] for line in self.lines(kind="run")}
        # What the coordinator was told of as done may not have been safe yet at its very end.
        self.assertLess(len(made & again), 4)
        return store

    def test_interrupted(self):
        store = self.go_on(signal.SIGINT)
        excamera(*self.arguments("--store", store))
        self.assertEqual(self.lines(), [], "a job that is done was run again")
        said = excamera(*self.arguments("--store", store), "parts=3", expect=1).stderr
        self.assertIn("other options", said)

    def test_killed_coordinator(self):
        self.go_on(signal.SIGKILL)

    def test_nothing_is_left(self):
        scratch = self.folder / "scratch"
        scratch.mkdir()
        excamera(*self.arguments("--workers", 2), env={**os.environ, "TMPDIR": str(scratch)})
        self.assertEqual(list(scratch.iterdir()), [])

    def test_failing_task(self):
        COLLECT_FAILING = json.loads(json.dumps(COLLECT))
        COLLECT_FAILING["machine"]["states"]["work"]["run"]["argv"] = [
            "sh", "-c", "echo it cannot be >&2; exit 3"]
        self.job.write_text(json.dumps(COLLECT_FAILING))
        said = excamera(*self.arguments("--workers", 2), expect=1).stderr
        for part in ("part-0000", "'work'", "status 3", "it cannot be"):
            self.assertIn(part, said)

    def test_tasks_that_are_not_deterministic(self):
        job = json.loads(json.dumps(COLLECT))
        job["machine"]["states"]["work"]["run"]["argv"] = ["sh", "-c", "date +%s%N >part"]
        job["machine"]["states"]["hand-in"]["on"]["ok"] = "fail"
        job["machine"]["states"]["fail"] = {"run": {"argv": ["false"]}, "on": {"ok": "done"}}
        self.job.write_text(json.dumps(job))
        self.assertIn("not deterministic", excamera(*self.arguments(), expect=1).stderr)

    def test_objects_that_are_not_deterministic(self):
        """Objects of one machine are not summed, but compared when they are put again."""
        job = {"format": 1, "job": "again", "actors": [{"name": "one"}],
               "machine": {"start": "work", "states": {
                   "work": {"run": {"argv": ["sh", "-c", "date +%N >part"]}, "on": {"ok": "keep"}},
                   "keep": {"put": {"file": "part", "key": "part", "move": True}, "on": {"ok": "gone"}},
                   "gone": {"run": {"argv": ["test", "!", "-e", "part"]},
                            "on": {"ok": "wait", "failed": "done"}},
                   "wait": {"run": {"argv": ["sh", "-c", "sleep 1; exit 1"]}, "on": {"ok": "done"}},
                   "done": {"quit": {}}}}}
        self.job.write_text(json.dumps(job))
        said = excamera("run", self.job, "--trace", self.folder / "trace", expect=1).stderr
        self.assertIn("task not deterministic", said)

    def test_errors(self):
        self.job.write_text('{"format": 1}')
        self.assertIn("collect.json", excamera("run", self.job, expect=1).stderr)
        excamera("run", expect=2)
        excamera("run", self.job, "--workers", "0", expect=2)

    def test_drawings(self):
        for job in ("ring", "grayscale", "encode"):
            job = EXAMPLES / f"{job}.json"
            drawn = excamera("run", job, "--dry-run", text=True).stdout
            self.assertIn("digraph", drawn)
            excamera("run", job, "--dry-run", "--draw", self.folder / "job.dot")
            self.assertEqual((self.folder / "job.dot").read_text(), drawn)
            if shutil.which("dot"):
                excamera("run", job, "--dry-run", "--draw", self.folder / "job.svg")
                self.assertIn("<svg", (self.folder / "job.svg").read_text())
        self.assertEqual(excamera("run", "--print", "encode", text=True).stdout,
                         (EXAMPLES / "encode.json").read_text())
        excamera("run", "--print", "nothing", expect=2)


if __name__ == "__main__":
    main()
