#!/usr/bin/env python3
"""The published test vectors decode with every MD5 right."""
import unittest

from harness import VECTORS, Case, add_tests, hex_words, main, md5_excamera


class Vectors(Case):
    def check(self, stream):
        expected = hex_words((stream.parent / (stream.name + ".md5")).read_text(encoding="ascii"))
        self.assertGreater(len(expected), 0)
        self.assertEqual(md5_excamera(stream), expected)


class NoVectors(unittest.TestCase):
    def test_vectors(self):
        self.skipTest("no vectors: set XC_VECTORS to the folder of vp80-00-comprehensive-*.ivf")


if VECTORS:
    del NoVectors
    add_tests(Vectors, "check", {path.stem: (path,) for path in sorted(VECTORS.glob("*.ivf"))
                                 if (path.parent / (path.name + ".md5")).exists()})

if __name__ == "__main__":
    main()
