#!/usr/bin/env python3
"""Coordinators that are killed, stopped or interrupted, and started again with the same store."""
import os
import signal

from harness import ALL, LEVEL, NORMAL, QUICK
from subject import Faults, end_process, main


class Coordinators(Faults):
    def assert_little_again(self, before, after):
        """What had been safe when it ended was not done again. What it was told of at its very end need not have
        been."""
        done = {line["actor"] for line in before if line["kind"] == "quit" and line["outcome"] == "ok"}
        again = {line["actor"] for line in after if line["kind"] == "run" and line["actor"].startswith("chunk")}
        self.assertLessEqual(len(done & again), max(3, len(done) // 2), f"{sorted(done)}, again {sorted(again)}")

    def restarted_at(self, step, workers, end):
        job = self.job(workers=workers).start()
        job.wait_for_transitions(step)
        end(job)
        before = job.transitions()
        job.start_coordinator()
        self.assert_film(job)
        self.assert_little_again(before, job.transitions())

    def test_killed_at_any_step(self):
        for workers in (5,) if LEVEL < ALL else (1, 5):
            steps = range(1, self.steps)
            if LEVEL < ALL:
                steps = [self.chance().choice(steps)]
            for step in steps:
                with self.subTest(workers=workers, step=step):
                    self.restarted_at(step, workers, lambda job: job.kill_coordinator())

    def test_killed_again_and_again(self):
        """What it has made safe brings the job on, each time."""
        self.need(ALL)
        job = self.job(workers=5).start()
        for _ in range(100):
            job.wait_for_transitions(30)
            if not job.running():
                break
            job.kill_coordinator()
            job.start_coordinator()
        self.assertGreater(job.starts, 1)
        self.assert_film(job)

    def test_killed_with_its_workers(self):
        def end(job):
            pids = job.pids().values()
            job.kill_coordinator()
            for pid in pids:
                end_process(pid)
        for step in {QUICK: [], NORMAL: [70], ALL: range(10, self.steps, 20)}[LEVEL]:
            with self.subTest(step=step):
                self.restarted_at(step, 5, end)

    def test_interrupted(self):
        def end(job):
            job.process.send_signal(signal.SIGINT)
            job.finish(expect=None)
            self.assertNotEqual(job.process.returncode, 0)
        for step in {QUICK: [], NORMAL: [], ALL: range(10, self.steps - 20, 20)}[LEVEL]:
            with self.subTest(step=step):
                self.restarted_at(step, 2, end)

    def test_stopped_for_a_while(self):
        """Its workers think it dead and dial it again."""
        for seconds in {QUICK: [], NORMAL: [], ALL: [2, 4, 6, 8, 12]}[LEVEL]:
            with self.subTest(seconds=seconds):
                job = self.job(workers=2).start()
                job.wait_for_transitions(60)
                os.kill(job.process.pid, signal.SIGSTOP)
                job.wait_for_seconds(seconds)
                end_process(job.process.pid, signal.SIGCONT)
                self.assert_film(job)


if __name__ == "__main__":
    main()
