"""What the tests share: running the program and its peers, reading streams, and a TAP report.

Environment: EXCAMERA is the program under test; XC_CLIPS and XC_VECTORS are folders of real
material; XC_TESTS is `quick` (sanitizer runs), `normal` or `all`.
"""
import dataclasses
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXCAMERA = os.environ.get("EXCAMERA", str(ROOT / "build/src/cli/excamera"))
LEVELS = ["quick", "normal", "all"]
LEVEL = LEVELS.index(os.environ.get("XC_TESTS", "normal"))
QUICK, NORMAL, ALL = range(3)


def material(variable, folder):
    """A folder of real material: the one that `variable` names, else ../shared/`folder`, else None."""
    named = os.environ.get(variable)
    path = pathlib.Path(named) if named else ROOT.parent / "shared" / folder
    if named and not path.is_dir():
        raise SystemExit(f"{variable}: no folder {named}")
    return path if path.is_dir() else None


CLIPS = material("XC_CLIPS", "clips")
VECTORS = material("XC_VECTORS", "vectors")


def run(*command, expect=0, timeout=600, **more):
    """Runs a command and returns it with its output as text; fails unless it exits with `expect`
    (None: any status)."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=timeout, check=False,
                          stdin=more.pop("stdin", subprocess.DEVNULL) if "input" not in more else None,
                          **more)
    if not more.get("text"):
        done.stderr = done.stderr.decode(errors="replace")
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"status {done.returncode}, not {expect}: {' '.join(map(str, command))}\n"
                             f"{done.stderr}")
    return done


def read_line(stream):
    """The next line of a process's output, and nothing beyond: what a stream of Python's has read ahead,
    communicate() would not find any more."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(stream.fileno(), 1)
        if not byte:
            break
        line += byte
    return line.decode(errors="replace")


def excamera(*arguments, **more):
    return run(EXCAMERA, *arguments, **more)


def ffmpeg(*arguments, **more):
    return run("ffmpeg", "-nostdin", "-v", "error", "-y", *arguments, **more)


def make_clip(path, size="175x143", frames=12, rate=25):
    """A synthetic film with motion, see scripts/make-clip.sh."""
    run(ROOT / "scripts/make-clip.sh", path, size, frames, rate)
    return path


# ---- Pictures as MD5s ----------------------------------------------------------------------------
# Each decoder gives one MD5 a shown frame, of its I420 at display size.

def hex_words(text):
    return re.findall(r"^([0-9a-f]{32})\b", text, re.M)


def md5_excamera(stream):
    return hex_words(excamera("vp8", "decode", "--md5", stream, text=True).stdout)


def md5_vpxdec(stream):
    return hex_words(run("vpxdec", "--codec=vp8", "--i420", "--md5", "-o", "%w-%h-%9", stream,
                         text=True).stdout)


def md5_ffmpeg(stream):
    # With more threads ffmpeg 5.1 decodes some streams otherwise from run to run.
    text = ffmpeg("-threads", "1", "-i", stream, "-map", "0:v:0", "-fps_mode", "passthrough",
                  "-autoscale", "0", "-f", "framemd5", "-", text=True).stdout
    return re.findall(r"^0,.*\b([0-9a-f]{32})$", text, re.M)


# ---- Streams -------------------------------------------------------------------------------------

@dataclasses.dataclass
class Packet:
    """One compressed frame; time in seconds."""
    key: bool
    shown: bool
    size: int
    time: float


def ivf_packets(path):
    data = pathlib.Path(path).read_bytes()
    rate, scale = struct.unpack_from("<II", data, 16)
    packets, at = [], 32
    while at < len(data):
        size, ticks = struct.unpack_from("<IQ", data, at)
        first = data[at + 12] if size else 0
        packets.append(Packet(size > 0 and not first & 1, bool(first & 0x10), size,
                              ticks * scale / rate))
        at += 12 + size
    return packets


def probe(path, entries, stream="v:0"):
    """ffprobe's answer as a list of rows of words."""
    text = run("ffprobe", "-v", "error", "-select_streams", stream, "-show_entries", entries, "-of",
               "compact=p=0:nk=1", path, text=True).stdout
    return [line.split("|") for line in text.splitlines() if line]


def webm_packets(path):
    """Video packets of a WebM, as ffprobe sees them."""
    return [Packet("K" in flags, True, int(size), float(when))
            for when, size, flags in probe(path, "packet=pts_time,size,flags")]


def packets(path):
    return ivf_packets(path) if str(path).endswith(".ivf") else webm_packets(path)


# ---- Processes -----------------------------------------------------------------------------------

def children(pid):
    """Process ids of all descendants of `pid` that are alive."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        below = parents.get(queue.pop(), [])
        found += below
        queue += below
    return found


def wait_until(condition, seconds=30):
    """Polls until `condition()` is true and returns its value; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("it did not happen in time")


# ---- Test cases ----------------------------------------------------------------------------------

class Case(unittest.TestCase):
    """A test with a scratch folder of its own, and the assertions that many tests make."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="excamera-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def need(self, level):
        if LEVEL < level:
            self.skipTest(f"only with XC_TESTS={LEVELS[level]}")

    def clip(self, name):
        """A clip of the folder of real clips, or a skipped test."""
        path = CLIPS / name if CLIPS else None
        if path is None or not path.exists():
            self.skipTest(f"no {name}: set XC_CLIPS to a folder of clips")
        return path

    def assert_same_pictures(self, stream, frames=None):
        """Our decoder, libvpx's and ffmpeg's give the same pictures, `frames` of them."""
        ours = md5_excamera(stream)
        for name, theirs in (("vpxdec", md5_vpxdec(stream)), ("ffmpeg", md5_ffmpeg(stream))):
            if ours != theirs:
                differ = [i for i, pair in enumerate(zip(ours, theirs)) if pair[0] != pair[1]]
                self.fail(f"{stream}: {len(ours)} frames, {name} has {len(theirs)}; "
                          f"different: {differ[:10]}")
        if frames is not None:
            self.assertEqual(len(ours), frames, "frames shown")

    def assert_key_frames(self, stream, expected):
        found = [i for i, packet in enumerate(packets(stream)) if packet.key]
        self.assertEqual(found, list(expected), "numbers of the key frames")

    def assert_empty(self, folder):
        self.assertEqual(sorted(path.name for path in pathlib.Path(folder).iterdir()), [])


def add_tests(case, method, items):
    """Adds a test method to `case` for each item of {name: arguments of `method`}."""
    for name, arguments in items.items():
        def test(self, arguments=arguments):
            getattr(self, method)(*arguments)
        setattr(case, "test_" + re.sub(r"\W+", "_", name), test)


class TapResult(unittest.TestResult):
    """Reports as TAP, which Meson reads: a line a test; what went wrong goes to standard error, which
    Meson shows."""

    points = 0

    def point(self, ok, test, note=""):
        self.points += 1
        name = test.id().removeprefix("__main__.")
        print(f"{'ok' if ok else 'not ok'} {self.points} - {name}{note}", flush=True)

    def trouble(self, test, error):
        self.point(False, test)
        print(test.id(), self._exc_info_to_string(error, test), sep="\n", file=sys.stderr, flush=True)

    def addSuccess(self, test):
        self.point(True, test)

    def addSkip(self, test, reason):
        self.point(True, test, f" # SKIP {reason}")

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.trouble(subtest, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.trouble(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.trouble(test, err)


def main():
    """Runs the tests of the calling script: all, or those whose names hold one of its arguments."""
    suite = unittest.TestSuite()
    for case in unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]):
        for test in case:
            if len(sys.argv) < 2 or any(word in test.id() for word in sys.argv[1:]):
                suite.addTest(test)
    result = TapResult()
    suite.run(result)
    print(f"1..{result.points}", flush=True)
    sys.exit(0 if result.wasSuccessful() else 1)
