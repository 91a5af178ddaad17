#!/usr/bin/env python3
"""What goes wrong says so: a status other than 0, one sentence on standard error, nothing left."""
import os
import subprocess
import unittest

from harness import EXCAMERA, Case, excamera, ffmpeg, main, make_clip, run


class Errors(Case):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"
        self.out.mkdir()
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.environment = {**os.environ, "TMPDIR": str(self.scratch)}
        self.clip = make_clip(self.folder / "clip.y4m", "64x48", 13)

    def assert_fails(self, *arguments, words=()):
        quiet = ["-Q"] if arguments[0] == "encode" and len(arguments) > 1 else []
        done = excamera(*arguments, *quiet, expect=None, env=self.environment)
        self.assertGreater(done.returncode, 0, "a status that is no signal")
        self.assertTrue(done.stderr.startswith("excamera"), done.stderr)
        self.assertLessEqual(len(done.stderr.strip().splitlines()), 3, done.stderr)
        for word in words:
            self.assertIn(word.lower(), done.stderr.lower())
        self.assert_empty(self.out)
        self.assert_empty(self.scratch)
        return done

    def test_missing_input(self):
        self.assert_fails("encode", self.folder / "no-such-film.mp4", "-o", self.out / "a.webm",
                          words=["no-such-film.mp4", "no such file"])

    def test_input_is_no_film(self):
        text = self.folder / "notes.mp4"
        text.write_text("this is not a film\n" * 100, encoding="ascii")
        self.assert_fails("encode", text, "-o", self.out / "a.webm", words=["notes.mp4"])

    def test_empty_input(self):
        empty = self.folder / "empty.mp4"
        empty.touch()
        self.assert_fails("encode", empty, "-o", self.out / "a.webm", words=["empty.mp4"])

    def test_input_is_a_folder(self):
        self.assert_fails("encode", self.folder, "-o", self.out / "a.webm", words=["folder"])

    @unittest.skipIf(os.geteuid() == 0, "root reads everything")
    def test_unreadable_input(self):
        self.clip.chmod(0)
        self.assert_fails("encode", self.clip, "-o", self.out / "a.webm", words=["permission"])

    def test_no_video_stream(self):
        sound = self.folder / "sound.ogg"
        ffmpeg("-f", "lavfi", "-i", "sine=duration=0.5", "-c:a", "libopus", sound)
        self.assert_fails("encode", sound, "-o", self.out / "a.webm", words=["video"])

    def test_no_frames(self):
        empty = self.folder / "empty.y4m"
        empty.write_bytes(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n")
        self.assert_fails("encode", empty, "-o", self.out / "a.webm")

    def test_truncated_y4m_is_said(self):
        data = self.clip.read_bytes()
        self.clip.write_bytes(data[:-1000])
        done = excamera("encode", self.clip, "-o", self.out / "a.webm", expect=None)
        self.assertNotEqual(done.stderr, "")

    def test_output_folder_is_missing(self):
        self.assert_fails("encode", self.clip, "-o", self.out / "no" / "such" / "a.webm",
                          words=["no such"])

    def test_output_exists(self):
        output = self.folder / "there.webm"
        output.write_text("precious", encoding="ascii")
        self.assert_fails("encode", self.clip, "-o", output, words=["exists", "--force"])
        self.assertEqual(output.read_text(encoding="ascii"), "precious")
        excamera("encode", self.clip, "-o", output, "--force", "-Q")
        self.assert_same_pictures(output, 13)

    def test_output_is_the_input(self):
        before = self.clip.read_bytes()
        done = excamera("encode", self.clip, "-o", self.clip, "--force", expect=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.clip.read_bytes(), before)

    def test_wrong_arguments(self):
        clip, output = self.clip, self.out / "a.webm"
        for wrong in (["-N", "0"], ["-N", "-3"], ["-N", "six"], ["-x", "0"], ["-q", "64"],
                      ["-q", "-1"], ["-j", "0"], ["--start", "-1"], ["--frames", "0"],
                      ["--no-such-option"], ["-N"], ["-N", "99999999999999999999"],
                      ["--audio-bitrate", "x"]):
            with self.subTest(wrong):
                self.assert_fails("encode", clip, "-o", output, *wrong)
        self.assert_fails("encode")
        self.assert_fails("encode", clip)
        self.assert_fails("no-such-command")

    def test_start_behind_the_end(self):
        self.assert_fails("encode", self.clip, "-o", self.out / "a.webm", "--start", 5000)

    def test_larger_than_vp8(self):
        large = self.folder / "large.mkv"
        ffmpeg("-f", "lavfi", "-i", "color=size=16400x16:rate=25", "-frames:v", 1, "-c:v", "ffv1",
               large)
        self.assert_fails("encode", large, "-o", self.out / "a.webm", words=["16383"])

    def test_full_disk_for_the_output(self):
        done = subprocess.run(f"'{EXCAMERA}' encode '{self.clip}' -o - -Q > /dev/full", shell=True,
                              capture_output=True, text=True, env=self.environment, check=False)
        self.assertGreater(done.returncode, 0)
        self.assertIn("space", done.stderr.lower())
        self.assert_empty(self.scratch)

    def full_disk(self):
        """A file system of 64 KiB, or a skipped test."""
        small = self.folder / "small"
        small.mkdir()
        if run("mount", "-t", "tmpfs", "-o", "size=64k", "none", small, expect=None).returncode:
            self.skipTest("may not mount a small file system")
        self.addCleanup(run, "umount", "-l", small)
        return small

    def test_full_disk_for_the_file(self):
        small = self.full_disk()
        clip = make_clip(self.folder / "clip2.y4m", "320x240", 13)
        words = ["encode", clip, "-o", small / "a.webm", "-q", 2, "-Q"]
        said = excamera(*words, expect=1, env=self.environment).stderr
        self.assertIn("full", said)
        self.assertIn("--resume", said)
        self.assert_empty(small)
        run("mount", "-o", "remount,size=4m", small)
        excamera(*words, "--resume", env=self.environment)
        self.assert_same_pictures(small / "a.webm", 13)
        self.assert_empty(self.scratch)

    def test_full_disk_for_scratch(self):
        small = self.full_disk()
        clip = make_clip(self.folder / "clip2.y4m", "320x240", 13)
        self.environment["TMPDIR"] = str(small)
        self.assert_fails("encode", clip, "-o", self.out / "a.webm", words=["full"])
        self.assert_empty(small)

    def test_tasks_fail_alike(self):
        missing, output = self.folder / "no-such-file", self.out / "a"
        for task in (["fetch", "--source", missing, "--frames", 6, "--out-raw", output],
                     ["encode", "--raw", missing, "--out-chunk", output],
                     ["encode", "--raw", self.clip, "--out-chunk", output / "no" / "folder"],
                     ["decode", "--chunk", missing, "--out-state", output],
                     ["decode", "--chunk", self.clip, "--out-state", output],
                     ["decode"], ["no-such-task"]):
            with self.subTest(task):
                self.assert_fails("task", *task)

    def test_help(self):
        for command in (["encode"], ["task"], ["vp8"], ["compare"], ["task", "fetch"],
                        ["task", "encode"], ["task", "decode"], ["task", "reencode"],
                        ["task", "rebase"], ["vp8", "decode"], ["vp8", "info"]):
            with self.subTest(command):
                done = excamera(*command, "--help", text=True)
                lines = done.stdout.splitlines()
                self.assertGreater(len(lines), 2)
                self.assertLessEqual(len(lines), 48, "fits on a screen")
                self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    main()
