#!/usr/bin/env python3
"""Jobs on instances that others' Lambda starts, and what may befall them there. XC_LAMBDA_PACKAGE names a package whose
`bootstrap` they are to run, in place of this build's program."""
import os
import random
import signal
import threading
import unittest
import zipfile

import radosgw

from endpoint import Endpoint, Front
from harness import ALL, EXCAMERA, LEVEL, ROOT, Case, excamera, main, make_clip, run
from service import environment

RING = ROOT / "examples/ring.json"


@unittest.skipIf(LEVEL < ALL, "only with XC_TESTS=all")
class Real(Case):
    def setUp(self):
        super().setUp()
        bootstrap = EXCAMERA
        if package := os.environ.get("XC_LAMBDA_PACKAGE"):
            with zipfile.ZipFile(package) as archive:
                archive.extractall(self.folder / "package")
            bootstrap = self.folder / "package/bootstrap"
            bootstrap.chmod(0o755)
        self.endpoint = Endpoint(self.folder / "endpoint", bootstrap)
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

    @unittest.skipIf(radosgw.missing(), radosgw.missing())
    def test_encode_in_s3(self):
        """Film, output and all between in S3, which workers have no credentials for."""
        gateway = radosgw.Gateway()
        self.addCleanup(gateway.stop)
        gateway.request("PUT", "films")
        clip = make_clip(self.folder / "clip.y4m", "320x180", 240, 24)
        # As curl's upload: the gateway refuses Debian 12's curl any other large body.
        run("curl", "-sSf", "-T", clip, "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
            f"{radosgw.ACCESS_KEY}:{radosgw.SECRET_KEY}", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
            f"{gateway.plain}/films/clip.y4m")
        here = self.film("here.webm", clip, "--workers", 2)
        excamera("encode", "s3://films/clip.y4m", "-o", "s3://films/film.webm", "-N", 6, "-x", 16, "--store",
                 "s3://films/jobs", "--workers", 4, *self.engine(), timeout=600,
                 env=gateway.environment(AWS_ENDPOINT_URL_LAMBDA=self.endpoint.url))
        self.assertEqual(gateway.request("GET", "films/film.webm"), here)
        self.assertEqual(gateway.keys("films"), ["clip.y4m", "film.webm"])

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
