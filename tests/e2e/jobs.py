#!/usr/bin/env python3
"""Whole jobs: every [N, x], size and length gives a stream that libvpx and ffmpeg play as we do, with
its key frames where they belong, and the same bytes however it was run.

pool.json has the SHA-256 of streams as a pool of processes made them, which went through the steps of an
encode before there were jobs. Whoever changes what an encode gives makes it anew: XC_RECORD=FILE."""
import hashlib
import itertools
import json
import os
import pathlib

from harness import (ALL, LEVEL, NORMAL, Case, add_tests, excamera, ffmpeg, main, make_clip)

SETTINGS = [(1, 1), (6, 1), (6, 16), (12, 4), (24, 1000)]
SIZES = ["16x16", "175x143", "1920x818"]
LENGTHS = [1, 5, 6, 7, 97]
# What each level runs: (N, x), size, frames.
QUICK_JOBS = [((6, 2), "175x143", 13), ((1, 1), "16x16", 5), ((6, 16), "33x17", 7)]
NORMAL_JOBS = [((1, 1), "175x143", 7), ((6, 1), "175x143", 97), ((6, 16), "16x16", 97),
               ((6, 16), "175x143", 97), ((12, 4), "175x143", 97), ((24, 1000), "175x143", 97),
               ((6, 16), "16x16", 1), ((6, 16), "175x143", 1), ((6, 16), "175x143", 5),
               ((6, 16), "175x143", 6), ((6, 3), "1920x818", 19), ((3, 4), "1x1", 13),
               ((6, 16), "4096x2176", 7)]
ALL_JOBS = [*itertools.product(SETTINGS, SIZES, LENGTHS), ((6, 16), "4096x2176", 19)]


WORKERS = [1, 2, 5, 16] if LEVEL >= ALL else [2]
KNOWN = json.loads((pathlib.Path(__file__).parent / "pool.json").read_text())
RECORD = os.environ.get("XC_RECORD")


def key_frames(chunk, batch, frames):
    return range(0, frames, chunk * batch)


class Jobs(Case):
    def check(self, setting, size, frames):
        chunk, batch = setting
        clip = make_clip(self.folder / "clip.y4m", size, frames)
        stream = self.folder / "out.ivf"
        large = len(size) > len("175x143") and LEVEL < ALL
        speed = ["--cpu-used", 8] if large else []
        made = set()
        for workers in WORKERS:
            excamera("encode", clip, "-o", stream, "-N", chunk, "-x", batch, "-q", 30, "--no-scene-cut",
                     "--workers", workers, "-j", max(2, workers), "-Q", "--force", *speed, timeout=3600)
            made.add(hashlib.sha256(stream.read_bytes()).hexdigest())
        self.assertEqual(len(made), 1, "bytes depend on the number of workers")
        self.assert_same_pictures(stream, frames)
        self.assert_key_frames(stream, key_frames(chunk, batch, frames))
        if not large:
            self.assert_known(f"[{chunk},{batch}] {size} {frames} frames", *made)

    def assert_known(self, name, digest):
        if RECORD:
            KNOWN[name] = digest
            pathlib.Path(RECORD).write_text(json.dumps(KNOWN, indent=1, sort_keys=True) + "\n")
        self.assertEqual(KNOWN.get(name, digest), digest, "not what the pool made")


jobs = QUICK_JOBS
if LEVEL >= NORMAL:
    jobs = jobs + NORMAL_JOBS
if LEVEL >= ALL:
    jobs = jobs + ALL_JOBS
add_tests(Jobs, "check", {f"{n}_{x}__{size}__{frames}_frames": ((n, x), size, frames)
                          for (n, x), size, frames in jobs})


class Forms(Case):
    """What holds of every job, shown on one."""

    def encode(self, clip, name, *options):
        stream = self.folder / name
        excamera("encode", clip, "-o", stream, "-N", 6, "-x", 4, "-q", 25, "-Q", *options)
        return stream.read_bytes()

    def test_same_bytes_for_any_number_of_workers(self):
        self.need(NORMAL)
        clip = make_clip(self.folder / "clip.mkv", "176x144", 61)
        for ending in ("webm", "ivf"):
            first = self.encode(clip, f"1.{ending}", "-j", 1)
            for workers, tasks in ((1, 2), (1, 7), (2, 2), (5, 5), (16, 16)):
                self.assertEqual(first, self.encode(clip, f"{workers}-{tasks}.{ending}", "--workers",
                                                    workers, "-j", tasks))

    def test_webm_and_ivf_hold_the_same_frames(self):
        clip = make_clip(self.folder / "clip.y4m", "175x143", 31)
        self.encode(clip, "out.ivf", "--no-scene-cut")
        self.encode(clip, "out.webm", "--no-scene-cut")
        self.assert_same_pictures(self.folder / "out.webm", 31)
        self.assert_key_frames(self.folder / "out.webm", [0, 24])
        ours = [excamera("vp8", "decode", "--md5", self.folder / f"out.{ending}").stdout
                for ending in ("ivf", "webm")]
        self.assertEqual(*ours)

    def test_finer_quality_gives_more_bytes_and_better_pictures(self):
        self.need(NORMAL)
        clip = make_clip(self.folder / "clip.y4m", "176x144", 25)
        sizes = []
        for quality in (0, 10, 30, 50, 63):
            self.encode(clip, f"q{quality}.ivf", "-q", quality)
            self.assert_same_pictures(self.folder / f"q{quality}.ivf", 25)
            sizes.append((self.folder / f"q{quality}.ivf").stat().st_size)
        self.assertEqual(sizes, sorted(sizes, reverse=True))

    def test_a_scene_cut_begins_a_batch(self):
        film = self.folder / "cut.y4m"
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=176x144:rate=25:duration=0.8", "-f", "lavfi", "-i",
               "mandelbrot=size=176x144:rate=25:maxiter=200,trim=end_frame=20", "-lavfi",
               "[0:v][1:v]concat=n=2,format=yuv420p", film)
        self.encode(film, "cut.ivf", "-x", 16)
        self.assert_same_pictures(self.folder / "cut.ivf", 40)
        self.assert_key_frames(self.folder / "cut.ivf", [0, 20])
        self.encode(film, "no-cut.ivf", "-x", 16, "--no-scene-cut")
        self.assert_key_frames(self.folder / "no-cut.ivf", [0])

    def test_start_and_frames(self):
        clip = make_clip(self.folder / "clip.y4m", "64x48", 30)
        ffmpeg("-i", clip, "-vf", "trim=start_frame=7:end_frame=19", self.folder / "part.y4m")
        part = self.encode(self.folder / "part.y4m", "a.ivf", "--no-scene-cut")
        self.assertEqual(part, self.encode(clip, "b.ivf", "--start", 7, "--frames", 12,
                                           "--no-scene-cut"))

    def test_intermediate_files_are_kept_and_are_the_tasks_own(self):
        clip = make_clip(self.folder / "clip.y4m", "64x48", 30)
        kept = self.folder / "kept"
        self.encode(clip, "out.ivf", "--keep", kept)
        chunks = sorted(kept.glob("chunk-*"))
        self.assertEqual(len(chunks), 5)
        again = self.folder / "again.ivf"
        excamera("task", "encode", "--raw", chunks[0] / "raw.y4m", "--out-chunk", again, "-q", 25)
        self.assertEqual(again.read_bytes(), (chunks[0] / "final.ivf").read_bytes())
        excamera("encode", clip, "-o", self.folder / "b.ivf", "--keep", kept, "-Q", expect=1)


if __name__ == "__main__":
    main()
