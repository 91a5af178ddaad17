#!/usr/bin/env python3
"""Workers that are killed at any step, by halves, or stopped for ever; tasks and slots that are killed."""
import os
import random
import signal

from harness import ALL, LEVEL, NORMAL, QUICK
from subject import Faults, end_process, main


class Workers(Faults):
    def killed_at(self, step, workers):
        job = self.job(workers=workers).start()
        done = job.wait_for_transitions(step)
        killed = len(done) == step and job.kill_worker(done[-1]["worker"])
        said = self.assert_film(job)
        self.assertEqual("ended by signal 9" in said, killed, said)

    def test_killed_at_any_step(self):
        """The worker that has just told of its job's step number so and so."""
        for workers in (1, 5):
            steps = range(1, self.steps)
            if LEVEL < ALL:
                steps = [self.chance().choice(steps)]
            for step in steps:
                with self.subTest(workers=workers, step=step):
                    self.killed_at(step, workers)

    def test_half_of_all_killed(self):
        for step in {QUICK: [], NORMAL: [60], ALL: range(10, self.steps, 20)}[LEVEL]:
            with self.subTest(step=step):
                job = self.job(workers=6).start()
                job.wait_for_transitions(step)
                for number in sorted(job.pids())[::2]:
                    job.kill_worker(number)
                self.assert_film(job)

    def test_stopped_for_ever(self):
        """What is stopped neither ends nor closes its connections."""
        for workers in (2,) if LEVEL < ALL else (1, 5):
            for step in {QUICK: [], NORMAL: [50], ALL: range(5, self.steps, 30)}[LEVEL]:
                with self.subTest(workers=workers, step=step):
                    job = self.job(workers=workers).start()
                    done = job.wait_for_transitions(step)
                    job.kill_worker(done[-1]["worker"], signal.SIGSTOP)
                    self.assert_film(job)

    def test_stopped_for_a_while(self):
        """One that comes back finds its place taken, or goes on."""
        for seconds in {QUICK: [], NORMAL: [], ALL: [1, 3, 5, 7, 10, 15]}[LEVEL]:
            with self.subTest(seconds=seconds):
                job = self.job(workers=2).start()
                done = job.wait_for_transitions(40)
                pid = job.pids()[done[-1]["worker"]]
                os.kill(pid, signal.SIGSTOP)
                job.wait_for_seconds(seconds)
                end_process(pid, signal.SIGCONT)
                self.assert_film(job)

    def test_tasks_and_slots_killed(self):
        """Not so often that the same command is killed nine times, which is a failure of its own."""
        chance = random.Random(1)
        for workers in (5,) if LEVEL < ALL else (1, 5):
            for every in {QUICK: [], NORMAL: [30], ALL: [10, 20, 40, 80]}[LEVEL]:
                with self.subTest(workers=workers, every=every):
                    job = self.job(workers=workers).start()
                    for step in range(every, self.steps, every):
                        job.wait_for_transitions(step)
                        job.kill_below(chance)
                    self.assert_film(job)


if __name__ == "__main__":
    main()
