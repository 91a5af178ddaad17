#!/usr/bin/env python3
"""Films that `excamera split` has cut beforehand: encoded they are the same as the film itself."""
import json
import unittest

from coordinator import Server
from harness import EXCAMERA, Case, excamera, ffmpeg, main, make_clip

SETTINGS = ("-Q", "-q", 40, "--cpu-used", 8, "-j", 2)


class Split(Case):
    def make_film(self, name="film.mp4"):
        """With hard cuts, variable durations and sound that begins late."""
        film = self.folder / name
        ffmpeg("-f", "lavfi", "-i", "testsrc2=size=80x64:rate=25,negate=enable='lt(mod(n,38),19)',"
               "select='mod(n,7)',trim=end_frame=60", "-f", "lavfi", "-itsoffset", 0.3, "-i", "sine=duration=2",
               "-c:v", "libx264", "-preset", "veryfast", "-g", 20, "-bf", 2, "-fps_mode", "vfr", "-pix_fmt", "yuv420p",
               "-c:a", "aac", film)
        return film

    def encode(self, source, *more, name="out.webm", **rest):
        output = self.folder / name
        excamera("encode", source, "-o", output, "--force", *SETTINGS, *more, **rest)
        return output.read_bytes()

    def cut(self, film, *more, folder="cut", **rest):
        excamera("split", film, "-o", self.folder / folder, *more, **rest)
        return self.folder / folder

    def test_same_as_the_film(self):
        film = self.make_film()
        for number, options in enumerate(((), ("-N", 4, "-x", 3), ("--start", 13, "--frames", 31), ("--no-scene-cut",))):
            folder = self.cut(film, *options, folder=f"cut{number}")
            expected = self.encode(film, *options)
            self.assertEqual(self.encode(folder), expected)
            self.assertEqual(self.encode(folder, "--workers", 2, "--engine", "command", "--engine-opt",
                                         f"command={EXCAMERA} worker --invocation -"), expected)

    def test_files(self):
        folder = self.cut(self.make_film(), "-N", 10)
        lines = [json.loads(line) for line in (folder / "chunks.jsonl").read_text().splitlines()]
        self.assertEqual(lines[0]["pictures"], 60)
        self.assertEqual(lines[0]["chunks"], len(lines) - 1)
        self.assertEqual([line["number"] for line in lines[1:]], list(range(len(lines) - 1)))
        self.assertEqual(sorted(path.name for path in folder.iterdir()),
                         sorted([f"chunk-{n:06}.y4m" for n in range(len(lines) - 1)] + ["chunks.jsonl", "film.mp4"]))

    def test_without_sound(self):
        film = self.make_film()
        expected = self.encode(film, "--no-audio")
        self.assertEqual(self.encode(self.cut(film), "--no-audio"), expected)
        folder = self.cut(film, "--no-audio", folder="silent")
        self.assertFalse((folder / "film.mp4").exists())
        self.assertEqual(self.encode(folder), expected)

    def test_standard_input(self):
        clip = make_clip(self.folder / "clip.y4m", frames=20)
        with open(clip, "rb") as stream:
            folder = self.cut("-", stdin=stream)
        self.assertEqual(self.encode(folder), self.encode(clip))

    def test_elsewhere(self):
        film = self.make_film()
        excamera("keys", "init", self.folder / "keys")
        server = Server(self, "coordinator", "--keys", self.folder / "keys", "--state", self.folder / "state",
                        "--scratch", self.folder).start()
        output = self.folder / "there.webm"
        excamera("encode", self.cut(film), "-o", output, "-Q", "-q", 40, "--cpu-used", 8, "--coordinator", server.place,
                 "--keys", self.folder / "keys", "--store", self.folder / "store", timeout=120)
        self.assertEqual(output.read_bytes(), self.encode(film))

    def test_refusals(self):
        clip = make_clip(self.folder / "clip.y4m", frames=8)
        folder = self.cut(clip)
        self.assertIn("--force", excamera("split", clip, "-o", folder, expect=1).stderr)
        self.cut(clip, "--force", "-N", 4)
        said = excamera("encode", folder, "-o", self.folder / "out.webm", "-N", 5, expect=1).stderr
        self.assertIn("was cut by `excamera split`", said)
        (folder / "chunk-000001.y4m").unlink()
        self.assertEqual(excamera("encode", folder, "-o", self.folder / "out.webm", expect=1, timeout=120).returncode, 1)
        (folder / "chunks.jsonl").write_text("{}\n")
        said = excamera("encode", folder, "-o", self.folder / "out.webm", expect=1).stderr
        self.assertIn("is not the list of a film", said)
        (folder / "chunks.jsonl").unlink()
        self.assertIn("nor one that", excamera("encode", folder, "-o", self.folder / "out.webm", expect=1).stderr)
        self.assertFalse((self.folder / "out.webm").exists())


if __name__ == "__main__":
    main()
