#!/usr/bin/env python3
"""Long-lived servers that are killed while they serve: rendezvous, coordinators, both."""
from deployment import Deployment
from harness import ALL, LEVEL, NORMAL, QUICK
from subject import Faults, end_process, main


class Servers(Faults):
    def disturbed(self, step, disturb, **more):
        job = self.job(kind=Deployment, **more).start()
        job.wait_for_transitions(step)
        disturb(job)
        self.assert_film(job)
        return job

    def at_steps(self, few, every, disturb, **more):
        for workers in (5,) if LEVEL < ALL else (1, 5):
            for step in few if LEVEL < ALL else range(1, self.steps, every):
                with self.subTest(workers=workers, step=step):
                    self.disturbed(step, disturb, workers=workers, **more)

    def test_undisturbed(self):
        self.need(ALL)
        for rendezvous in (0, 1, 3):
            for workers in (1, 5):
                with self.subTest(rendezvous=rendezvous, workers=workers):
                    self.disturbed(0, lambda job: None, rendezvous=rendezvous, workers=workers)

    def test_rendezvous_killed_and_restarted(self):
        def disturb(job):
            job.rendezvous[0].kill()
            job.rendezvous[0].start()
        self.at_steps({QUICK: []}.get(LEVEL, [80]), 10, disturb)

    def test_rendezvous_killed_for_good(self):
        """A second one is there."""
        self.at_steps({QUICK: []}.get(LEVEL, [90]), 10, lambda job: job.rendezvous[0].kill(), rendezvous=2)

    def test_coordinator_killed_and_restarted(self):
        def disturb(job):
            job.kill_coordinator()
            job.start_coordinator()
        self.at_steps({QUICK: []}.get(LEVEL, [60]), 10, disturb)

    def test_both_killed(self):
        def disturb(job):
            job.kill_coordinator()
            job.rendezvous[0].kill()
            job.rendezvous[0].start()
            job.start_coordinator()
        self.at_steps({QUICK: []}.get(LEVEL, [100]), 10, disturb)

    def test_all_killed(self):
        """Both and all workers."""
        def disturb(job):
            pids = job.pids().values()
            job.kill_coordinator()
            job.rendezvous[0].kill()
            for pid in pids:
                end_process(pid)
            job.rendezvous[0].start()
            job.start_coordinator()
        self.need(ALL)
        self.at_steps([], 20, disturb)

    def test_rendezvous_killed_again_and_again(self):
        def disturb(job):
            for step in range(10, self.steps, 15):
                job.wait_for_transitions(step)
                job.rendezvous[step % 2].kill()
                job.rendezvous[step % 2].start()
        self.need(ALL)
        self.at_steps([], 10 ** 6, disturb, rendezvous=2)


if __name__ == "__main__":
    main()
