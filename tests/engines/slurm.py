#!/usr/bin/env python3
"""Workers as tasks of a real Slurm cluster: the same bytes as on one machine, whatever becomes of them."""
import json
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import radosgw
import slurm_cluster
from harness import ALL, EXCAMERA, NORMAL, ROOT, Case, excamera, main, make_clip, read_line, wait_until

RING = ROOT / "examples/ring.json"
# Actors that say that they are there, and then wait for a file.
WAIT = {
    "format": 1, "job": "wait",
    "variables": {"gate": "", "members": 6},
    "actors": [{"family": "member", "count": "${members}"}],
    "machine": {
        "start": [{"to": "wait"}],
        "states": {
            "wait": {"run": {"argv": ["sh", "-c", "until test -e ${gate}; do sleep 0.1; done"]},
                     "on": {"ok": "end"}},
            "end": {"quit": {}}}}}


class Slurm(Case):
    """Eight cores, and arrays of six tasks at most."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.place = None
        cls.lacking = slurm_cluster.missing()
        if cls.lacking is None:
            cls.place = pathlib.Path(tempfile.mkdtemp(prefix="excamera-test-"))
            cls.addClassCleanup(shutil.rmtree, cls.place, ignore_errors=True)
            cls.cluster = slurm_cluster.Cluster(cls.place / "cluster", cores=8, most=6)
            cls.addClassCleanup(cls.cluster.stop)

    def setUp(self):
        super().setUp()
        if self.lacking:
            self.skipTest(self.lacking)
        self.shared, self.store, self.trace = (self.folder / name for name in ("shared", "store", "trace"))
        self.shared.mkdir()
        self.gate = self.folder / "gate"
        self.job = self.folder / "wait.json"
        self.job.write_text(json.dumps(WAIT))

    def engine(self, *options):
        words = [f"folder={self.shared}", *options]
        return ["--engine", "slurm", *(word for option in words for word in ("--engine-opt", option))]

    def start(self, *arguments):
        process = subprocess.Popen([EXCAMERA, *map(str, arguments)], env=self.cluster.environment, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        if process.poll() is None:
            process.kill()
        process.stderr.close()
        process.wait()

    def start_waiting(self, members, *options):
        return self.start("run", self.job, f"gate={self.gate}", f"members={members}", "--workers", members,
                          "--store", self.store, "--trace", self.trace, "-v", *self.engine(*options))

    def running(self, count):
        wait_until(lambda: len(self.cluster.tasks("RUNNING")) == count, 60)

    def done(self, process, status=0):
        said = process.communicate(timeout=120)[1]
        self.assertEqual(process.returncode, status, said)
        return said

    def assert_nothing_is_left(self):
        wait_until(lambda: not self.cluster.tasks(), 60)
        self.assert_empty(self.shared)

    def lines(self, **having):
        if not self.trace.exists():
            return []
        lines = [json.loads(line) for line in self.trace.read_text().splitlines() if line.endswith("}")]
        return [line for line in lines if all(line[name] == value for name, value in having.items())]

    def test_half_of_the_workers_are_cancelled(self):
        self.need(NORMAL)
        clip = make_clip(self.folder / "clip.mkv", "320x180", 150)
        settings = ["-N", 3, "-x", 4, "-q", 30, "-Q"]
        here, there = self.folder / "here.webm", self.folder / "there.webm"
        excamera("encode", clip, "-o", here, *settings)
        run = self.start("encode", clip, "-o", there, *settings, "--workers", 4, "--trace", self.trace,
                         *self.engine("time=10", "cpus=1"))
        wait_until(lambda: len({line["worker"] for line in self.lines(kind="run")}) == 4, 60)
        self.cluster.ask("scancel", *self.cluster.tasks()[::2])
        self.done(run)
        self.assertEqual(here.read_bytes(), there.read_bytes())
        self.assertGreater(len({line["worker"] for line in self.lines(kind="run")}), 4)
        self.assert_nothing_is_left()

    def test_ten_seconds_in_s3(self):
        """Film, output and all between in S3, which workers have no credentials for."""
        self.need(ALL)
        if radosgw.missing():
            self.skipTest(radosgw.missing())
        gateway = radosgw.Gateway()
        self.addCleanup(gateway.stop)
        gateway.request("PUT", "films")
        clip = make_clip(self.folder / "clip.mkv", "320x180", 240, 24)
        gateway.request("PUT", "films/clip.mkv", clip.read_bytes())
        here = self.folder / "here.webm"
        excamera("encode", clip, "-o", here, "-N", 6, "-x", 16, "-Q")
        excamera("encode", "s3://films/clip.mkv", "-o", "s3://films/film.webm", "-N", 6, "-x", 16, "-Q", "--store",
                 "s3://films/jobs", "--workers", 4, *self.engine("time=20", "cpus=1"), timeout=600,
                 env=gateway.environment(**{name: self.cluster.environment[name] for name in ("PATH", "SLURM_CONF")}))
        self.assertEqual(gateway.request("GET", "films/film.webm"), here.read_bytes())
        self.assertEqual(gateway.keys("films"), ["clip.mkv", "film.webm"])
        self.assert_nothing_is_left()

    def test_interrupted_job_leaves_nothing(self):
        run = self.start_waiting(10)
        self.running(8)
        run.send_signal(signal.SIGINT)
        self.assertIn("interrupted", self.done(run, 1))
        self.assert_nothing_is_left()

    def test_arrays_are_split(self):
        run = self.start_waiting(8)
        self.running(8)
        arrays = {task.partition("_")[0] for task in self.cluster.tasks()}
        self.assertGreater(len(arrays), 1)
        self.gate.touch()
        self.done(run)
        self.assert_nothing_is_left()

    def test_nobody_else_reads_the_documents(self):
        run = self.start_waiting(10)
        self.running(8)
        waiting = self.cluster.tasks("PENDING")
        self.assertEqual(len(waiting), 2)
        folder, = self.shared.iterdir()
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)

        def documents():
            return [path for path in folder.iterdir() if re.fullmatch(r"\d+-\d+", path.name)]

        # Those of workers that run go when these have read them.
        wait_until(lambda: len(documents()) == 2)
        for document in documents():
            self.assertIn("PRIVATE KEY", document.read_text())
            self.assertEqual(document.stat().st_mode & 0o777, 0o600)
        for task in waiting:
            told = self.cluster.ask("scontrol", "show", "job", task)
            told += self.cluster.ask("scontrol", "write", "batch_script", task.partition("_")[0], "-")
            self.assertIn("worker --invocation -", told)
            self.assertNotIn("PRIVATE KEY", told)
        self.gate.touch()
        self.done(run)
        self.assert_nothing_is_left()

    def test_what_slurm_refuses(self):
        for option, said in (("partition=nowhere", "invalid partition"),
                             ("time=100000", ""), ("constraint=green", "feature"),
                             ("cpus=1000", "")):
            with self.subTest(option=option):
                run = self.start_waiting(2, option)
                words = self.done(run, 1).lower()
                self.assertIn("slurm", words)
                self.assertIn(said, words)
                self.assert_nothing_is_left()

    def test_a_program_that_nodes_do_not_have(self):
        run = self.start_waiting(1, "program=/nowhere/excamera")
        self.assertRegex(read_line(run.stderr), r"worker 1 ended on Slurm, FAILED .*/nowhere/excamera")
        run.send_signal(signal.SIGINT)
        self.done(run, 1)

    def test_controller_that_is_away_for_a_while(self):
        self.need(NORMAL)
        self.cluster.stop_control()
        try:
            run = self.start_waiting(4)
        finally:
            self.cluster.start_control()
        self.running(4)
        self.gate.touch()
        self.done(run)
        self.assert_nothing_is_left()

    def test_workers_of_a_coordinator_that_was_killed(self):
        run = self.start_waiting(10)
        self.running(8)
        left = set(self.cluster.tasks())
        run.kill()
        run.wait()
        self.gate.touch()
        again = self.start_waiting(10)
        self.done(again)
        wait_until(lambda: not left & set(self.cluster.tasks()), 60)
        self.assert_nothing_is_left()


class Large(Case):
    def test_five_hundred(self):
        self.need(ALL)
        if lacking := slurm_cluster.missing():
            self.skipTest(lacking)
        shared = self.folder / "shared"
        shared.mkdir()
        cluster = slurm_cluster.Cluster(self.folder / "large", cores=1024)
        self.addCleanup(cluster.stop)
        excamera("run", RING, "members=500", "--workers", 500, "--store", self.folder / "store", "--engine", "slurm",
                 "--engine-opt", f"folder={shared}", env=cluster.environment, timeout=600)


if __name__ == "__main__":
    main()
