#!/usr/bin/env python3
"""Runs the fuzzers for a while each, from seeds made here; a finding ends with status 1.

    tests/fuzz/fuzz.py BUILD [--seconds 60] [--jobs 2]

Those of what films and states are made of have all the seconds, the framework's smaller ones half.

BUILD is a build folder made with -Dfuzzers=true. A finding's input is left in BUILD/findings.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FILM = ["frame", "state", "ivf", "y4m"]
NAMES = [*FILM, "job", "journal", "message", "wire"]
# Streams with all of libvpx's tools: clip size, options of vpxenc.
STREAMS = [
    ("48x32", ["--auto-alt-ref=1", "--lag-in-frames=6", "--passes=2"]),
    ("33x17", ["--token-parts=3", "--profile=1"]),
    ("48x32", ["--error-resilient=1", "--profile=3", "--kf-max-dist=3"]),
    ("16x16", ["--min-q=0", "--max-q=8"]),
    ("64x48", ["--rt", "--cpu-used=6", "--static-thresh=500", "--sharpness=5"]),
]


def run(*command):
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def ivf_frames(data):
    at = 32
    while at < len(data):
        size, = struct.unpack_from("<I", data, at)
        yield data[at + 12:at + 12 + size]
        at += 12 + size


def message_frames(number):
    """Frames of control messages and bulk data."""
    frames = b""
    for size in (1, 3, 40 * number + 1, 200):
        frames += struct.pack("<IB", 1 + size, 0) + b"c" * size
        frames += struct.pack("<IBQ", 9 + size, 1, number << 40 | size) + b"b" * size
    return frames


def envelopes():
    """Some of the protocol's: tags, lengths and content as protobuf has them."""
    def part(number, content):
        tag = number << 3 | 2
        head = bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])
        return head + bytes([len(content)]) + content
    label = part(1, b"a") + part(2, b"b") + part(3, b"state")
    identity = b"\x08\xb9\x60" + part(2, bytes(range(32)))
    call = part(1, b"chunk-7") + b"\x10\x01\x18\x05"
    yield part(1, b"\x08\x01" + part(3, b"build") + part(11, part(1, b"job") + b"\x10\x07"))
    yield part(10, part(1, call) + b"\x10\x64" + part(12, part(1, b"excamera") + part(1, b"task")))
    yield part(33, part(1, label) + part(2, identity) + b"\x18\x09")
    yield part(36, part(1, label) + b"\x10\x03")
    yield part(56, part(1, part(1, b"job")) + part(2, part(1, b"encode") + b"\x10\x02"))


def make_seeds(folder, excamera):
    """Fills folder/NAME for every fuzzer."""
    for name in NAMES:
        (folder / name).mkdir()
    for i, envelope in enumerate(envelopes()):
        (folder / "wire" / f"{i}").write_bytes(envelope)
    for path in (ROOT / "examples").glob("*.json"):
        job = json.loads(path.read_text(encoding="utf-8"))
        (folder / "job" / path.stem).write_text(json.dumps(job, separators=(",", ":")), encoding="utf-8")
    for i, (size, options) in enumerate(STREAMS):
        clip, stream, state = folder / f"{i}.y4m", folder / f"{i}.ivf", folder / f"{i}.state"
        run(ROOT / "scripts/make-clip.sh", clip, size, 8, 25)
        run("vpxenc", "--codec=vp8", "--ivf", "-y", "--quiet", "--threads=1", *options,
            f"--fpf={folder}/stats", "-o", stream, clip)
        frames = list(ivf_frames(stream.read_bytes()))
        (folder / "frame" / f"{i}").write_bytes(
            b"".join(struct.pack("<H", len(frame)) + frame for frame in frames[:4]))
        (folder / "ivf" / f"{i}").write_bytes(stream.read_bytes())
        (folder / "y4m" / f"{i}").write_bytes(clip.read_bytes()[:12000])
        run(excamera, "task", "decode", "--chunk", stream, "--out-state", state)
        (folder / "state" / f"{i}").write_bytes(state.read_bytes())
        (folder / "message" / f"{i}").write_bytes(bytes([i]) + message_frames(i))
        # How many records, how long each is, which bytes are damaged: see fuzz_journal.c.
        (folder / "journal" / f"{i}").write_bytes(
            struct.pack(">BB10HBH3B", 1, 10, *range(i, 200, 20), i, 90 * i, 1, 2, 3))


def fuzz(name, build, seeds, seconds):
    """(name, passed, what to print)"""
    seconds = seconds if name in FILM else (seconds + 1) // 2
    findings = build / "findings"
    findings.mkdir(exist_ok=True)
    environment = {**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1",
                   "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
    done = subprocess.run(
        [build / "tests/fuzz" / f"fuzz_{name}", f"-max_total_time={seconds}", "-max_len=8192",
         "-timeout=20", "-rss_limit_mb=2048", f"-artifact_prefix={findings}/{name}-", seeds / name],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env=environment, check=False)
    runs = re.findall(r"^#(\d+)", done.stdout, re.M)
    words = f"fuzz_{name}: {runs[-1] if runs else 0} inputs in {seconds} s"
    if done.returncode != 0:
        words += "\n" + "\n".join(done.stdout.splitlines()[-60:])
    return name, done.returncode == 0, words


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=NAMES)
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="excamera-fuzz-") as folder:
        seeds = pathlib.Path(folder)
        make_seeds(seeds, options.build / "src/cli/excamera")
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            names = [options.only] if options.only else NAMES
            for _, passed, words in pool.map(
                    lambda name: fuzz(name, options.build.resolve(), seeds, options.seconds), names):
                print("passed" if passed else "FAILED", words, flush=True)
                failed += not passed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
