#!/usr/bin/env python3
"""The tasks are pure functions from files to files, and a job is nothing but its tasks: what it gives is
what they give by hand. Those that wait at points ask for what they need, and clean up behind them."""
import dataclasses
import json
import os
import shutil

import by_hand
from by_hand import Points, Settings, task
from harness import (ALL, LEVEL, NORMAL, ROOT, Case, add_tests, excamera, ffmpeg, main, make_clip,
                     packets, probe)

JOB = ROOT / "examples/encode.json"
PLAIN = Settings(batch=4, quality=30, scene_cuts=False)


def plain(folder):
    return make_clip(folder / "film.mkv", "176x144", 31)


def silent(folder):
    return make_clip(folder / "film.y4m", "175x143", 20)


def short(folder):
    return make_clip(folder / "film.mkv", "64x48", 1)


def uneven(folder):
    """A film of variable frame rate."""
    film = folder / "uneven.mkv"
    ffmpeg("-i", make_clip(folder / "film.mkv", "64x48", 30), "-vf", "setpts='(N+0.4*sin(N*N))/20/TB'",
           "-fps_mode", "vfr", "-c:v", "ffv1", "-c:a", "copy", film)
    return film


def scenes(folder):
    """Two scenes, the second from frame 20 on, and a sound."""
    film = folder / "scenes.mkv"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.8", "-f", "lavfi", "-i",
           "mandelbrot=size=64x48:rate=25:maxiter=200,trim=end_frame=20", "-f", "lavfi", "-i",
           "sine=duration=1.5", "-lavfi", "[0:v][1:v]concat=n=2,format=yuv420p[v]", "-map", "[v]",
           "-map", "2:a", "-c:v", "ffv1", "-c:a", "flac", film)
    return film


# name: film, ending of the output, settings, level
JOBS = {
    "short_last_chunk": (plain, "webm", PLAIN, 0),
    "scenes": (scenes, "webm", Settings(), 0),
    "one_frame": (short, "ivf", Settings(), 0),
    "part": (plain, "webm", dataclasses.replace(PLAIN, start=7, frames=15, audio_bitrate=64000), NORMAL),
    "uneven": (uneven, "webm", dataclasses.replace(PLAIN, batch=16), NORMAL),
    "ivf_without_sound": (silent, "ivf", dataclasses.replace(PLAIN, chunk=5), NORMAL),
    "batches_of_two": (silent, "webm", dataclasses.replace(PLAIN, chunk=4, batch=2), NORMAL),
    "batches_of_one": (silent, "webm", dataclasses.replace(PLAIN, batch=1, cpu_used=8), NORMAL),
    "chunks_of_one": (short, "webm", Settings(chunk=1, batch=1), ALL),
    "frames_one_by_one": (silent, "ivf", Settings(chunk=1, batch=1000, quality=50), ALL),
}


class Jobs(Case):
    """Through coordinator, rendezvous and workers comes the same as by hand."""

    def check(self, make_film, ending, settings):
        film = make_film(self.folder)
        expected = by_hand.encode(film, self.folder / "hand", self.folder / f"hand.{ending}", settings)
        output, summary = self.folder / f"job.{ending}", self.folder / "summary.json"
        excamera("run", JOB, f"input={film}", f"output={output}", f"kind={ending}", f"summary={summary}",
                 *settings.of_job(), "--workers", 2)
        self.assertEqual(expected, output.read_bytes())
        self.check_summary(json.loads(summary.read_text()), output)

    def check_summary(self, summary, output):
        found = packets(output)
        self.assertEqual(summary["frames"], len(found))
        self.assertEqual(summary["key_frames"], sum(packet.key for packet in found))
        self.assertEqual(summary["batches"], summary["key_frames"])
        self.assertEqual(summary["bytes"], output.stat().st_size)
        self.assertEqual(summary["video_bytes"], sum(packet.size for packet in found))
        sound = output.suffix == ".webm" and bool(probe(output, "stream=codec_name", "a:0"))
        self.assertEqual(summary["has_audio"], sound)


add_tests(Jobs, "check", {name: job[:3] for name, job in JOBS.items() if job[3] <= LEVEL})


class Purity(Case):
    def test_same_files_in_same_bytes_out(self):
        film = plain(self.folder)
        for name in ("one", "two"):
            by_hand.encode(film, self.folder / name, self.folder / f"{name}.webm", PLAIN)
        for path in sorted((self.folder / "one").iterdir()):
            self.assertEqual(path.read_bytes(), (self.folder / "two" / path.name).read_bytes(),
                             path.name)
        self.assertEqual(*((self.folder / f"{name}.webm").read_bytes() for name in ("one", "two")))

    def test_state_at_the_end_is_what_decoding_gives(self):
        hand = self.folder / "hand"
        by_hand.encode(silent(self.folder), hand, self.folder / "out.ivf", PLAIN)
        before = None
        for i in range(3):  # the fourth chunk ends the film, and has no state
            after = self.folder / f"{i}.decoded"
            task("decode", chunk=hand / f"{i:06d}.final.ivf", out_state=after, state=before)
            before = after
        self.assertEqual(before.read_bytes(), (hand / "000002.exact").read_bytes())

    def test_pictures_of_the_source_are_those_that_are_fetched(self):
        hand = self.folder / "hand"
        film = plain(self.folder)
        hand.mkdir()
        places = by_hand.cut(film, hand, PLAIN)
        self.assertEqual([place["pictures"] for place in places], [6, 6, 6, 6, 6, 1])
        self.assertEqual([place["position"] for place in places], [0, 1, 2, 3, 0, 1])
        self.assertEqual([place["last_of_batch"] for place in places],
                         [False, False, False, True, False, True])
        for number, place in enumerate(places):
            fetched = self.folder / "fetched.y4m"
            task("fetch", source=film, start=6 * number, frames=6, out_raw=fetched)
            self.assertEqual(fetched.read_bytes(), (hand / f"{number:06d}.y4m").read_bytes())


class AtPoints(Case):
    """Tasks that ask for what they need while they run."""

    def setUp(self):
        super().setUp()
        self.work = self.folder / "work"
        self.work.mkdir()

    def files(self):
        return sorted(path.name for path in self.work.iterdir())

    def source(self, film, settings=PLAIN):
        return Points(self.work, "source", source=film, **settings.of_source())

    def test_source_hands_out_chunks(self):
        source = self.source(silent(self.folder))
        asked, there = [], {}
        for name, number in source:
            asked.append((name, number))
            there[name, number] = self.files()
            source.answer("ready")
        status, said = source.end()
        self.assertEqual((status, said), (0, ""))
        names = ("needed", "times", "wanted", "raw", "place")
        self.assertEqual(asked, [(name, number) for number in range(4) for name in names] + [("end", 4)])
        for number in range(4):
            self.assertEqual(there["needed", number], [])
            self.assertIn(f"times-{number:06d}.json", there["times", number])
            self.assertEqual(there["raw", number],
                             [f"{name}-{number:06d}.{ending}" for name, ending in
                              (("place", "json"), ("raw", "y4m"), ("times", "json"))])
        self.assertEqual(self.files(), [])

    def test_source_begins_anew_behind_what_is_done(self):
        whole, rest = self.folder / "whole", self.work
        film = silent(self.folder)
        whole.mkdir()
        by_hand.cut(film, whole, PLAIN)
        source = self.source(film)
        asked = []
        for name, number in source:
            asked.append((name, number))
            if name == "times":
                path = f"times-{number:06d}.json"
                self.assertEqual((rest / path).read_bytes(), (whole / path).read_bytes())
                self.assertEqual((rest / f"raw-{number:06d}.y4m").exists(), number >= 2)
            if name == "raw":
                self.assertEqual((rest / f"raw-{number:06d}.y4m").read_bytes(),
                                 (whole / f"{number:06d}.y4m").read_bytes())
            source.answer("done" if name == "needed" and number < 2 else "ready")
        self.assertEqual(source.end(), (0, ""))
        self.assertEqual(asked[:4], [("needed", 0), ("times", 0), ("needed", 1), ("times", 1)])
        self.assertEqual(asked[4:6], [("needed", 2), ("times", 2)])

    def test_source_is_cancelled(self):
        for point in ("needed", "times", "wanted", "raw", "place", "end"):
            source = self.source(silent(self.folder))
            for name, _ in source:
                source.answer("cancelled" if name == point else "ready")
                if name == point:
                    break
            status, said = source.end()
            self.assertEqual(status, 1, point)
            self.assertEqual(said, f"excamera task source: waited for {point}, but it will not come\n")
            self.assertEqual(self.files(), [])

    def test_source_says_what_is_wrong_with_the_film(self):
        film = silent(self.folder)
        for bad, settings, words in (
                (self.folder / "none.mkv", PLAIN, "none.mkv: No such file"),
                (JOB, PLAIN, "encode.json"),
                (film, dataclasses.replace(PLAIN, start=500), "only 20 frames")):
            source = self.source(bad, settings)
            for _ in source:
                source.answer("ready")
            status, said = source.end()
            self.assertEqual(status, 1)
            self.assertIn(words, said.splitlines()[-1])
            self.assertEqual(self.files(), [])

    def join(self, name, hand_in):
        """`task join` in self.work, to which `hand_in(name, number, file)` brings what it asks for."""
        join = Points(self.work, "join", output=self.folder / name)
        for point, number in join:
            file = f"{point}-{number:06d}.{'json' if point == 'times' else 'ivf'}"
            hand_in(point, number, file)
            join.answer("ready")
        return join.end()

    def test_join_takes_chunks_as_they_come(self):
        hand, stock = self.folder / "hand", self.folder / "stock"
        stock.mkdir()
        by_hand.encode(silent(self.folder), hand, self.folder / "hand.ivf", PLAIN)
        with self.subTest("one by one"):
            asked = []
            by_hand.cut(self.folder / "film.y4m", stock, PLAIN)
            for number in range(4):
                shutil.copy(hand / f"{number:06d}.final.ivf", stock / f"chunk-{number:06d}.ivf")

            def bring(point, number, file):
                asked.append((point, number))
                shutil.copy(stock / file, self.work)
            self.assertEqual(self.join("job.ivf", bring), (0, ""))
            self.assertEqual(asked, [(point, number) for number in range(4)
                                     for point in ("times", "chunk")])
            self.assertEqual(self.files(), [])
            self.assertEqual((self.folder / "job.ivf").read_bytes(),
                             (self.folder / "hand.ivf").read_bytes())
        with self.subTest("ended half way, and begun anew"):
            join, asked = Points(self.work, "join", output="again.ivf"), []
            for point, number in join:
                if (point, number) == ("chunk", 2):
                    break
                bring(point, number, f"{point}-{number:06d}.{'json' if point == 'times' else 'ivf'}")
                join.answer("ready")
            join.process.kill()
            join.end()
            self.assertEqual(len(self.files()), 6)  # five that came, and an unfinished film
            asked.clear()
            self.assertEqual(self.join(self.work / "again.ivf", bring), (0, ""))
            self.assertEqual(asked, [("chunk", 2), ("times", 3), ("chunk", 3)])
            self.assertEqual(self.files(), ["again.ivf"])
            self.assertEqual((self.work / "again.ivf").read_bytes(), (self.folder / "hand.ivf").read_bytes())
            (self.work / "again.ivf").unlink()

        def fail(spoil, words):
            def bring(_, number, file):
                shutil.copy(stock / file, self.work)
                if number == 1:
                    spoil(self.work / file)
            status, said = self.join("bad.ivf", bring)
            self.assertEqual(status, 1)
            self.assertIn(words, said.splitlines()[-1])
            self.assertFalse((self.folder / "bad.ivf").exists())
            self.assertEqual(self.files(), [])
        with self.subTest("a chunk too short"):
            fail(lambda path: path.suffix == ".ivf" and shutil.copy(stock / "chunk-000003.ivf", path),
                 "chunk 1 shows 2 frames instead of 6")
        with self.subTest("cut off"):
            fail(lambda path: os.truncate(path, 100), "times-000001.json")
        with self.subTest("missing"):
            fail(os.unlink, "times-000001.json")

    def test_rebase_waits_for_its_state_and_sends_the_next(self):
        hand = self.folder / "hand"
        by_hand.encode(silent(self.folder), hand, self.folder / "hand.ivf", PLAIN)

        def start():
            return Points(self.work, "rebase", state="before", state_point="here",
                          made_for=hand / "000001.approximate", raw=hand / "000002.y4m",
                          chunk=hand / "000002.reencoded.ivf", out_chunk="chunk", out_state="after",
                          out_state_point="there")
        rebase, asked = start(), []
        for point, number in rebase:
            asked.append((point, number))
            if point == "here":
                self.assertEqual(self.files(), [])
                shutil.copy(hand / "000001.exact", self.work / "before")
            else:
                self.assertEqual(self.files(), ["after", "before"])
                self.assertEqual((self.work / "after").read_bytes(),
                                 (hand / "000002.exact").read_bytes())
            rebase.answer("ready")
        self.assertEqual(rebase.end(), (0, ""))
        self.assertEqual(asked, [("here", None), ("there", None)])
        self.assertEqual((self.work / "chunk").read_bytes(), (hand / "000002.final.ivf").read_bytes())
        (self.work / "chunk").unlink()
        for word in ("cancelled", "what?"):
            rebase = start()
            for point, _ in rebase:
                rebase.answer("ready" if point == "here" else word)
            status, said = rebase.end()
            self.assertEqual(status, 1)
            self.assertIn("waited for there", said)
            self.assertFalse((self.work / "chunk").exists())


if __name__ == "__main__":
    main()
