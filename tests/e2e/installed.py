#!/usr/bin/env python3
"""What `meson install` puts somewhere runs there; what reads and writes films is loaded by those who do."""
import os
import pathlib
import re
import shutil

from harness import EXCAMERA, Case, ivf_packets, main, make_clip, run

BUILD = pathlib.Path(EXCAMERA).parents[2]


def needed(path):
    return re.findall(r"NEEDED.*\[(.+)\]", run("readelf", "-d", path, text=True).stdout)


class Installed(Case):
    def setUp(self):
        super().setUp()
        destination = self.folder / "installed"
        run("meson", "install", "--no-rebuild", "-C", BUILD, env={**os.environ, "DESTDIR": str(destination)})
        self.program, = destination.glob("**/bin/excamera")
        self.modules = list(destination.glob("**/excamera-films.so"))
        self.clip = make_clip(self.folder / "clip.y4m", "64x48", 13)

    def encode(self, name, program=None, **more):
        done = run(program or self.program, "encode", self.clip, "-o", self.folder / name, "-j", 1, "-Q", **more)
        return done, self.folder / name

    def test_it_encodes_as_in_the_build_folder(self):
        _, here = self.encode("here.webm", EXCAMERA)
        _, there = self.encode("there.webm")
        self.assertEqual(here.read_bytes(), there.read_bytes())

    def module(self):
        if not self.modules:
            self.skipTest("a static program has it all in it")
        return self.modules[0]

    def test_only_the_module_needs_libav(self):
        self.assertTrue(any(name.startswith("libavcodec") for name in needed(self.module())))
        self.assertFalse([name for name in needed(self.program) if name.startswith(("libav", "libsw"))])

    def test_tasks_on_chunks_do_without_it(self):
        _, chunk = self.encode("chunk.ivf")
        self.module().unlink()
        run(self.program, "task", "decode", "--chunk", chunk, "--out-state", self.folder / "state")
        self.assertGreater((self.folder / "state").stat().st_size, 64 * 48)
        self.assertEqual(len(list(ivf_packets(chunk))), 13)

    def test_without_it_a_film_is_refused(self):
        self.module().unlink()
        done, out = self.encode("out.webm", expect=1)
        self.assertRegex(done.stderr, "^excamera encode: excamera is not installed completely: .*excamera-films.so")
        self.assertFalse(out.exists())

    def test_one_of_another_build_is_refused(self):
        module = self.module()
        source, = BUILD.glob("src/util/build_sources.c")
        build, = re.findall(r'"([0-9a-f]{64})"', source.read_text(encoding="ascii"))
        content = module.read_bytes()
        self.assertEqual(content.count(build.encode()), 1)
        module.write_bytes(content.replace(build.encode(), build[::-1].encode()))
        done, out = self.encode("out.webm", expect=1)
        self.assertRegex(done.stderr, "^excamera encode: excamera-films.so is not of the same build")
        self.assertFalse(out.exists())

    def test_one_that_is_damaged_is_refused(self):
        module = self.module()
        shutil.copy(self.clip, module)
        done, _ = self.encode("out.webm", expect=1)
        self.assertRegex(done.stderr, "^excamera encode: cannot load what reads and writes films: ")


if __name__ == "__main__":
    main()
