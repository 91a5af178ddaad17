#!/usr/bin/env python3
"""Encodes that are interrupted and killed, and go on; a worker that is killed costs only time."""
import json
import os
import pathlib
import signal
import subprocess

from harness import EXCAMERA, LEVEL, NORMAL, Case, children, excamera, main, make_clip, wait_until


class Running(Case):
    def setUp(self):
        super().setUp()
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.out = self.folder / "out"
        self.out.mkdir()
        self.trace = self.folder / "trace"
        self.clip = make_clip(self.folder / "clip.y4m", "320x180" if LEVEL >= NORMAL else "96x64", 60)
        self.environment = {**os.environ, "TMPDIR": str(self.scratch)}

    def arguments(self, *options):
        return ["encode", str(self.clip), "-o", str(self.out / "a.ivf"), "-N", "6", "-x", "4", "-j", "2",
                "--trace", str(self.trace), *options]

    def start(self, *options):
        process = subprocess.Popen([EXCAMERA, *self.arguments(*options)], stderr=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                   start_new_session=True, env=self.environment)
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        """Nothing that a test started outlives it."""
        if process.poll() is None:
            process.kill()
        process.stderr.close()
        process.wait()

    def run_to_end(self, *options, **more):
        return excamera(*self.arguments("-Q", *options), env=self.environment, **more)

    def done(self):
        """Chunks that have come to their end."""
        if not self.trace.exists():
            return set()
        lines = [json.loads(line) for line in self.trace.read_text().splitlines() if line.endswith("}")]
        return {line["actor"] for line in lines
                if line["kind"] == "quit" and line["actor"].startswith("chunk-")}

    def stop(self, process, number, whole_group=False):
        """Sends a signal; returns what was said in the end."""
        below = children(process.pid)
        if whole_group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        said = process.communicate(timeout=30)[1].decode()
        self.assertNotEqual(process.returncode, 0)
        wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in below), 30)
        self.assert_empty(self.out)
        return said


class Interrupted(Running):
    def test_at_once(self):
        """Before anything was made, nothing is kept."""
        for number, whole_group in ((signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, False)):
            with self.subTest(number):
                process = self.start()
                wait_until(lambda: any(self.scratch.rglob("*")))
                if not self.done():
                    self.stop(process, number, whole_group)
                    self.assertEqual(process.returncode, 130)
                if not self.done():
                    self.assert_empty(self.scratch)

    def expected(self):
        self.run_to_end()
        self.assert_empty(self.scratch)
        film = (self.out / "a.ivf").read_bytes()
        (self.out / "a.ivf").unlink()
        self.trace.unlink()
        return film

    def go_on(self, number, whole_group):
        expected = self.expected()
        process = self.start()
        wait_until(lambda: len(self.done()) >= 3, 60)  # the first is durable by then
        said = self.stop(process, number, whole_group)
        made = self.done()
        if number != signal.SIGKILL:
            self.assertIn("--resume", said)
        self.run_to_end("--resume")
        self.assertEqual((self.out / "a.ivf").read_bytes(), expected)
        self.assert_empty(self.scratch)
        # The coordinator may have been told of one that was not durable yet.
        self.assertLess(len(self.done() & made), len(made))

    def test_resume_after_ctrl_c(self):
        self.go_on(signal.SIGINT, whole_group=True)

    def test_resume_after_the_command_was_killed(self):
        self.need(NORMAL)
        self.go_on(signal.SIGKILL, whole_group=False)

    def test_resume_after_all_was_killed(self):
        self.need(NORMAL)
        self.go_on(signal.SIGKILL, whole_group=True)

    def test_resume_refuses_what_is_not_the_same(self):
        process = self.start()
        wait_until(lambda: len(self.done()) >= 3, 60)  # the first is durable by then
        self.stop(process, signal.SIGTERM)
        self.assertIn("other options", self.run_to_end("--resume", "-q", "21", expect=1).stderr)
        self.clip.write_bytes(self.clip.read_bytes()[:-1])
        self.assertIn("another file", self.run_to_end("--resume", expect=1).stderr)
        self.assertIn("nothing to resume",
                      self.run_to_end("--resume", "-o", self.out / "b.ivf", expect=1).stderr)
        self.assert_empty(self.out)

    def test_two_to_the_same_output(self):
        self.start()
        wait_until(lambda: any(self.scratch.rglob("journal")))
        self.assertIn("another process", self.run_to_end(expect=1).stderr)


class KilledWorkers(Running):
    def test_workers_end_when_the_command_is_killed(self):
        process = self.start()
        wait_until(lambda: children(process.pid))
        self.stop(process, signal.SIGKILL)

    def test_they_cost_only_time(self):
        self.run_to_end()
        expected = (self.out / "a.ivf").read_bytes()
        (self.out / "a.ivf").unlink()
        process = self.start("-Q")
        killed = set()

        def kill_one():
            running = [pid for pid in sorted(children(process.pid)) if pid not in killed]
            if running:
                try:
                    os.kill(running[-1], signal.SIGKILL)
                except ProcessLookupError:
                    return process.poll() is not None
                killed.add(running[-1])
            return len(killed) == 2 or process.poll() is not None

        wait_until(kill_one)
        _, words = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, words.decode())
        self.assertEqual(len(killed), 2)
        self.assertEqual((self.out / "a.ivf").read_bytes(), expected)
        self.assert_empty(self.scratch)

    def test_those_that_always_die_end_the_job(self):
        self.need(NORMAL)
        process = self.start("-Q")

        def kill_all():
            for pid in children(process.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return process.poll() is not None

        wait_until(kill_all, 120)
        _, words = process.communicate(timeout=20)
        self.assertGreater(process.returncode, 0)
        self.assertIn("none of the", words.decode())
        self.assert_empty(self.out)


if __name__ == "__main__":
    main()
