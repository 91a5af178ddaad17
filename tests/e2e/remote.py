#!/usr/bin/env python3
"""Films behind URLs: a real web server's, read by ranges."""
import json
import os
import unittest

import by_hand
import web
from harness import ROOT, Case, excamera, ffmpeg, main


@unittest.skipUnless(web.PROGRAM, "no nginx: apt-get install nginx-light")
class Remote(Case):
    def setUp(self):
        super().setUp()
        self.folder.chmod(0o755)
        self.films = self.folder / "films"
        self.films.mkdir()
        self.server = web.Server(self.films, self.folder / "server")
        self.addCleanup(self.server.close)

    def make(self, name, frames=150, size="80x64", noise=0):
        """A film with hard cuts and sound; noise makes it large."""
        path = self.films / name
        ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25,negate=enable='lt(mod(n,58),29)',"
               f"noise=alls={noise}:allf=t,trim=end_frame={frames}", "-f", "lavfi", "-i", f"sine=duration={frames / 25}", "-c:v", "libx264",
               "-preset", "veryfast", "-g", "40", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac",
               path)
        return path

    def fetch(self, url, start=0, frames=3, expect=0, **more):
        """Fetches a few pictures; returns them, or what was said."""
        raw = self.folder / "raw.y4m"
        done = excamera("task", "fetch", "--source", url, "--start", start, "--frames", frames, "--out-raw", raw,
                        expect=expect, **more)
        return done.stderr if expect else raw.read_bytes()

    def test_pictures_are_those_of_the_file(self):
        for name in ("film.mp4", "film.mkv", "film.ts"):
            film = self.make(name)
            expected = self.fetch(film)
            for url in (f"{self.server.url}/{name}", f"{self.server.url}/moved/{name}?with=query"):
                self.assertEqual(self.fetch(url), expected)

    def test_by_tls(self):
        film = self.make("film.mp4")
        url = f"{self.server.tls_url}/film.mp4"
        self.assertEqual(self.fetch(url, env={**os.environ, "AWS_CA_BUNDLE": self.server.certificate}),
                         self.fetch(film))
        self.assertIn("certificate", self.fetch(url, expect=1))

    def test_reads_only_what_is_needed(self):
        film = self.make("film.mp4", 250, "320x240", 40)
        size = film.stat().st_size
        self.assertGreater(size, 4 << 20)
        folder, place = self.folder / "planned", self.folder / "place.json"
        folder.mkdir()
        place.write_text(json.dumps(by_hand.cut_by_seeking(film, folder, by_hand.Settings(chunk=40), 1)[-1]))
        before = len(self.server.requests())
        excamera("task", "fetch", "--source", f"{self.server.url}/film.mp4", "--place", place, "--out-raw",
                 self.folder / "raw.y4m")
        requests = self.server.requests()[before:]
        self.assertTrue(all(request[0] == 206 for request in requests), requests)
        self.assertLess(sum(request[1] for request in requests), size / 3)

    def test_a_busy_server_is_asked_again(self):
        film = self.make("film.mp4", 100, "320x240", 40)
        self.assertEqual(self.fetch(f"{self.server.url}/busy/film.mp4", 90), self.fetch(film, 90))
        self.assertIn(503, {request[0] for request in self.server.requests()})

    def test_says_what_is_wrong(self):
        self.make("film.mp4")
        (self.films / "empty.mp4").touch()
        (self.films / "text.mp4").write_text("no film " * 100)
        url = self.server.url
        for path, words in (("none.mp4", "there is no such file"), ("denied/film.mp4", "access is denied"),
                            ("whole/film.mp4", "does not give parts of files"), ("empty.mp4", "is empty"),
                            ("text.mp4", "is not a film")):
            said = self.fetch(f"{url}/{path}?signature=secret", expect=1)
            self.assertIn(words, said)
            self.assertIn(f"{url}/{path}", said)
            self.assertNotIn("secret", said)

    def test_encodes_alike(self):
        """One film as a file and behind a URL, decoded by one for all and by each for itself."""
        film, options = self.make("film.mkv"), ["-q", 40, "--cpu-used", 8, "-j", 2, "-Q"]
        output = self.folder / "out.webm"
        excamera("encode", film, "-o", output, *options)
        expected = output.read_bytes()
        excamera("encode", f"{self.server.url}/film.mkv", "-o", output, "--force", *options)
        self.assertEqual(output.read_bytes(), expected)
        for number, choices in enumerate((
                [f"input={film}", "source=reference:film.url"],
                ["input=", f"source={self.server.url}/film.mkv"])):
            output, summary = self.folder / f"{number}.webm", self.folder / f"{number}.json"
            excamera("run", ROOT / "examples/encode.json", "frames_by=seeking", "scans=3", "quality=40", "cpu_used=8",
                     f"output={output}", f"summary={summary}", *choices, "--workers", 2)
            self.assertEqual(output.read_bytes(), expected)
            self.assertEqual(json.loads(summary.read_text())["unentered"], 0)


if __name__ == "__main__":
    main()
