#!/usr/bin/env python3
"""The published test vectors decode with every MD5 right, by the kernels of each instruction set."""
import unittest

from harness import VECTORS, Case, add_tests, excamera, hex_words, main


LEVELS = ["c", "sse2", "ssse3", "avx2", "neon"]


class Vectors(Case):
    def check(self, stream):
        expected = hex_words((stream.parent / (stream.name + ".md5")).read_text(encoding="ascii"))
        self.assertGreater(len(expected), 0)
        ran = 0
        for level in LEVELS:
            done = excamera("vp8", "decode", "--md5", "--cpu", level, stream, expect=None)
            if f"this CPU has no level '{level}'" in done.stderr:
                self.assertNotEqual(level, "c")
                continue
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(hex_words(done.stdout.decode("ascii")), expected, level)
            ran += 1
        self.assertGreater(ran, 0)


class NoVectors(unittest.TestCase):
    def test_vectors(self):
        self.skipTest("no vectors: set XC_VECTORS to the folder of vp80-00-comprehensive-*.ivf")


if VECTORS:
    del NoVectors
    add_tests(Vectors, "check", {path.stem: (path,) for path in sorted(VECTORS.glob("*.ivf"))
                                 if (path.parent / (path.name + ".md5")).exists()})

if __name__ == "__main__":
    main()
