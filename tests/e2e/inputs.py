#!/usr/bin/env python3
"""Films of every kind go in: their pictures, time stamps, shape, colours and sound come out."""
import json
import re
import subprocess

from harness import (EXCAMERA, LEVEL, NORMAL, Case, add_tests, excamera, ffmpeg, main, make_clip,
                     md5_excamera, packets, probe, run)

# How the film is stored: ending, options of ffmpeg, and a word of the summary's note on conversion.
KINDS = {
    "h264_mp4": ("mp4", ["-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p"], None),
    "h264_mov": ("mov", ["-c:v", "libx264", "-pix_fmt", "yuv420p"], None),
    "h264_without_time_stamps": ("h264", ["-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p"], None),
    "h265_mkv": ("mkv", ["-c:v", "libx265", "-x265-params", "log-level=none"], None),
    "vp8_webm": ("webm", ["-c:v", "libvpx", "-b:v", "1M"], None),
    "vp9_mkv": ("mkv", ["-c:v", "libvpx-vp9", "-cpu-used", "8", "-b:v", "1M"], None),
    "mpeg4_avi": ("avi", ["-c:v", "mpeg4", "-q:v", "3"], None),
    "y4m": ("y4m", [], None),
    "ten_bit": ("mkv", ["-c:v", "ffv1", "-pix_fmt", "yuv420p10le"], "10"),
    "prores_mov": ("mov", ["-c:v", "prores_ks"], "4:2:2"),
    "y4m_422": ("y4m", ["-pix_fmt", "yuv422p"], "4:2:2"),
    "444": ("mkv", ["-c:v", "ffv1", "-pix_fmt", "yuv444p"], "4:4:4"),
    "gray": ("mkv", ["-c:v", "ffv1", "-pix_fmt", "gray"], "gray"),
    "rgb": ("mkv", ["-c:v", "ffv1", "-pix_fmt", "bgr0"], "rgb"),
    "full_range": ("mkv", ["-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"], "range"),
}
QUICK_KINDS = ["h264_mp4", "ten_bit", "rgb"]


class Inputs(Case):
    def setUp(self):
        super().setUp()
        self.film = self.folder / "film.y4m"
        self.output = self.folder / "out.webm"

    def make(self, size="176x144", frames=12):
        return make_clip(self.film, size, frames)

    def encode(self, source, *options):
        """Encodes to self.output; returns what was said on standard error."""
        return excamera("encode", source, "-o", self.output, "-q", 10, "-j", 2, *options).stderr

    def store(self, ending, *options):
        path = self.folder / f"stored.{ending}"
        ffmpeg("-i", self.make(), *options, path)
        return path

    def luma_psnr(self, source):
        """Of the output against `source` as ffmpeg converts it, frames paired by number."""
        raw = self.folder / "reference.y4m"
        ffmpeg("-i", source, "-map", "0:v:0", "-vf", "scale=out_range=tv:flags=accurate_rnd", "-pix_fmt",
               "yuv420p", "-fps_mode", "passthrough", raw)
        graph = "[0:v]settb=1/1000,setpts=N[a];[1:v]settb=1/1000,setpts=N[b];[a][b]psnr"
        done = run("ffmpeg", "-nostdin", "-i", self.output, "-i", raw, "-lavfi", graph, "-fps_mode",
                   "passthrough", "-f", "null", "-")
        found = re.search(r"PSNR y:([\d.]+|inf) u:([\d.]+|inf) v:([\d.]+|inf)", done.stderr)
        return [float(value) for value in found.groups()]

    def kind(self, ending, options, note):
        source = self.store(ending, *options)
        said = self.encode(source)
        self.assertEqual(len(packets(self.output)), 12)
        self.assert_same_pictures(self.output, 12)
        for plane in self.luma_psnr(source):
            self.assertGreater(plane, 29)
        if note:
            self.assertIn(note, said.lower())

    def test_colour_description(self):
        source = self.store("mkv", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-color_primaries", "bt709",
                            "-color_trc", "bt709", "-colorspace", "bt709")
        self.encode(source, "-Q")
        self.assertEqual(probe(self.output, "stream=color_range,color_space,color_transfer,"
                                            "color_primaries"), [["tv", "bt709", "bt709", "bt709"]])

    def test_pixel_aspect(self):
        source = self.store("mkv", "-c:v", "ffv1", "-vf", "setsar=5/4")
        self.encode(source, "-Q")
        self.assertEqual(probe(self.output, "stream=sample_aspect_ratio"), [["5:4"]])

    def test_rotation(self):
        for degrees, size in ((90, ["144", "176"]), (180, ["176", "144"]), (270, ["144", "176"])):
            with self.subTest(degrees):
                upright = self.store("mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")
                rotated = self.folder / "rotated.mp4"
                ffmpeg("-i", upright, "-c", "copy", "-metadata:s:v", f"rotate={degrees}", rotated)
                self.encode(rotated, "-Q", "--force")
                self.assertEqual(probe(self.output, "stream=width,height"), [size])
                self.assertGreater(self.luma_psnr(rotated)[0], 29)

    def test_odd_size_with_other_sampling(self):
        for pixels in ("yuv422p", "yuv444p", "yuv420p10le"):
            with self.subTest(pixels):
                ffmpeg("-i", self.make("35x17"), "-pix_fmt", pixels, "-c:v", "ffv1",
                       self.folder / "odd.mkv")
                self.encode(self.folder / "odd.mkv", "-Q", "--force")
                self.assertEqual(probe(self.output, "stream=width,height"), [["35", "17"]])
                self.assertGreater(self.luma_psnr(self.folder / "odd.mkv")[0], 27)

    def test_variable_frame_rate(self):
        source = self.store("mkv", "-c:v", "ffv1", "-vf", "setpts='(N+2*floor(N/3)+3*gt(N,7))*0.04/TB'",
                            "-fps_mode", "vfr")
        self.encode(source, "-Q")
        stamps = [packet.time for packet in packets(self.output)]
        expected = [packet.time for packet in packets(source)]
        self.assertEqual(len(stamps), 12)
        for ours, theirs in zip(stamps, expected):
            self.assertAlmostEqual(ours - stamps[0], theirs - expected[0], delta=0.002)

    def test_frame_rates(self):
        for rate in ("24000/1001", "30000/1001", "50", "12"):
            with self.subTest(rate):
                film = make_clip(self.film, "64x48", 30, rate)
                self.encode(film, "-Q", "--force", "-q", 40)
                found = packets(self.output)
                above, _, below = rate.partition("/")
                self.assertAlmostEqual(found[-1].time - found[0].time,
                                       29 * int(below or 1) / int(above), delta=0.002)

    def test_interlaced_is_said(self):
        source = self.store("mkv", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-vf", "setfield=tff",
                            "-q:v", "3")
        self.assertIn("interlaced", self.encode(source).lower())
        self.assertEqual(len(packets(self.output)), 12)

    def test_standard_input_and_output(self):
        film = self.make()
        self.encode(film, "-Q")
        with open(film, "rb") as pipe:
            done = run(EXCAMERA, "encode", "-", "-o", "-", "-q", 10, "-Q", stdin=pipe)
        piped = self.folder / "piped.webm"
        piped.write_bytes(done.stdout)
        self.assertEqual(md5_excamera(piped), md5_excamera(self.output))
        self.assertEqual(probe(piped, "stream=codec_name"), [["vp8"]])

    def test_summary(self):
        said = self.encode(self.make())
        for word in ("12", "SSIM", "out.webm"):
            self.assertIn(word.lower(), said.lower())
        self.assertEqual(self.encode(self.make(), "-Q", "--force"), "")

    def test_json_summary(self):
        done = excamera("encode", self.make(), "-o", self.output, "-Q", "--json", text=True)
        summary = json.loads(done.stdout)
        self.assertEqual(summary["frames"], 12)
        self.assertEqual(summary["bytes"], self.output.stat().st_size)


class Sound(Case):
    """A tone between 1.0 and 1.5 s of a film of 2 s marks where the sound is."""

    def make(self, *options, name="film.mkv", offset=0.0):
        video = make_clip(self.folder / "film.y4m", "64x48", 50)
        path = self.folder / name
        ffmpeg("-i", video, "-itsoffset", offset, "-f", "lavfi", "-i",
               "sine=frequency=700:sample_rate=48000:duration=2,volume='between(t,1,1.5)':eval=frame,"
               "asetnsamples=480", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "flac", *options,
               path)
        return path

    def encode(self, source, *options):
        output = self.folder / "out.webm"
        excamera("encode", source, "-o", output, "-q", 50, "-Q", "--force", *options)
        return output

    def tone(self, path):
        """(start, end) of the tone on the film's clock."""
        first = float(probe(path, "packet=pts_time", "v:0")[0][0])
        done = run("ffmpeg", "-nostdin", "-copyts", "-i", path, "-map", "0:a:0", "-af",
                   "silencedetect=noise=0.02:duration=0.1", "-f", "null", "-")
        ends = [float(x) for x in re.findall(r"silence_end: ([\d.]+)", done.stderr)]
        starts = [float(x) for x in re.findall(r"silence_start: ([\d.]+)", done.stderr)]
        end = min((x for x in starts if x > ends[0]), default=None)
        return ends[0] - first, end and end - first

    def assert_tone(self, path, start, end):
        found = self.tone(path)
        self.assertAlmostEqual(found[0], start, delta=0.04)
        self.assertAlmostEqual(found[1], end, delta=0.04)

    def test_becomes_opus_in_step(self):
        output = self.encode(self.make())
        self.assertEqual(probe(output, "stream=codec_name", "a"), [["opus"]])
        self.assert_tone(output, 1.0, 1.5)

    def test_late_sound(self):
        self.assert_tone(self.encode(self.make(offset=0.3)), 1.3, 1.8)

    def test_aac_in_mp4(self):
        source = self.make("-c:a", "aac", name="film.mp4")
        self.assert_tone(self.encode(source), 1.0, 1.5)

    def test_other_rates_and_channels(self):
        for options in (["-ar", "44100"], ["-ac", "2"], ["-ar", "22050", "-ac", "1"], ["-ac", "6"]):
            with self.subTest(options):
                self.assert_tone(self.encode(self.make("-y", *options)), 1.0, 1.5)

    def test_part_of_the_film(self):
        self.assert_tone(self.encode(self.make(), "--start", 10, "--frames", 35), 0.6, 1.1)

    def test_ends_with_the_part(self):
        output = self.encode(self.make(), "--frames", 25)
        last = float(probe(output, "packet=pts_time", "a:0")[-1][0])
        self.assertLess(last, 1.05)

    def test_no_audio(self):
        self.assertEqual(probe(self.encode(self.make(), "--no-audio"), "stream=codec_name", "a"), [])

    def test_ivf_has_no_sound(self):
        source = self.make()
        excamera("encode", source, "-o", self.folder / "out.ivf", "-q", 50, "-Q")
        self.assertEqual(len(packets(self.folder / "out.ivf")), 50)

    def test_bitrate(self):
        source = self.make()
        sizes = []
        for rate in (16000, 128000):
            output = self.encode(source, "--audio-bitrate", rate)
            sizes.append(sum(int(row[0]) for row in probe(output, "packet=size", "a")))
        self.assertLess(2 * sizes[0], sizes[1])


class Compare(Case):
    """`compare` agrees with ffmpeg's filters to 0.01 dB.

    Those run without SIMD here: the ssim filter's SSE4 code counts a window that is not there in place of
    a row's last one where a row has 4n + 1 windows, as the chroma of these sizes has."""

    def check(self, size):
        clip = make_clip(self.folder / "clip.y4m", size, 8)
        stream = self.folder / "out.ivf"
        excamera("encode", clip, "-o", stream, "-q", 40, "-Q")
        graph = ("[0:v]settb=1/1000,setpts=N,split[a][c];[1:v]settb=1/1000,setpts=N,split[b][d];"
                 "[a][b]psnr;[c][d]ssim")
        done = subprocess.run(["ffmpeg", "-nostdin", "-cpuflags", "0", "-i", stream, "-i", clip, "-lavfi", graph,
                               "-fps_mode", "passthrough", "-f", "null", "-"], capture_output=True,
                              text=True, check=True)
        psnr = re.search(r"PSNR y:([\d.]+) u:([\d.]+) v:([\d.]+) average:([\d.]+)", done.stderr)
        ssim = re.search(r"SSIM Y:[\d.]+ \(([\d.]+)\) U:[\d.]+ \(([\d.]+)\) V:[\d.]+ \(([\d.]+)\) "
                         r"All:[\d.]+ \(([\d.]+)\)", done.stderr)
        said = excamera("compare", stream, clip, text=True).stdout
        numbers = [float(x) for x in re.findall(r"(?<![\w.])\d+\.\d+", said)]
        for peer in (*psnr.groups(), *ssim.groups()):
            nearest = min(numbers, key=lambda x: abs(x - float(peer)))
            self.assertAlmostEqual(nearest, float(peer), delta=0.0101, msg=said)

    def test_by_frame(self):
        clip = make_clip(self.folder / "clip.y4m", "64x48", 8)
        excamera("encode", clip, "-o", self.folder / "out.ivf", "-Q")
        said = excamera("compare", "--frames", clip, self.folder / "out.ivf", text=True).stdout
        self.assertGreaterEqual(len(said.splitlines()), 8)


add_tests(Compare, "check", {size: (size,) for size in ("176x144", "175x143")})
add_tests(Inputs, "kind", {name: arguments for name, arguments in KINDS.items()
                           if LEVEL >= NORMAL or name in QUICK_KINDS})

if __name__ == "__main__":
    main()
