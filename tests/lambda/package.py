#!/usr/bin/env python3
"""`excamera lambda package`: what is in the zip needs nothing else. In a chroot that holds it alone the program
makes the same bytes as here, works as a function's runtime, finds hosts by DNS and knows them by the zip's authorities."""
import functools
import http.server
import os
import pathlib
import re
import shutil
import socketserver
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import zipfile

from bootstrap import INVOKE
from harness import ALL, EXCAMERA, Case, add_tests, excamera, ffmpeg, main, make_clip, run
from service import Service
from spaces import Space

MOST_BYTES = 40 * 1000 * 1000
TOOLS = {"x86-64": ["meson", "ninja", "nasm", "x86_64-linux-gnu-gcc"],
         "arm64": ["meson", "ninja", "aarch64-linux-gnu-gcc", "qemu-aarch64-static"]}
# How films are stored: ending, and options of ffmpeg.
KINDS = {
    "h264_aac_mp4": ("mp4", ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"]),
    "h265_ac3_mkv": ("mkv", ["-c:v", "libx265", "-x265-params", "log-level=none", "-c:a", "ac3"]),
    "av1_opus_webm": ("webm", ["-c:v", "libaom-av1", "-cpu-used", "8", "-c:a", "libopus"]),
    "vp9_vorbis_webm": ("webm", ["-c:v", "libvpx-vp9", "-cpu-used", "8", "-c:a", "libvorbis"]),
    "vp8_vorbis_webm": ("webm", ["-c:v", "libvpx", "-c:a", "libvorbis"]),
    "mpeg2_mp2_ts": ("ts", ["-c:v", "mpeg2video", "-q:v", "3", "-c:a", "mp2"]),
    "mpeg4_mp3_avi": ("avi", ["-c:v", "mpeg4", "-q:v", "3", "-c:a", "libmp3lame"]),
    "prores_pcm_mov": ("mov", ["-c:v", "prores_ks", "-c:a", "pcm_s24le"]),
    "dnxhd_mxf": ("mxf", ["-c:v", "dnxhd", "-s", "1280x720", "-b:v", "90M", "-pix_fmt", "yuv422p", "-c:a",
                          "pcm_s16le"]),
    "ffv1_flac_mkv": ("mkv", ["-c:v", "ffv1", "-pix_fmt", "yuv420p10le", "-c:a", "flac"]),
    "theora_ogg": ("ogg", ["-c:v", "libtheora", "-c:a", "libvorbis"]),
    "mjpeg_avi": ("avi", ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-c:a", "pcm_mulaw"]),
    "wmv_asf": ("wmv", ["-c:v", "wmv2", "-c:a", "wmav2"]),
}


@functools.cache
def package(arch):
    """The zip, made once; in a folder of its own, which goes at the end."""
    folder = tempfile.TemporaryDirectory(prefix="excamera-package-")
    path = pathlib.Path(folder.name) / "function.zip"
    said = excamera("lambda", "package", "--arch", arch, "--output", path, timeout=3000, text=True).stdout
    return folder, path, said


class Package(Case):
    arch = "x86-64"
    spaces = ["mount"]

    def setUp(self):
        super().setUp()
        self.need(ALL)
        missing = [tool for tool in TOOLS[self.arch] if not shutil.which(tool)]
        if missing:
            self.skipTest(f"not installed: {', '.join(missing)}")
        _, self.zip, self.said = package(self.arch)
        self.shared = self.folder / "shared"
        self.shared.mkdir()

    def unpack(self):
        """A root that holds the zip alone, as Lambda places it, with what a kernel gives and a shared folder."""
        self.root = self.folder / "root"
        for path in ["var/task", "proc", "dev", "tmp", "etc", str(self.shared)[1:]]:
            (self.root / path).mkdir(parents=True)
        self.task = self.root / "var/task"
        with zipfile.ZipFile(self.zip) as members:
            for member in members.infolist():
                members.extract(member, self.task)
                (self.task / member.filename).chmod(member.external_attr >> 16 & 0o777)
        self.space = Space(self, *self.spaces)
        for path in ["/proc", "/dev", self.shared]:
            self.space.run("mount", "--rbind", path, f"{self.root}{path}")
        self.inside = [*self.space.prefix, "/usr/sbin/chroot", self.root]

    def packaged(self, *words, **more):
        return run(*self.inside, "/var/task/bootstrap", *words, env=dict(more.pop("env", {}), TMPDIR="/tmp"),
                   **more)

    def film(self, ending, options, frames=14):
        raw, film = self.folder / "film.mov", self.shared / f"film.{ending}"
        make_clip(raw, "112x80", frames)
        ffmpeg("-i", raw, "-threads", "1", *options, film)
        return film

    def encode_both(self, film, *options):
        """Here, and with what is in the zip alone."""
        here, there = self.shared / "here.webm", self.shared / "there.webm"
        excamera("encode", film, "-o", here, "-q", 20, *options)
        self.packaged("encode", film, "-o", there, "-q", 20, *options)
        return here.read_bytes(), there.read_bytes()

    def kind(self, ending, options):
        self.unpack()
        here, there = self.encode_both(self.film(ending, options))
        self.assertEqual(here, there)


class X86(Package):
    def test_what_is_in_it(self):
        size = self.zip.stat().st_size
        self.assertLess(size, MOST_BYTES)
        self.assertIn(f"{size / 1e6:.1f} MB", self.said)
        with zipfile.ZipFile(self.zip) as members:
            self.assertEqual([(member.filename, member.external_attr >> 16, member.date_time)
                              for member in members.infolist()],
                             [("bootstrap", 0o100755, (1980, 1, 1, 0, 0, 0)),
                              ("ca-certificates.crt", 0o100644, (1980, 1, 1, 0, 0, 0))])
            authorities = members.read("ca-certificates.crt").decode()
        self.assertGreater(len(re.findall("-----BEGIN CERTIFICATE-----\n", authorities)), 100)

    def test_the_same_of_an_installed_copy(self):
        destination = self.folder / "installed"
        run("meson", "install", "--no-rebuild", "-C", pathlib.Path(EXCAMERA).parents[2],
            env={**os.environ, "DESTDIR": str(destination)})
        program, = destination.glob("**/bin/excamera")
        path = self.folder / "again.zip"
        run(program, "lambda", "package", "--output", path, timeout=3000)
        self.assertEqual(path.read_bytes(), self.zip.read_bytes())

    def test_a_program_without_its_sources(self):
        self.unpack()
        said = self.packaged("lambda", "package", expect=1).stderr
        self.assertIn("the sources are not there", said)

    def test_a_function(self):
        """Instances in chroots work for a coordinator outside that has Debian's libraries."""
        self.unpack()
        film = self.film("mp4", KINDS["h264_aac_mp4"][1], 40)
        (self.folder / "invoke.py").write_text(INVOKE)
        start = self.folder / "start"
        start.write_text(f"#!/bin/sh\nexec {' '.join(map(str, self.inside))} /var/task/bootstrap\n")
        start.chmod(0o755)
        service = Service(self, start)
        service.signed = False
        launch = (f"{sys.executable} {self.folder}/invoke.py "
                  f"{service.url}/2015-03-31/functions/worker/invocations")
        here, there = self.shared / "here.webm", self.shared / "there.webm"
        settings = ["-q", 20, "--chunk", 6, "--batch", 4]
        excamera("encode", film, "-o", here, *settings)
        excamera("encode", film, "-o", there, *settings, "--workers", 3, "--engine", "command",
                 "--engine-opt", f"command={launch}", env={**os.environ, "TMPDIR": str(self.shared)})
        self.assertEqual(here.read_bytes(), there.read_bytes())
        self.assertGreaterEqual(len(service.instances), 3)


class Hosts(Package):
    """A film behind an https URL, whose host only a name server in the chroot's network knows."""

    spaces = ["mount", "net"]

    def setUp(self):
        super().setUp()
        self.unpack()
        self.film_path = self.film("webm", KINDS["vp8_vorbis_webm"][1])
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", "/CN=tests", "-addext", "subjectAltName=DNS:films.test", "-days", 2,
            "-keyout", self.folder / "key.pem", "-out", self.folder / "certificate.pem")
        (self.root / "etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:5\n")
        self.port = self.serve()

    def serve(self):
        """Runs this file's servers in the space, until the test ends."""
        server = subprocess.Popen([*self.space.prefix, sys.executable, "-B", __file__, "--serve", self.folder,
                                   self.film_path], stdout=subprocess.PIPE, text=True)

        def end():
            server.kill()
            server.wait()
            server.stdout.close()
        self.space.run("ip", "link", "set", "lo", "up")
        self.addCleanup(end)
        return int(server.stdout.readline())

    def fetch(self, **more):
        raw = self.shared / "raw.y4m"
        said = self.packaged("task", "fetch", "--source", f"https://films.test:{self.port}/film.webm",
                             "--out-raw", raw, **more).stderr
        return said, raw

    def test_a_known_host(self):
        shutil.copy(self.folder / "certificate.pem", self.task / "ca-certificates.crt")
        here = self.shared / "here.y4m"
        excamera("task", "fetch", "--source", self.film_path, "--out-raw", here)
        self.assertEqual(self.fetch()[1].read_bytes(), here.read_bytes())

    def test_what_the_system_says_of_name_services(self):
        shutil.copy(self.folder / "certificate.pem", self.task / "ca-certificates.crt")
        (self.root / "etc/nsswitch.conf").write_text("hosts: resolve [!UNAVAIL=return] nothing\n")
        self.fetch()

    def test_an_unknown_host(self):
        said, raw = self.fetch(expect=1)
        self.assertRegex(said, "certificate")
        self.assertFalse(raw.exists())


class Arm64(Package):
    """By qemu, which cannot be asked for all that a worker's slots ask a kernel for: task by task."""

    arch = "arm64"

    def unpack(self):
        super().unpack()
        shutil.copy(shutil.which("qemu-aarch64-static"), self.root / "qemu")
        self.inside.append("/qemu")

    def tasks(self, program, film, folder):
        """The second chunk of a film as one that follows the first one; and all that is made on the way."""
        folder.mkdir()

        def task(name, *words):
            program("task", name, *(folder / word[1:] if str(word).startswith("@") else word for word in words))
        for chunk in ("first", "second"):
            task("fetch", "--source", film, "--start", 6 * (chunk == "second"), "--frames", 6,
                 "--out-raw", f"@{chunk}.y4m")
            task("encode", "--raw", f"@{chunk}.y4m", "--out-chunk", f"@{chunk}.ivf", "--quality", 20)
        task("decode", "--chunk", "@first.ivf", "--out-state", "@first.state")
        task("reencode", "--state", "@first.state", "--raw", "@second.y4m", "--chunk", "@second.ivf",
             "--out-chunk", "@last.ivf", "--out-state", "@last.state")
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def test_tasks(self):
        self.unpack()
        for name in ("h264_aac_mp4", "av1_opus_webm"):
            film = self.film(*KINDS[name])
            here = self.tasks(excamera, film, self.shared / f"here-{name}")
            there = self.tasks(self.packaged, film, self.shared / f"there-{name}")
            self.assertEqual([file for file in here if here[file] != there[file]], [], name)
            self.assertEqual(len(here), 7)


add_tests(X86, "kind", KINDS)


# ---- Servers in the space ------------------------------------------------------------------------

class Films(http.server.BaseHTTPRequestHandler):
    """One file, by ranges."""
    protocol_version = "HTTP/1.1"
    content = b""

    def do_GET(self):
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups())
        part = self.content[first:last + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{first + len(part) - 1}/{len(self.content)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


class Names(socketserver.BaseRequestHandler):
    """Knows one name, films.test, as 127.0.0.1 (RFC 1035 section 4)."""

    def handle(self):
        query, socket = self.request
        end = query.index(0, 12) + 5  # of the name, its type and its class
        kind, = struct.unpack_from(">H", query, end - 4)
        known = query[12:end - 4] == b"\5films\4test\0"
        answers = known and kind == 1
        head = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, answers, 0, 0)
        record = struct.pack(">HHHIH4B", 0xc00c, 1, 1, 60, 4, 127, 0, 0, 1) if answers else b""
        socket.sendto(head + query[12:end] + record, self.client_address)


def serve(folder, film):
    Films.content = pathlib.Path(film).read_bytes()
    names = socketserver.ThreadingUDPServer(("127.0.0.1", 53), Names)
    threading.Thread(target=names.serve_forever, daemon=True).start()
    films = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Films)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/certificate.pem", f"{folder}/key.pem")
    films.socket = context.wrap_socket(films.socket, server_side=True)
    print(films.server_port, flush=True)
    films.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:])
    main()
