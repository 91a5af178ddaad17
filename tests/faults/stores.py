#!/usr/bin/env python3
"""Stores that are read-only for a while, disks that are full, and power cuts, after which only what was synced
is there."""
from harness import ALL, LEVEL, NORMAL, QUICK
from spaces import Space
from subject import Faults, main


class PowerCuts(Faults):
    def cut_at(self, step, seed, workers=2):
        space = Space(self, "mount")
        disk = self.folder / f"disk-{step}-{seed}"
        space.mount_power_cut(disk)
        job = self.job(workers=workers, prefix=space.prefix, store=disk / "store").start()
        job.wait_for_transitions(step)
        done = {line["actor"] for line in job.transitions() if line["kind"] == "quit"}
        job.end()
        space.cut_power(disk, seed)
        job.start()
        self.assert_film(job)
        again = {line["actor"] for line in job.transitions() if line["kind"] == "run"}
        self.assertLessEqual(len(done & again), max(3, len(done) // 2), f"{sorted(done)}, again {sorted(again)}")

    def test_all_that_was_not_synced_is_lost(self):
        for step in {QUICK: [90], NORMAL: [150], ALL: range(5, self.steps, 5)}[LEVEL]:
            with self.subTest(step=step):
                self.cut_at(step, 0)

    def test_some_of_it_is_lost(self):
        for seed in {QUICK: [], NORMAL: [], ALL: range(1, 40)}[LEVEL]:
            with self.subTest(seed=seed):
                self.cut_at(10 + seed * 37 % (self.steps - 20), seed)


class ReadOnly(Faults):
    """The folder of the objects alone: the journal and the workers' folders are elsewhere."""

    def read_only_at(self, step, seconds, workers):
        space = Space(self, "mount")
        job = self.job(workers=workers, prefix=space.prefix)
        objects = job.store / "objects"
        space.mount_memory(objects, "200M")
        job.start()
        job.wait_for_transitions(step)
        job.wait_for(lambda: space.remount(objects, "ro"))
        job.wait_for_seconds(seconds)
        self.assertTrue(space.remount(objects, "rw"))
        self.assert_film(job)

    def test_for_a_while(self):
        for step, seconds, workers in {QUICK: [], NORMAL: [(80, 3, 5)],
                                       ALL: [(step, seconds, workers) for step in range(5, self.steps, 15)
                                             for seconds in (1, 3, 6) for workers in (1, 5)]}[LEVEL]:
            with self.subTest(step=step, seconds=seconds, workers=workers):
                self.read_only_at(step, seconds, workers)

    def test_for_ever(self):
        """Ends with a sentence, and goes on when it is mended."""
        self.need(ALL)
        space = Space(self, "mount")
        job = self.job(workers=5, prefix=space.prefix)
        objects = job.store / "objects"
        space.mount_memory(objects, "200M")
        job.start()
        job.wait_for_transitions(80)
        job.wait_for(lambda: space.remount(objects, "ro"))
        self.assertIn("read-only", job.finish(expect=1).lower())
        space.remount(objects, "rw")
        job.start()
        self.assert_film(job)


class Lost(Faults):
    """Copies of messages that vanish while nobody looks: their senders run again, and those that these need."""

    def lose_at(self, step, workers):
        job = self.job(workers=workers).start()
        job.wait_for_transitions(step)
        job.end()
        for path in (job.store / "objects" / "messages").rglob("*"):
            if path.is_file():
                path.unlink()
        job.start()
        self.assert_film(job)
        self.assertLess(len(job.transitions()), 3 * self.steps, job.tail())

    def test_messages(self):
        for step, workers in {QUICK: [], NORMAL: [(150, 5)], ALL: [(step, workers) for workers in (1, 5)
                                                                  for step in range(10, self.steps, 20)]}[LEVEL]:
            with self.subTest(step=step, workers=workers):
                self.lose_at(step, workers)


class Full(Faults):
    def full(self, part, size, surely=False):
        """`part` of the store's folder is a disk of its own, which is too small at first."""
        space = Space(self, "mount")
        job = self.job(workers=3, prefix=space.prefix)
        disk = job.store / part
        space.mount_memory(disk, size)
        job.start()
        said = job.finish(expect=1 if surely else None).lower()
        if job.process.returncode != 0:
            self.assertRegex(said, "no space left|file system is full")
            self.assertTrue(space.remount(disk, "size=200M"))
            job.start()
        self.assert_film(job)

    def test_objects(self):
        """The film alone takes more than 8 MB, and each chunk half of one. That a disk is full is believed when a
        minute of trying has not helped; of the film itself at once."""
        self.full("objects", "5M", surely=True)
        if LEVEL == ALL:
            self.full("objects", "9M", surely=True)
            for size in range(9000, 13000, 400):
                with self.subTest(size=size):
                    self.full("objects", f"{size}K")

    def test_all_in_one(self):
        """Journal, objects and the workers' folders."""
        self.need(ALL)
        self.full("", "9M", surely=True)
        for size in ["8M", *(f"{size}M" for size in range(10, 24))]:
            with self.subTest(size=size):
                self.full("", size)


if __name__ == "__main__":
    main()
