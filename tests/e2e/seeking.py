#!/usr/bin/env python3
"""Chunks that are decoded each for itself, from a key frame before them, are those of a straight decode."""
import dataclasses
import json
import shutil

import by_hand
from harness import ALL, LEVEL, NORMAL, Case, add_tests, ffmpeg, main

H264 = ["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
H265 = ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
VARIABLE = ["-vf", "setpts='(N+2*floor(N/3)+3*gt(N,70))*0.04/TB'", "-fps_mode", "vfr"]

# How decoding goes: from several keys; all from the film's start, since there is no other key; or from key to key,
# where some keys show other pictures than a straight decode.
MANY, ONE, SOME = "many", "one", "some"
# How the film is stored: ending, options of ffmpeg, and how decoding goes.
KINDS = {
    "h264_mp4": ("mp4", [*H264, "-g", "40", "-bf", "2"], MANY),
    "h264_pyramid_of_b_frames": ("mp4", [*H264, "-g", "50", "-bf", "8", "-b_strategy", "0", "-x264-params",
                                         "b-pyramid=normal:ref=5"], MANY),
    "h264_open_gop_mkv": ("mkv", [*H264, "-x264-params", "open-gop=1:keyint=40:bframes=3"], MANY),
    "h264_open_gop_mp4": ("mp4", [*H264, "-x264-params", "open-gop=1:keyint=40:bframes=3"], MANY),
    "h264_open_gop_ts": ("ts", [*H264, "-x264-params", "open-gop=1:keyint=40:bframes=3"], MANY),
    "h264_interlaced_ts": ("ts", [*H264, "-g", "40", "-flags", "+ildct+ilme", "-vf", "setfield=tff",
                                  "-x264-params", "tff=1"], MANY),
    "h264_variable_rate_mkv": ("mkv", [*H264, "-g", "40", *VARIABLE], MANY),
    "h264_variable_rate_mp4": ("mp4", [*H264, "-g", "40", "-bf", "3", *VARIABLE], MANY),
    "h264_one_key_frame": ("mp4", [*H264, "-g", "1000", "-sc_threshold", "0"], ONE),
    "h264_every_frame_a_key_frame": ("mov", [*H264, "-g", "1"], MANY),
    "h264_without_key_frames": ("mp4", [*H264, "-x264-params", "intra-refresh=1:keyint=40:scenecut=0"], SOME),
    "h264_without_time_stamps": ("h264", [*H264, "-g", "40"], ONE),
    "h264_fragments": ("mp4", [*H264, "-g", "40", "-movflags", "frag_keyframe+empty_moov"], MANY),
    "h264_rotated": ("mov", [*H264, "-g", "40", "-metadata:s:v", "rotate=90"], MANY),
    "h265_open_gop_mp4": ("mp4", [*H265, "-x265-params", "log-level=none:open-gop=1:keyint=40:bframes=3"],
                          MANY),
    "h265_open_gop_mkv": ("mkv", [*H265, "-x265-params", "log-level=none:open-gop=1:keyint=40:bframes=3"],
                          MANY),
    "h265_ts": ("ts", [*H265, "-x265-params", "log-level=none:keyint=40"], MANY),
    "mpeg2_ts": ("ts", ["-c:v", "mpeg2video", "-q:v", "3", "-g", "12", "-bf", "2"], MANY),
    "mpeg2_interlaced_mpg": ("mpg", ["-c:v", "mpeg2video", "-q:v", "3", "-g", "12", "-bf", "2", "-flags",
                                     "+ildct+ilme", "-vf", "setfield=tff"], MANY),
    "mpeg4_avi": ("avi", ["-c:v", "mpeg4", "-q:v", "3", "-g", "40"], MANY),
    "mpeg4_b_frames_avi": ("avi", ["-c:v", "mpeg4", "-q:v", "3", "-g", "40", "-bf", "2"], MANY),
    "vp8_webm": ("webm", ["-c:v", "libvpx", "-b:v", "200k", "-g", "40", "-auto-alt-ref", "1",
                          "-lag-in-frames", "16"], MANY),
    "vp9_webm": ("webm", ["-c:v", "libvpx-vp9", "-cpu-used", "8", "-b:v", "200k", "-g", "40"], MANY),
    "mjpeg_avi": ("avi", ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p"], MANY),
    "prores_mov": ("mov", ["-c:v", "prores_ks"], MANY),
    "ffv1_mkv": ("mkv", ["-c:v", "ffv1", "-g", "40"], MANY),
    "y4m": ("y4m", ["-pix_fmt", "yuv420p"], MANY),
    "gif": ("gif", [], ONE),
}
QUICK_KINDS = ["h264_open_gop_mp4"]
NORMAL_KINDS = ["h264_open_gop_mp4", "h264_open_gop_ts", "h264_variable_rate_mkv", "h264_rotated",
                "h264_without_key_frames", "h264_without_time_stamps", "h265_open_gop_mkv", "mpeg2_interlaced_mpg",
                "mpeg4_b_frames_avi", "vp8_webm"]


class Seeking(Case):
    settings = by_hand.Settings(chunk=15, batch=2)

    def make(self, ending, options, frames=150):
        """Hard cuts now and then, and much that moves."""
        path = self.folder / f"film.{ending}"
        cuts = "negate=enable='lt(mod(n,58),29)'"
        graph = f"testsrc2=size=80x64:rate=25:duration=600,{cuts},trim=end_frame={frames}"
        if "-vf" in options:
            at = options.index("-vf")
            graph += "," + options[at + 1]
            options = options[:at] + options[at + 2:]
        ffmpeg("-f", "lavfi", "-i", graph, *options, path)
        return path

    def assert_same(self, film, settings=None, scans=3):
        """Returns from how many keys chunks are decoded, and how many pictures were found in order."""
        settings = settings or self.settings
        straight, sought = self.folder / "straight", self.folder / "sought"
        for folder in (straight, sought):
            folder.mkdir()
        places = by_hand.cut(film, straight, settings)
        found = by_hand.cut_by_seeking(film, sought, settings, scans)
        keys = {place.pop("key")[0] for place in found}
        for place in found:
            place.pop("first")
        self.assertEqual(found, places)
        for number in range(len(places)):
            times = [json.loads((folder / f"times-{number:06d}.json").read_text())
                     for folder in (straight, sought)]
            unentered = times[1]["unentered"]
            times = [{**time, "unentered": 0} for time in times]
            self.assertEqual(times[0], times[1])
            name = f"{number:06d}.y4m"
            self.assertEqual((straight / name).read_bytes() == (sought / name).read_bytes(), True, name)
        left = sorted(path.name for path in sought.glob("[mps]*-*") if not path.name.startswith("scan"))
        self.assertEqual(left, [])
        return len(keys), unentered

    def kind(self, ending, options, how):
        keys, unentered = self.assert_same(self.make(ending, options))
        self.assertEqual((keys > 1, unentered > 0), {MANY: (True, False), ONE: (False, False)}.get(
            how, (keys > 1, True)), (keys, unentered))

    def damage(self, film, places, size=400):
        """Garbles the film at these parts of its length."""
        data = bytearray(film.read_bytes())
        for place in places:
            at = int(len(data) * place)
            for i in range(at, at + size):
                data[i] ^= 0x55
        film.write_bytes(data)
        return film

    def test_damaged_here_and_there(self):
        film = self.make("mp4", [*H264, "-g", "40", "-bf", "2"], 300)
        keys, unentered = self.assert_same(self.damage(film, (0.3, 0.55)))
        self.assertGreater(keys, 4)
        self.assertLess(unentered, 150)

    def test_damaged_time_stamps(self):
        self.need(ALL)
        film = self.make("ts", [*H264, "-g", "40", "-bf", "2"], 300)
        self.assert_same(self.damage(film, [0.3 + i / 200 for i in range(40)], 20))

    def test_damaged_everywhere(self):
        self.need(ALL)
        self.assert_same(self.make("mkv", [*H264, "-g", "40", "-bf", "2", "-bsf:v", "noise=amount=40"]))

    def truncated(self, ending):
        film = self.make(ending, [*H264, "-g", "40", "-bf", "2"], 200)
        film.write_bytes(film.read_bytes()[:film.stat().st_size * 2 // 3])
        self.assert_same(film)

    def parts(self, start, frames):
        """Of a film with pictures that are not shown, so that there are more packets than pictures."""
        film = self.make(*KINDS["vp8_webm"][:2])
        for scans in (1, 50):
            with self.subTest(scans=scans):
                self.assert_same(film, dataclasses.replace(self.settings, start=start, frames=frames), scans)
                for folder in ("straight", "sought"):
                    shutil.rmtree(self.folder / folder)

    def test_edit_list(self):
        """A film whose first pictures are cut off by its edit list only."""
        film = self.make("mp4", [*H264, "-g", "40", "-bf", "2"])
        cut = self.folder / "cut.mp4"
        ffmpeg("-ss", "0.5", "-i", film, "-c", "copy", cut)
        self.assert_same(cut)

    def test_negative_start(self):
        film = self.make("mkv", [*H264, "-g", "40", "-bf", "2"])
        early = self.folder / "early.mp4"
        ffmpeg("-itsoffset", "-1.5", "-i", film, "-c", "copy", "-avoid_negative_ts", "disabled", early)
        self.assert_same(early)

    def test_other_sizes_within(self):
        """Pictures that become larger on the way are brought to the first one's size."""
        names = []
        for number, size in enumerate(("80x64", "96x80")):
            names.append(self.folder / f"{number}.ts")
            ffmpeg("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25,trim=end_frame=80", *H264, "-g", "40",
                   "-output_ts_offset", number * 3.2, names[-1])
        film = self.folder / "film.ts"
        film.write_bytes(b"".join(name.read_bytes() for name in names))
        self.assert_same(film)

    def real(self, name, frames):
        self.assert_same(self.clip(name), dataclasses.replace(self.settings, frames=frames))


add_tests(Seeking, "parts", {"part_within": (41, 60), "part_to_the_end": (70, 0), "part_of_one": (149, 1)})
add_tests(Seeking, "truncated", {f"truncated_{ending}": (ending,) for ending in ("mkv", "ts", "avi")})
add_tests(Seeking, "real", {f"real_{name}": (name, 0 if LEVEL >= ALL else frames) for name, frames in
                            (("sintel.mp4", 45), ("seeking.mp4", 0), ("live.webm", 90))})
add_tests(Seeking, "kind", {name: arguments for name, arguments in KINDS.items()
                            if LEVEL >= ALL or name in (NORMAL_KINDS if LEVEL >= NORMAL else QUICK_KINDS)})

if __name__ == "__main__":
    main()
