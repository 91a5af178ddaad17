#!/usr/bin/env python3
"""Jobs whose objects are in S3: a real service (Ceph's gateway), by TLS and without, that refuses, fails and is slow."""
import json
import os
import re
import socket
import socketserver
import subprocess
import threading
import time
import unittest

import radosgw
from coordinator import Server
from harness import EXCAMERA, NORMAL, Case, excamera, main, make_clip, read_line, run

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
    """Stands before the gateway: answers so many of its requests badly, or, without an answer, late. With `once` a URL to get a
    film is good for one request."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer, every, once=None):
        self.answer, self.every, self.requests, self.failed = answer, every, 0, 0
        self.once, self.seen, self.read = once, set(), []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), TroubleHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def is_used(self, target):
        with self.lock:
            used = target in self.seen
            self.seen.add(target)
            self.failed += used
        if used:
            time.sleep(1.1)  # one of the same second is the same
        return used

    def is_bad(self, head):
        method, target = head.split(b" ", 2)[:2]
        with self.lock:
            self.requests += 1
            bad = self.every and self.requests % self.every == 0
            self.failed += bool(bad)
        if self.once and method == b"GET" and self.once in target:
            self.read.append(re.search(rb"(?i)\r\nrange: *(\S+)", head))
            return self.is_used(target)
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
        if self.server.is_bad(head):
            if self.server.answer is not None:
                self.wfile.write(self.server.answer)
                return
            time.sleep(2)
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


def refusal(status, code=None, *headers):
    """With an error of S3's in its body, where there is a code."""
    body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>" if code else ""
    return "\r\n".join([f"HTTP/1.1 {status} No", f"Content-Length: {len(body)}", "Connection: close", *headers, "",
                        body]).encode()


@unittest.skipIf(MISSING, MISSING)
class Store(Case):
    """The store's operations, in tests/unit/test_store_s3.c."""

    def check(self, url):
        run(TEST_STORE, env=gateway.environment(url, TEST_PLACE="s3://films/unit/a b"), timeout=300)
        self.assertEqual(gateway.keys("films"), [])
        # What was put in parts and cancelled half way was aborted.
        self.assertNotIn(b"<Upload>", gateway.request("GET", "films?uploads="))

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

    def empty_bucket(self):
        for key in gateway.keys("films"):
            gateway.request("DELETE", f"films/{key.replace(' ', '%20')}")

    def test_film_and_output(self):
        film, output = "s3://films/in/my clip.y4m", "s3://films/out/film.webm"
        self.addCleanup(self.empty_bucket)
        gateway.request("PUT", "films/in/my%20clip.y4m", self.clip.read_bytes())
        self.encode(source=film, output=output)
        self.assertEqual(gateway.request("GET", "films/out/film.webm"), self.expected)
        self.assertEqual(gateway.keys("films"), ["in/my clip.y4m", "out/film.webm"])
        again = self.encode(source=film, output=output, expect=1)
        self.assertIn("--force", again.stderr)
        self.encode("--force", source=film, output=output)
        gone = self.encode(source="s3://films/in/none.y4m", expect=1)
        self.assertIn("no such object", gone.stderr)

    def test_film_is_read_where_it_is(self):
        """By ranges, with URLs that are renewed whenever they are refused; the job's objects are in a folder, and nothing
        of the film is there but a link."""
        self.addCleanup(self.empty_bucket)
        gateway.request("PUT", "films/clip.y4m", self.clip.read_bytes())
        keep = self.folder / "keep"
        with Trouble(refusal(403), 0, once=b"clip.y4m?") as proxy:
            excamera("encode", "s3://films/clip.y4m", "-o", self.folder / "there.webm", *SETTINGS, "--keep", keep,
                     env=gateway.environment(proxy.url, TMPDIR=str(self.folder)), timeout=400)
            proxy.shutdown()
        self.assertEqual((self.folder / "there.webm").read_bytes(), self.expected)
        self.assertEqual(gateway.keys("films"), ["clip.y4m"])
        self.assertTrue(all(proxy.read))
        self.assertGreater(proxy.failed, 1)
        self.assertEqual(list(keep.rglob("film.y4m")), [])
        self.assertIn("#etag=", next(keep.rglob("film.url")).read_text())

    def interrupt_at_first_frames(self, *words):
        settings = [word for word in SETTINGS if word != "-Q"]
        process = subprocess.Popen([EXCAMERA, "encode", *words, *settings], text=True, stderr=subprocess.PIPE,
                                   env=gateway.environment(TMPDIR=str(self.folder)))
        for line in process.stderr:
            if re.match(r"frame [1-9]", line):
                process.terminate()
                break
        said = process.stderr.read()
        process.stderr.close()
        if process.wait(timeout=300) == 0:
            self.skipTest("the encode was done before that")
        return said

    def test_another_film_is_noticed(self):
        self.need(NORMAL)
        self.addCleanup(self.empty_bucket)
        gateway.request("PUT", "films/clip.y4m", make_clip(self.folder / "long.y4m", frames=120).read_bytes())
        words = ["s3://films/clip.y4m", "-o", self.folder / "there.webm"]
        self.assertIn("--resume", self.interrupt_at_first_frames(*words))
        gateway.request("PUT", "films/clip.y4m", make_clip(self.folder / "long.y4m", frames=121).read_bytes())
        said = excamera("encode", *words, "--resume", *SETTINGS, expect=1,
                        env=gateway.environment(TMPDIR=str(self.folder))).stderr
        self.assertIn("another film than when this job was begun", said)

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

    def test_slow_service(self):
        self.need(NORMAL)
        self.trouble(None, 5)
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

    def test_refusals_that_this_service_does_not_know(self):
        """Amazon's, in its words; none is said twice to no use."""
        for answer, words in ((refusal(400, "ExpiredToken"), "the credentials have expired"),
                              (refusal(403, "RequestTimeTooSkewed", "Date: Thu, 01 Jan 2026 00:00:00 GMT"), "clock differs"),
                              (refusal(301, "PermanentRedirect", "x-amz-bucket-region: eu-west-1"), "set AWS_REGION to eu-west-1"),
                              (refusal(400, "AuthorizationHeaderMalformed", "x-amz-bucket-region: eu-west-3"), "eu-west-3"),
                              (refusal(400, "SomethingNew"), "SomethingNew: No.")):
            with Trouble(answer, 1) as proxy:
                self.refused(words, url=proxy.url)
                proxy.shutdown()
            self.assertLessEqual(proxy.requests, 4, words)

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
            while line := read_line(process.stderr):
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


COPY = {
    "format": 1, "job": "copy", "variables": {"input": "", "output": ""},
    "inputs": [{"file": "${input}", "key": "words"}], "outputs": [{"file": "${output}", "key": "copy"}],
    "actors": [{"name": "copier"}],
    "machine": {"start": "fetch", "states": {
        "fetch": {"get": {"key": "words", "file": "words"}, "on": {"ok": "put"}},
        "put": {"put": {"file": "words", "key": "copy"}, "on": {"ok": "end"}},
        "end": {"quit": {}}}}}


@unittest.skipIf(MISSING, MISSING)
class Elsewhere(Case):
    """Jobs that a coordinator has, with inputs and outputs in S3."""

    def setUp(self):
        super().setUp()
        self.environment = gateway.environment(TMPDIR=str(self.folder))
        excamera("keys", "init", self.folder / "keys")
        self.server = Server(self, "coordinator", "--keys", self.folder / "keys", "--state", self.folder / "state",
                             "--scratch", self.folder, environment=self.environment).start()
        self.addCleanup(self.empty_bucket)

    def empty_bucket(self):
        self.server.kill()
        for key in gateway.keys("films"):
            gateway.request("DELETE", f"films/{key}")

    def hand_in(self, *words, store, expect=0):
        return excamera(*words, "--coordinator", self.server.place, "--keys", self.folder / "keys", "--store", store,
                        env=self.environment, expect=expect, timeout=300)

    def test_encode(self):
        clip = make_clip(self.folder / "clip.y4m", frames=24)
        gateway.request("PUT", "films/in/clip.y4m", clip.read_bytes())
        excamera("encode", clip, "-o", self.folder / "here.webm", "-Q")
        for number, store in enumerate(("s3://films/jobs", self.folder / "store")):
            self.hand_in("encode", "s3://films/in/clip.y4m", "-o", f"s3://films/{number}.webm", store=store)
            self.assertEqual(gateway.request("GET", f"films/{number}.webm"), (self.folder / "here.webm").read_bytes())
        self.assertEqual(list(self.folder.glob("*summary*")), [])

    def test_film_that_was_cut(self):
        """Cut from S3 to S3; workers get their chunks from there."""
        film = self.folder / "film.mkv"
        run("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=80x64:rate=25:duration=1", "-f",
            "lavfi", "-i", "sine=duration=1", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", film)
        gateway.request("PUT", "films/film.mkv", film.read_bytes())
        excamera("encode", film, "-o", self.folder / "here.webm", "-Q")
        expected = (self.folder / "here.webm").read_bytes()
        excamera("split", "s3://films/film.mkv", "-o", "s3://films/cut", env=self.environment)
        self.assertIn("--force", excamera("split", film, "-o", "s3://films/cut", env=self.environment, expect=1).stderr)
        excamera("encode", "s3://films/cut/", "-o", self.folder / "there.webm", "-Q", env=self.environment)
        self.assertEqual((self.folder / "there.webm").read_bytes(), expected)
        self.hand_in("encode", "s3://films/cut/", "-o", "s3://films/0.webm", store="s3://films/jobs")
        self.assertEqual(gateway.request("GET", "films/0.webm"), expected)

    def test_any_job(self):
        job = self.folder / "copy.json"
        job.write_text(json.dumps(COPY))
        gateway.request("PUT", "films/words", b"these\n")
        for number, store in enumerate(("s3://films/jobs", self.folder / "store")):
            self.hand_in("run", job, "input=s3://films/words", f"output=s3://films/{number}", store=store)
            self.assertEqual(gateway.request("GET", f"films/{number}"), b"these\n")
        excamera("run", job, "input=s3://films/words", "output=s3://films/2", env=self.environment)
        self.assertEqual(gateway.request("GET", "films/2"), b"these\n")
        said = self.hand_in("run", job, "input=s3://films/none", "output=s3://films/3", store=self.folder / "store",
                            expect=1).stderr
        self.assertIn("no such object", said)


if __name__ == "__main__":
    main()
