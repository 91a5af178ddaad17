#!/usr/bin/env python3
"""Connections between workers and their servers that are cut at random, or hang."""
from harness import ALL, LEVEL, NORMAL, QUICK
from proxy import Proxy
from subject import Faults, main


class Connections(Faults):
    def through_proxy(self, workers, mean_bytes, hanging=0.0):
        proxy = Proxy(self, self.folder, self.chance(), mean_bytes, hanging)
        job = self.job(workers=workers, worker_prefix=proxy.worker_prefix).start()
        self.assert_film(job)
        proxy.path.unlink()
        return proxy

    def test_cut_at_random(self):
        for workers, mean_bytes in {QUICK: [(3, 200000)], NORMAL: [(5, 100000)],
                                    ALL: [(workers, mean_bytes) for workers in (1, 5)
                                          for mean_bytes in (20000, 50000, 100000, 200000, 500000) * 5]}[LEVEL]:
            with self.subTest(workers=workers, mean_bytes=mean_bytes):
                proxy = self.through_proxy(workers, mean_bytes)
                self.assertTrue(proxy.cuts > 0 or workers == 1)

    def test_hanging(self):
        """The other side is not told that a connection is of no use any more."""
        for workers, mean_bytes in {QUICK: [], NORMAL: [],
                                    ALL: [(workers, mean_bytes) for workers in (1, 5)
                                          for mean_bytes in (100000, 300000, 600000)]}[LEVEL]:
            with self.subTest(workers=workers, mean_bytes=mean_bytes):
                self.through_proxy(workers, mean_bytes, 0.5)

    def test_all_cut_at_once(self):
        for steps in {QUICK: [], NORMAL: [range(30, self.steps, 40)],
                      ALL: [range(first, self.steps, every) for every in (10, 40, 80) for first in (5, 15, 30)]}[LEVEL]:
            with self.subTest(steps=steps):
                proxy = Proxy(self, self.folder, self.chance())
                job = self.job(workers=5, worker_prefix=proxy.worker_prefix).start()
                for step in steps:
                    job.wait_for_transitions(step)
                    proxy.cut_all()
                self.assert_film(job)
                proxy.path.unlink()


if __name__ == "__main__":
    main()
