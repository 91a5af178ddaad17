#!/usr/bin/env python3
"""The codec for 64-bit Arm, cross-built and run by qemu: its kernels, the published test vectors, and
frames that are coded to the same bytes as on this machine."""
import functools
import hashlib
import os
import pathlib
import re
import shutil

from harness import NORMAL, ROOT, VECTORS, Case, hex_words, main, run

CODEC = os.environ.get("XC_CODEC", str(ROOT / "build/tests/arm64/codec"))
BUILD = pathlib.Path(os.environ.get("XC_ARM64_BUILD", str(ROOT / "build/tests/arm64/build")))
EMULATOR = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"]
TOOLS = ["aarch64-linux-gnu-gcc", EMULATOR[0], "meson", "ninja"]
LEVELS = ["c", "neon"]


@functools.cache
def build():
    """Cross-builds the codec and its tests, once."""
    if not (BUILD / "build.ninja").exists():
        run("meson", "setup", BUILD, ROOT, "--cross-file", ROOT / "cross/aarch64-linux-gnu.ini",
            "-Dparts=codec", "-Dwerror=true")
    run("ninja", "-j2", "-C", BUILD, "tests/dsp/test_dsp", "tests/arm64/codec")


def emulate(program, *arguments, **more):
    return run(*EMULATOR, BUILD / program, *arguments, **more)


def decoded_pictures(stream, size):
    """The MD5 of each shown frame of `size` bytes."""
    samples = emulate("tests/arm64/codec", "decode", LEVELS[-1], stream).stdout
    return [hashlib.md5(samples[at:at + size]).hexdigest() for at in range(0, len(samples), size)]


class Arm64(Case):
    def setUp(self):
        super().setUp()
        self.need(NORMAL)
        missing = [tool for tool in TOOLS if not shutil.which(tool)]
        if missing:
            self.skipTest(f"not installed: {', '.join(missing)}")
        build()

    def test_kernels(self):
        said = emulate("tests/dsp/test_dsp", env={**os.environ, "XC_TESTS": "quick"}, text=True).stdout
        found = re.findall(r"^ok \d+ - (\w+): ", said, re.M)
        self.assertEqual([found.count(level) for level in LEVELS], [len(found) / len(LEVELS)] * len(LEVELS))
        self.assertGreater(len(found), 0)

    def test_same_bytes_as_here(self):
        here = run(CODEC, "recode", "c").stdout
        self.assertGreater(len(here), 0)
        for level in LEVELS:
            self.assertEqual(emulate("tests/arm64/codec", "recode", level).stdout, here, level)

    def test_vectors(self):
        if not VECTORS:
            self.skipTest("no vectors: set XC_VECTORS to the folder of vp80-00-comprehensive-*.ivf")
        for stream in sorted(VECTORS.glob("*.ivf")):
            with self.subTest(stream.stem):
                expected = (stream.parent / (stream.name + ".md5")).read_text(encoding="ascii")
                width, height = map(int, re.search(r"-(\d+)x(\d+)-0001", expected).groups())
                size = width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)
                self.assertEqual(decoded_pictures(stream, size), hex_words(expected))


if __name__ == "__main__":
    main()
