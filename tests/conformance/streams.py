#!/usr/bin/env python3
"""Streams made here by vpxenc with all its tools decode to the pictures that vpxdec and ffmpeg give."""
from harness import Case, add_tests, main, make_clip, packets, run

# The clips that the streams are made of: size, frames.
CLIPS = {
    "small": ("175x143", 40),
    "medium": ("320x240", 90),
    "tiny": ("16x16", 12),
    "one_macroblock_less": ("33x17", 12),
    "narrow": ("2x65", 12),
}
TWO_PASS = ["--good", "--passes=2"]
REAL_TIME = ["--rt", "--passes=1"]
ALTREF = ["--auto-alt-ref=1", "--lag-in-frames=16"]

STREAMS = {
    "plain": ("small", TWO_PASS),
    "best": ("small", ["--best", "--passes=2"]),
    "altref_lag_16": ("small", TWO_PASS + ALTREF),
    "altref_lag_25_filtered": ("medium", TWO_PASS + [
        "--auto-alt-ref=1", "--lag-in-frames=25", "--arnr-maxframes=15", "--arnr-strength=6",
        "--arnr-type=3", "--cpu-used=4"]),
    "altref_every_20_frames_a_key": ("small", TWO_PASS + ALTREF + ["--kf-max-dist=20"]),
    "lag_without_altref": ("small", TWO_PASS + ["--lag-in-frames=10", "--auto-alt-ref=0"]),
    "resize_two_pass": ("medium", TWO_PASS + [
        "--resize-allowed=1", "--kf-max-dist=30", "--target-bitrate=15", "--cpu-used=4"]),
    "resize_real_time": ("medium", REAL_TIME + [
        "--resize-allowed=1", "--resize-down=60", "--resize-up=90", "--end-usage=cbr",
        "--kf-max-dist=20", "--target-bitrate=20", "--cpu-used=5"]),
    "error_resilient": ("small", TWO_PASS + ["--error-resilient=1"]),
    "error_resilient_partitions": ("small", TWO_PASS + ["--error-resilient=3", "--token-parts=3"]),
    "partitions_2": ("small", TWO_PASS + ["--token-parts=1"]),
    "partitions_4": ("small", TWO_PASS + ["--token-parts=2", *ALTREF]),
    "partitions_8": ("medium", TWO_PASS + ["--token-parts=3", "--cpu-used=4"]),
    "partitions_8_of_one_row": ("tiny", TWO_PASS + ["--token-parts=3"]),
    "profile_1": ("small", TWO_PASS + ["--profile=1", *ALTREF]),
    "profile_2": ("small", TWO_PASS + ["--profile=2", *ALTREF]),
    "profile_3": ("small", TWO_PASS + ["--profile=3", *ALTREF]),
    "profile_3_odd": ("one_macroblock_less", TWO_PASS + ["--profile=3"]),
    "tune_ssim": ("small", TWO_PASS + ["--tune=ssim"]),
    "real_time_fast": ("small", REAL_TIME + ["--cpu-used=16"]),
    "real_time_static": ("medium", REAL_TIME + ["--cpu-used=8", "--static-thresh=1000"]),
    "real_time_denoised": ("medium", REAL_TIME + ["--cpu-used=4", "--noise-sensitivity=3"]),
    "real_time_screen": ("medium", REAL_TIME + ["--cpu-used=6", "--screen-content-mode=1",
                                               "--end-usage=cbr"]),
    "cbr_dropping": ("small", REAL_TIME + ["--end-usage=cbr", "--drop-frame=60", "--buf-sz=200",
                                         "--target-bitrate=20"]),
    "sharpness_7": ("small", TWO_PASS + ["--sharpness=7", "--min-q=30", "--max-q=63"]),
    "nearly_lossless": ("small", TWO_PASS + ["--min-q=0", "--max-q=0"]),
    "coarsest": ("small", TWO_PASS + ["--min-q=63", "--max-q=63"]),
    "all_key_frames": ("small", TWO_PASS + ["--kf-max-dist=0"]),
    "constant_quality": ("small", TWO_PASS + ["--end-usage=cq", "--cq-level=20",
                                            "--target-bitrate=4294967"]),
    "tiny": ("tiny", TWO_PASS),
    "odd_sizes": ("one_macroblock_less", TWO_PASS + ALTREF),
    "narrow": ("narrow", TWO_PASS),
}


class Streams(Case):
    clips = {}

    def y4m(self, name):
        """The clip of that name, made once."""
        if name not in self.clips:
            size, frames = CLIPS[name]
            path = self.folder / f"{name}.y4m"
            make_clip(path, size, frames)
            self.clips[name] = path.read_bytes()
        path = self.folder / f"{name}.y4m"
        path.write_bytes(self.clips[name])
        return path

    def check(self, clip, options):
        stream = self.folder / "stream.ivf"
        run("vpxenc", "--codec=vp8", "--ivf", "--quiet", "-y", "--threads=1", "--target-bitrate=200",
            *options, f"--fpf={self.folder}/stats", "-o", stream, self.y4m(clip))
        self.assertGreater(len(packets(stream)), 0)
        self.assert_same_pictures(stream)


add_tests(Streams, "check", STREAMS)

if __name__ == "__main__":
    main()
