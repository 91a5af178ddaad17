#!/usr/bin/env python3
"""The rooms of the source keep to themselves: includes go downwards, the library exports what its
header declares and nothing else, and holds no variables."""
import os
import re
import unittest

from harness import ROOT, Case, main, run

# What each room may include of the others, apart from the codec's public header.
ROOMS = {
    "vp8": [],
    "util": [],
    "net": ["util"],
    "aws": ["util", "net"],
    "store": ["util", "net", "aws"],
    "engine": ["util", "net", "aws"],
    "mu": ["util", "net", "store", "engine"],
    "media": ["util"],
    "encode": ["util", "media"],
    "cli": ["util", "net", "store", "engine", "mu", "media", "encode"],
}
# All that the codec may use of the system.
CODEC_HEADERS = ["assert.h", "endian.h", "errno.h", "inttypes.h", "limits.h", "math.h", "pthread.h", "signal.h", "stdalign.h",
                 "stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdlib.h", "string.h",
                 "xxhash.h"]
KERNEL_HEADERS = ["arm_neon.h", "cpuid.h", "immintrin.h", "sys/auxv.h"]
HEADER = ROOT / "include/excamera/vp8.h"
LIBRARY = os.environ.get("XC_LIBRARY")


def includes(path):
    text = path.read_text(encoding="utf-8")
    return re.findall(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', text, re.M)


def sources(room):
    return [path for ending in ("c", "h") for path in sorted((ROOT / "src" / room).rglob(f"*.{ending}"))]


class Includes(unittest.TestCase):
    def test_every_room_is_known(self):
        rooms = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
        self.assertEqual(rooms, set(ROOMS))

    def test_arrows_go_downwards(self):
        for room, below in ROOMS.items():
            for path in sources(room):
                for kind, name in includes(path):
                    top, _, below_top = name.partition("/")
                    # A name without a folder is a header made by the build, the room's own.
                    if kind == '"' and below_top and name != "excamera/vp8.h":
                        self.assertIn(top, [room, *below], f"{path.relative_to(ROOT)}: {name}")

    def test_codec_uses_only_the_c_library(self):
        for path in sources("vp8"):
            allowed = CODEC_HEADERS + (KERNEL_HEADERS if "dsp" in path.parts else [])
            for kind, name in includes(path):
                if kind == "<":
                    self.assertIn(name, allowed, str(path.relative_to(ROOT)))

    def test_nothing_below_the_commands_prints(self):
        for room in set(ROOMS) - {"cli"}:
            for path in sources(room):
                found = re.findall(r"\bstderr\b|\bperror\(|(?<![\w])printf\(",
                                   path.read_text(encoding="utf-8"))
                self.assertEqual(found, [], str(path.relative_to(ROOT)))


class PublicHeader(Case):
    def test_compiles_alone(self):
        for compiler, standard, language in (("cc", "c11", "c"), ("cc", "c99", "c"),
                                             ("c++", "c++11", "c++")):
            run(compiler, f"-std={standard}", "-x", language, "-fsyntax-only", "-Wall", "-Wextra",
                "-Werror", "-pedantic", HEADER)


@unittest.skipUnless(LIBRARY, "no shared library")
class Library(Case):
    def test_exports_what_the_header_declares(self):
        declared = set(re.findall(r"XC_API[^;]*?\b(xc_\w+)\(", HEADER.read_text(encoding="utf-8")))
        table = run("nm", "-D", "--defined-only", LIBRARY, text=True).stdout
        self.assertEqual({line.split()[2].split("@")[0] for line in table.splitlines()}, declared)

    @unittest.skipIf(os.environ.get("ASAN_OPTIONS"), "sanitizers add variables")
    def test_holds_no_variables(self):
        table = run("nm", "-f", "sysv", "--defined-only", LIBRARY, text=True).stdout
        found = []
        for line in table.splitlines():
            fields = [field.strip() for field in line.split("|")]
            if len(fields) == 7 and fields[3] == "OBJECT" and fields[6] in (".data", ".bss"):
                found.append(fields[0])
        # The C run-time's own.
        self.assertEqual([name for name in found if not re.match(r"completed\.|__dso_handle|__TMC_END__", name)], [])


if __name__ == "__main__":
    main()
