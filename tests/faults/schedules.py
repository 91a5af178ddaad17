#!/usr/bin/env python3
"""Random schedules of all faults: each is drawn from a seed, which is in its test's name."""
import os
import random
import signal
import time

from deployment import Deployment
from harness import ALL, LEVEL, NORMAL, QUICK, add_tests
from proxy import Proxy
from spaces import Space
from subject import Faults, end_process, main

COUNT = {QUICK: 1, NORMAL: 3, ALL: 200}[LEVEL]


class Schedules(Faults):
    """One schedule: where the store lies and how workers dial, then some faults at random moments."""

    def lay_out(self, chance):
        """The job, and the faults that its surroundings allow."""
        faults = ["worker", "half", "stop", "below", "coordinator", "pause"]
        more = {"workers": chance.choice([1, 2, 3, 5, 8])}
        self.proxy = self.space = None
        disk = chance.choice(["plain", "memory", "power", "served"])
        if disk == "served":
            more["kind"], more["rendezvous"] = Deployment, chance.choice([1, 2, 3])
            faults += ["rendezvous", "rendezvous", "coordinator"]
            disk = "plain"
        if disk != "plain":
            self.space = Space(self, "mount")
            more["prefix"] = self.space.prefix
        if disk == "memory":
            more["store"] = self.folder / "store"
            self.disk = more["store"] / "objects"
            self.space.mount_memory(self.disk, "100M")
            faults += ["read-only", "full"]
        elif disk == "power":
            self.disk = self.folder / "disk"
            self.space.mount_power_cut(self.disk)
            more["store"] = self.disk / "store"
            faults += ["power"]
        if chance.random() < 0.4:
            self.proxy = Proxy(self, self.folder, chance, chance.choice([None, 100000, 500000]),
                               chance.choice([0, 0, 0.3]))
            more["worker_prefix"] = self.proxy.worker_prefix
            faults += ["connections"]
        return self.job(**more), faults

    def inject(self, job, fault, chance):
        pids = job.pids()
        if fault == "worker" and pids:
            job.kill_worker(chance.choice(sorted(pids)))
        elif fault == "half":
            for number in sorted(pids)[::2]:
                job.kill_worker(number)
        elif fault == "stop" and pids:
            job.kill_worker(chance.choice(sorted(pids)), signal.SIGSTOP)
        elif fault == "below":
            job.kill_below(chance)
        elif fault == "coordinator":
            job.kill_coordinator()
            time.sleep(chance.choice([0, 0, 1]))
            job.start_coordinator()
        elif fault == "rendezvous":
            self.kill_rendezvous(job, chance)
        elif fault == "pause":
            pid = job.coordinator_pid()
            end_process(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(0.5, 6))
            end_process(pid, signal.SIGCONT)
        elif fault == "connections":
            self.proxy.cut_all()
        elif fault == "power":
            job.end()
            self.space.cut_power(self.disk, chance.choice([0, chance.randrange(1, 1000)]))
            job.start()
        elif fault in ("read-only", "full"):
            self.trouble_disk(job, fault, chance.uniform(0.5, 4))

    def kill_rendezvous(self, job, chance):
        """For good only where another one is left."""
        one = chance.choice(job.rendezvous)
        one.kill()
        if sum(other.process.poll() is None for other in job.rendezvous) == 0 or chance.random() < 0.5:
            time.sleep(chance.choice([0, 0, 1, 3]))
            one.start()

    def trouble_disk(self, job, fault, seconds):
        if fault == "full":
            filler = self.space.path(self.disk) / "+filler"
            try:
                with open(filler, "wb", buffering=0) as file:
                    while file.write(bytes(1 << 16)) == 1 << 16:
                        pass
            except OSError:
                pass
            job.wait_for_seconds(seconds)
            os.unlink(filler)
        else:
            job.wait_for(lambda: self.space.remount(self.disk, "ro"))
            job.wait_for_seconds(seconds)
            self.space.remount(self.disk, "rw")

    def schedule(self, seed):
        chance = random.Random(seed)
        job, faults = self.lay_out(chance)
        plan = [(chance.choice(faults), chance.randrange(1, self.steps)) for _ in range(chance.randint(1, 4))]
        # A restarted job counts its transitions anew.
        plan.sort(key=lambda one: one[1])
        job.start()
        injected = []
        for fault, step in plan:
            job.wait_for_transitions(step if job.starts == 1 else step // 3)
            if not job.running():
                break
            injected.append((fault, step))
            self.inject(job, fault, chance)
        try:
            self.assert_film(job)
        except AssertionError as error:
            raise AssertionError(f"workers {job.workers}, {injected}\n{error}") from None


# The same every time, unless somebody wants others.
FIRST = int(os.environ.get("XC_SEED", 0))
add_tests(Schedules, "schedule", {f"schedule {FIRST + i}": (FIRST + i,) for i in range(COUNT)})

if __name__ == "__main__":
    main()
