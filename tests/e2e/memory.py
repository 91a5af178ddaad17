#!/usr/bin/env python3
"""Peak memory at 1080p: a task stays under 300 MB, a whole job with two workers under 1 GB; of a longer
film no more than itself and what has become of it lies in scratch space."""
import os
import subprocess
import time
import unittest

from harness import EXCAMERA, NORMAL, Case, children, main, make_clip

MEGABYTE = 1000 * 1000


def proportional(pid):
    """Memory of one process in bytes, what it shares counted in shares; 0 when it has gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
            return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except OSError:
        return 0


def folder_size(folder):
    """Of all files, those of several names counted once."""
    sizes = {}
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                status = os.lstat(os.path.join(base, name))
            except OSError:
                continue  # gone since
            sizes[status.st_ino] = status.st_size
    return sum(sizes.values())


@unittest.skipIf(os.environ.get("ASAN_OPTIONS"), "sanitizers take memory of their own")
class Memory(Case):
    def peak(self, *arguments):
        """Peak resident bytes of `excamera` with these arguments."""
        process = subprocess.Popen([EXCAMERA, *map(str, arguments)], stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        return usage.ru_maxrss * 1024

    def test_tasks(self):
        self.need(NORMAL)
        folder = self.folder
        film = make_clip(folder / "film.y4m", "1920x1080", 18)
        peaks = {}

        def task(name, **files):
            words = [word for key, value in files.items()
                     for word in ("--" + key.replace("_", "-"), value)]
            peaks[name] = max(peaks.get(name, 0), self.peak("task", name, *words))

        for i in range(3):
            task("fetch", source=film, start=6 * i, frames=6, out_raw=folder / f"{i}.y4m")
            task("encode", raw=folder / f"{i}.y4m", out_chunk=folder / f"{i}.ivf", quality=20,
                 cpu_used=8)
        for i in range(2):
            task("decode", chunk=folder / f"{i}.ivf", out_state=folder / f"{i}.state")
        for i in range(1, 3):
            task("reencode", state=folder / f"{i - 1}.state", raw=folder / f"{i}.y4m",
                 chunk=folder / f"{i}.ivf", out_chunk=folder / f"{i}.inter.ivf",
                 out_state=folder / f"{i}.exact.state", cpu_used=8)
        task("rebase", state=folder / "1.exact.state", made_for=folder / "1.state",
             raw=folder / "2.y4m", chunk=folder / "2.inter.ivf", out_chunk=folder / "2.final.ivf",
             out_state=folder / "2.final.state")
        for name, peak in peaks.items():
            with self.subTest(name):
                self.assertLess(peak, 300 * MEGABYTE)

    def watch(self, clip, *options):
        """Runs a job and returns the peaks of its memory in all and of its scratch space, in bytes."""
        scratch = self.folder / f"scratch-{clip.stem}"
        scratch.mkdir()
        process = subprocess.Popen(
            [EXCAMERA, "encode", clip, "-o", self.folder / "out.webm", "--force", "-j", "2", "-Q",
             *options], stdin=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(scratch)})
        memory = space = 0
        while process.poll() is None:
            pids = [process.pid, *children(process.pid)]
            memory = max(memory, sum(map(proportional, pids)))
            space = max(space, folder_size(scratch))
            time.sleep(0.05)
        self.assertEqual(process.returncode, 0)
        return memory, space

    def test_whole_job(self):
        self.need(NORMAL)
        clip = make_clip(self.folder / "film.y4m", "1920x1080", 36)
        memory, _ = self.watch(clip, "--cpu-used", "16")
        self.assertLess(memory, 1000 * MEGABYTE)

    def test_scratch_does_not_grow_with_the_pictures(self):
        self.need(NORMAL)
        space = []
        for frames in (200, 600):
            clip = make_clip(self.folder / f"{frames}.mkv", "160x96", frames)
            peak = self.watch(clip, "-N", "6", "-x", "4", "-q", "50", "--cpu-used", "16")[1]
            # The film itself, and the finished chunks.
            space.append(peak - clip.stat().st_size - (self.folder / "out.webm").stat().st_size)
        self.assertGreater(space[0], 0)
        self.assertLess(space[1], 1.5 * space[0])


if __name__ == "__main__":
    main()
