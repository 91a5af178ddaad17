#!/usr/bin/env python3
"""Jobs whose objects are in S3: a real service (Ceph's gateway), by TLS and without, that refuses, fails and is slow."""
import os
import re
import socket
import socketserver
import subprocess
import threading
import unittest

import radosgw
from harness import EXCAMERA, NORMAL, Case, excamera, main, make_clip, run

TEST_STORE = os.environ.get("TEST_STORE_S3")
SETTINGS = ("-Q", "-j", "2", "-N", "6", "-x", "4")
MISSING = radosgw.missing()
gateway = None


def setUpModule():
    global gateway
    gateway = radosgw.Gateway()
    gateway.request("PUT", "films")
    gateway.add_user("stranger", "STRANGER", radosgw.SECRET_KEY)


def tearDownModule():
    if gateway is not None:
        gateway.stop()


class Trouble(socketserver.ThreadingTCPServer):
    """Stands before the gateway: answers so many of its requests badly, or not for a while."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer, every):
        self.answer, self.every, self.requests, self.failed = answer, every, 0, 0
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), TroubleHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def is_bad(self):
        with self.lock:
            self.requests += 1
            bad = self.every and self.requests % self.every == 0
            self.failed += bool(bad)
            return bad


class TroubleHandler(socketserver.StreamRequestHandler):
    """One request a connection, the request passed on as it is: its signature covers the host."""

    def handle(self):
        head = b""
        while b"\r\n\r\n" not in head:
            line = self.rfile.readline()
            if not line:
                return
            head += line
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if b"100-continue" in head.lower():
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:"))
        body = self.rfile.read(length)
        if self.server.is_bad():
            self.wfile.write(self.server.answer)
            return
        host, port = gateway.plain.removeprefix("http://").split(":")
        # The answer ends with the connection.
        head = head[:-2] + b"Connection: close\r\n\r\n"
        with socket.create_connection((host, int(port))) as there:
            there.sendall(head + body)
            while True:
                piece = there.recv(65536)
                if not piece:
                    break
                self.wfile.write(piece)


def refusal(status):
    return (f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").encode()


@unittest.skipIf(MISSING, MISSING)
class Store(Case):
    """The store's operations, in tests/unit/test_store_s3.c."""

    def check(self, url):
        run(TEST_STORE, env=gateway.environment(url, TEST_PLACE="s3://films/unit/a b"), timeout=300)
        self.assertEqual(gateway.keys("films"), [])

    def test_plain(self):
        self.check(gateway.plain)

    def test_secure(self):
        self.check(gateway.secure)


@unittest.skipIf(MISSING, MISSING)
class Encode(Case):
    def setUp(self):
        super().setUp()
        self.clip = make_clip(self.folder / "clip.y4m", frames=36)
        excamera("encode", self.clip, "-o", self.folder / "here.webm", *SETTINGS)
        self.expected = (self.folder / "here.webm").read_bytes()

    def encode(self, *more, url=None, expect=0, source=None, output="there.webm", **variables):
        return excamera("encode", source or self.clip, "-o",
                        output if output.startswith("s3:") else self.folder / output, *SETTINGS, "--store",
                        "s3://films/jobs", *more, env=gateway.environment(url, TMPDIR=str(self.folder), **variables),
                        expect=expect, timeout=400)

    def assert_same(self):
        self.assertEqual((self.folder / "there.webm").read_bytes(), self.expected)
        self.assertEqual(gateway.keys("films"), [])

    def test_objects_over_tls(self):
        self.need(NORMAL)
        self.encode(url=gateway.secure)
        self.assert_same()

    def test_film_and_output(self):
        gateway.request("PUT", "films/in/clip.y4m", self.clip.read_bytes())
        self.encode(source="s3://films/in/clip.y4m", output="s3://films/out/film.webm")
        self.assertEqual(gateway.request("GET", "films/out/film.webm"), self.expected)
        self.assertEqual(gateway.keys("films"), ["in/clip.y4m", "out/film.webm"])
        again = self.encode(source="s3://films/in/clip.y4m", output="s3://films/out/film.webm", expect=1)
        self.assertIn("--force", again.stderr)
        self.encode("--force", source="s3://films/in/clip.y4m", output="s3://films/out/film.webm")
        gone = self.encode(source="s3://films/in/none.y4m", expect=1)
        self.assertIn("no such object", gone.stderr)
        for key in gateway.keys("films"):
            gateway.request("DELETE", f"films/{key}")

    def trouble(self, answer, every, **more):
        with Trouble(answer, every) as proxy:
            try:
                result = self.encode(url=proxy.url, **more)
            finally:
                proxy.shutdown()
            self.assertGreater(proxy.failed, 0)
            return result

    def test_busy_service(self):
        self.need(NORMAL)
        self.trouble(refusal(503), 3)
        self.assert_same()

    def test_broken_service(self):
        self.need(NORMAL)
        self.trouble(refusal(500), 4)
        self.assert_same()

    def test_cut_connections(self):
        self.need(NORMAL)
        self.trouble(b"", 4)
        self.assert_same()

    def refused(self, words, **variables):
        result = self.encode(expect=1, **variables)
        self.assertIn(words, result.stderr)
        self.assertEqual(len([line for line in result.stderr.splitlines() if "excamera encode:" in line]), 1,
                         result.stderr)

    def test_credentials(self):
        self.refused("secret key does not fit", AWS_SECRET_ACCESS_KEY="wrong")
        self.refused("access is denied", AWS_ACCESS_KEY_ID="STRANGER")
        self.refused("no AWS credentials", AWS_ACCESS_KEY_ID="")

    def test_bucket(self):
        self.need(NORMAL)
        result = excamera("encode", self.clip, "-o", self.folder / "there.webm", *SETTINGS, "--store", "s3://nowhere/x",
                          env=gateway.environment(TMPDIR=str(self.folder)), expect=1)
        self.assertIn("the bucket does not exist", result.stderr)

    def test_resume_with_right_credentials(self):
        self.need(NORMAL)
        make_clip(self.clip, frames=120)
        excamera("encode", self.clip, "-o", self.folder / "here.webm", "--force", *SETTINGS)
        self.expected = (self.folder / "here.webm").read_bytes()
        settings = [word for word in SETTINGS if word != "-Q"]
        with Trouble(refusal(403), 0) as proxy:
            process = subprocess.Popen(
                [EXCAMERA, "encode", self.clip, "-o", self.folder / "there.webm", *settings, "--store",
                 "s3://films/jobs"], env=gateway.environment(proxy.url, TMPDIR=str(self.folder)),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            # When chunks are done, nobody is let in any more.
            for line in process.stderr:
                if re.match(r"frame [1-9]", line):
                    break
            proxy.every = 1
            _, said = process.communicate(timeout=300)
            proxy.shutdown()
        if process.returncode == 0:
            self.skipTest("the encode was done before that")
        self.assertIn("--resume", said)
        self.encode("--resume")
        self.assert_same()


if __name__ == "__main__":
    main()
