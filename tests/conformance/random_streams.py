#!/usr/bin/env python3
"""Streams of random decisions, written by our own writer, decode to the pictures that vpxdec gives, and
those that ffmpeg gives where it follows libvpx."""
import os

from harness import ALL, LEVEL, Case, add_tests, main, md5_excamera, md5_ffmpeg, md5_vpxdec, run

WRITE_RANDOM = os.environ["WRITE_RANDOM"]
REFERENCES = ["references", "sign_bias", "hidden"]
EVERYTHING = ["segment_switch", "deltas", "references", "copy_both", "sign_bias", "scaling", "partitions",
              "entropy", "hidden", "resize", "probabilities", "far", "colour", "versions", "quantizers",
              "large", "keys"]
# Features that, used together, ffmpeg (5.1) takes otherwise than libvpx:
FFMPEG_DIFFERS = [
    {"segment_switch"},           # a map must outlive frames without segments, and end at key frames
    {"segments", "deltas"},       # libvpx clamps a segment's filter level before it adds the deltas,
    {"segments", "quantizers"},   # and a segment's quantizer index
]
COPIES_DIFFER = {"copy_both"}     # libvpx copies to altref first, ffmpeg both at once; not when rebased

# seed, size, frames, profile, features
STREAMS = {
    "plain": (1, "64x48", 20, 0, []),
    "segments": (2, "80x64", 20, 0, ["segments"]),
    "segments_on_and_off": (3, "80x64", 40, 1, ["segment_switch", "keys", "entropy"]),
    "segments_and_deltas": (4, "80x64", 30, 2, ["segments", "deltas", "quantizers", "keys"]),
    "deltas": (5, "175x49", 30, 0, ["deltas", "keys", "hidden"]),
    "references": (6, "80x64", 40, 0, REFERENCES),
    "copies_of_both": (7, "80x64", 40, 3, REFERENCES + ["copy_both"]),
    "partitions": (8, "33x300", 15, 2, ["partitions", "scaling", "colour"]),
    "entropy": (9, "80x64", 40, 1, ["entropy", "probabilities", "keys"]),
    "sizes": (10, "50x70", 40, 0, ["resize", "keys", "scaling", "references", "far"]),
    "sizes_with_segments": (11, "50x70", 40, 3, ["resize", "keys", "segment_switch", "partitions"]),
    "far_vectors_six_tap": (12, "175x143", 12, 0, ["far", *REFERENCES]),
    "far_vectors_bilinear": (13, "175x143", 12, 2, ["far", *REFERENCES]),
    "far_vectors_full_pixel": (14, "175x143", 12, 3, ["far", *REFERENCES]),
    "profiles": (15, "80x64", 30, 0, ["versions", "references", "far"]),
    "large_coefficients": (16, "80x64", 30, 1, ["large", "quantizers"]),
    "one_pixel": (17, "1x1", 30, 0, EVERYTHING),
    "widest": (18, "16383x16", 3, 0, ["far", *REFERENCES]),
    "highest": (19, "16x16383", 3, 1, ["far", "partitions", *REFERENCES]),
    "everything": (20, "175x143", 20, 0, EVERYTHING),
    "everything_smaller": (21, "33x17", 60, 0, EVERYTHING),
}
REBASED = {
    "references": (31, "80x64", 40, 0, REFERENCES + ["copy_both", "far"]),
    "references_bilinear": (32, "80x64", 40, 1, REFERENCES + ["copy_both", "large"]),
    "references_full_pixel": (33, "80x64", 40, 3, REFERENCES + ["copy_both", "partitions"]),
    "deltas": (34, "80x64", 30, 2, REFERENCES + ["deltas", "quantizers", "entropy"]),
    "segments": (35, "80x64", 30, 0, REFERENCES + ["segments", "probabilities"]),
    "everything": (36, "80x64", 30, 0, EVERYTHING),
    "everything_odd": (37, "175x143", 15, 0, EVERYTHING),
}
for name, (*recipe, words) in REBASED.items():
    STREAMS["rebased_" + name] = (*recipe, ["rebased", *words])
if LEVEL >= ALL:
    for number in range(100):
        size = f"{1 + number * 37 % 211}x{1 + number * 53 % 187}"
        STREAMS[f"everything_{number}"] = (1000 + number, size, 30, number % 4, EVERYTHING)


class RandomStreams(Case):
    def check(self, seed, size, frames, version, features):
        stream = self.folder / "stream.ivf"
        run(WRITE_RANDOM, stream, seed, *size.split("x"), frames, version, *features)
        ours = md5_excamera(stream)
        self.assertGreater(len(ours), 0)
        self.assertEqual(ours, md5_vpxdec(stream), "vpxdec")
        differ = FFMPEG_DIFFERS + ([] if "rebased" in features else [COPIES_DIFFER])
        if not any(together <= set(features) for together in differ):
            self.assertEqual(ours, md5_ffmpeg(stream), "ffmpeg")


add_tests(RandomStreams, "check", STREAMS)

if __name__ == "__main__":
    main()
