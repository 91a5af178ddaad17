#!/usr/bin/env python3
"""Jobs on instances that others' Lambda starts, and what may befall them there."""
import os
import random
import signal
import threading
import unittest

from endpoint import Endpoint, Front
from harness import ALL, EXCAMERA, LEVEL, ROOT, Case, excamera, main, make_clip
from service import environment

RING = ROOT / "examples/ring.json"


@unittest.skipIf(LEVEL < ALL, "only with XC_TESTS=all")
class Real(Case):
    def setUp(self):
        super().setUp()
        self.endpoint = Endpoint(self.folder / "endpoint", EXCAMERA)
        self.addCleanup(self.endpoint.close)

    def engine(self):
        return ["--engine", "lambda", "--engine-opt", "function=worker"]

    def run_ring(self, service, members, workers, seconds=300, **more):
        trace = self.folder / "trace"
        said = excamera("run", RING, f"members={members}", "rounds=2", "--workers", workers, *self.engine(), "--trace",
                        trace, "-v", timeout=seconds, env=environment(service), **more).stderr
        self.assertEqual(trace.read_text().count('"kind":"quit"'), members)
        return said

    def film(self, name, clip, *options, service=None, **more):
        film = self.folder / name
        excamera("encode", clip, "-o", film, "-N", 6, "-x", 16, *options, timeout=500,
                 env=environment(service) if service else None, **more)
        return film.read_bytes()

    def test_ring(self):
        self.run_ring(self.endpoint, 30, 10)

    def test_ring_of_500(self):
        self.run_ring(self.endpoint, 500, 500, 500)

    def test_encode_of_ten_seconds(self):
        clip = make_clip(self.folder / "clip.y4m", "320x180", 240, 24)
        here = self.film("here.webm", clip, "--workers", 2)
        there = self.film("there.webm", clip, "--workers", 6, *self.engine(), service=self.endpoint)
        self.assertEqual(here, there)

    def test_half_never_start_and_a_tenth_are_throttled(self):
        chance = random.Random(13)

        def fate(_):
            return chance.choices(["lost", "throttled", "run"], [0.5, 0.1, 0.4])[0]
        front = Front(self, self.endpoint, fate=fate)
        clip = make_clip(self.folder / "clip.y4m", "160x90", 97)
        here = self.film("here.ivf", clip, "--workers", 2)
        there = self.film("there.ivf", clip, "--workers", 8, *self.engine(), service=front)
        self.assertEqual(here, there)
        self.assertGreater(front.fates["lost"], 0)

    def test_instances_are_killed_mid_task(self):
        chance = random.Random(17)
        clip = make_clip(self.folder / "clip.y4m", "320x180", 145)
        here = self.film("here.ivf", clip, "--workers", 2)
        over = threading.Event()
        killed = []

        def kill():
            while not over.wait(3):
                if instances := self.endpoint.instances():
                    killed.append(chance.choice(instances))
                    os.kill(killed[-1], signal.SIGKILL)
        thread = threading.Thread(target=kill)
        thread.start()
        try:
            there = self.film("there.ivf", clip, "--workers", 4, *self.engine(), service=self.endpoint)
        finally:
            over.set()
            thread.join()
        self.assertEqual(here, there)
        self.assertGreater(len(killed), 1)


if __name__ == "__main__":
    main()
