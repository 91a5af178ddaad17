"""What the fault tests disturb: an encode of a small film at [6,4] as `excamera run` does it, of which
every worker's process is known and every transition is seen as it happens. However it is disturbed, the film
that comes out must be that of an undisturbed run, to the byte."""
import atexit
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import EXCAMERA, ROOT, Case, TapResult, children, make_clip, wait_until

FRAMES = 97
JOB = ROOT / "examples/encode.json"
LAUNCH = pathlib.Path(__file__).with_name("launch.sh")
# What a run takes undisturbed times a hundred: whatever happens, a job is over by then.
DEADLINE = 240
AT_ONCE = 4  # tests


def quote(word):
    """A word as the engine `command` reads it."""
    return f'"{word}"' if "'" in str(word) else f"'{word}'"


def end_process(pid, number=signal.SIGKILL):
    """Sends a signal to a process; False where it was gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


class Job:
    """One job, which may be started again after its coordinator has ended."""

    ends_workers = True  # with the job
    file = JOB

    def __init__(self, folder, clip, workers=5, prefix=(), worker_prefix=(), options=(), store=None):
        self.folder = pathlib.Path(folder)
        self.clip = clip
        self.workers = workers
        self.prefix = list(prefix)  # commands that the coordinator and the workers are started by
        self.worker_prefix = list(worker_prefix)
        self.options = list(options)
        self.store = pathlib.Path(store or self.folder / "store")
        self.output = self.folder / "out.ivf"
        self.starts = 0
        self.process = self.trace = self.said = self.processes = None

    # ---- Running ---------------------------------------------------------------------------------

    def choices(self):
        return [f"input={self.clip}", f"output={self.output}", "kind=ivf", "batch_chunks=4", "cpu_used=16",
                "scene_cuts=false"]

    def start(self):
        self.starts += 1
        self.trace = self.folder / f"trace-{self.starts}"
        self.said = self.folder / f"said-{self.starts}"
        self.processes = self.folder / f"workers-{self.starts}"
        self.processes.mkdir()
        launch = [LAUNCH, self.processes, "{worker}", *self.worker_prefix, EXCAMERA, "worker", "--invocation", "-"]
        command = [*self.prefix, EXCAMERA, "run", self.file, *self.choices(), "--workers", self.workers, "--store",
                   self.store, "--trace", self.trace, "--engine", "command", "--engine-opt",
                   "command=" + " ".join(map(quote, launch)), "-v", *self.options]
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                            stdout=said, stderr=said)
        return self

    def running(self):
        return self.process.poll() is None

    def end(self):
        """Ends all that it has started, by force."""
        if self.process is None:
            return
        below = children(self.process.pid) if self.running() else []
        self.process.kill()
        self.process.wait()
        for start in range(1, self.starts + 1):
            below += [self.worker_pid(path) for path in (self.folder / f"workers-{start}").iterdir()]
        for pid in below:
            if self.is_ours(pid):
                end_process(pid)

    @staticmethod
    def worker_pid(path):
        try:
            return int(path.read_text())
        except (OSError, ValueError):
            return 0

    @staticmethod
    def is_ours(pid):
        """Whether `pid` is still a process of the program: numbers are used again."""
        try:
            return pid > 1 and b"excamera" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    # ---- Looking ---------------------------------------------------------------------------------

    def told(self):
        """The lines of its trace that are whole."""
        text = self.trace.read_bytes() if self.trace.exists() else b""
        return text[:text.rfind(b"\n") + 1].splitlines()

    def transitions(self):
        return [json.loads(line) for line in self.told()]

    def tail(self):
        """What a person wants to know of a job that has gone wrong."""
        lines = self.trace.read_text(errors="replace").splitlines() if self.trace.exists() else []
        said = self.said.read_text(errors="replace").splitlines()
        return "\n".join([f"start {self.starts}, {len(lines)} transitions, the last:", *lines[-15:], "said:",
                          *said[-30:]])

    def wait_for(self, condition, seconds=DEADLINE):
        """Waits until `condition()` or the job's end."""
        deadline = time.monotonic() + seconds
        while self.running() and not condition():
            if time.monotonic() > deadline:
                tail = self.tail()
                self.end()
                raise AssertionError(f"it did not happen in {seconds} s\n{tail}")
            time.sleep(0.01)

    def wait_for_transitions(self, count):
        """Returns them, fewer where the job has ended before."""
        self.wait_for(lambda: len(self.told()) >= count)
        return self.transitions()[:count]

    def wait_for_seconds(self, seconds):
        """Lets it go on for a while, or to its end."""
        until = time.monotonic() + seconds
        self.wait_for(lambda: time.monotonic() > until)

    def finish(self, expect=0, seconds=DEADLINE):
        """Waits for its end; returns what it said."""
        self.wait_for(lambda: False, seconds)
        said = self.said.read_text(errors="replace")
        if expect is not None and self.process.returncode != expect:
            raise AssertionError(f"status {self.process.returncode}, not {expect}\n{self.tail()}")
        return said

    # ---- Processes -------------------------------------------------------------------------------

    def pids(self):
        """Process ids by worker number, of those that live."""
        pids = {}
        for path in self.processes.iterdir():
            if path.suffix != ".partial" and self.is_ours(self.worker_pid(path)):
                pids[int(path.name.removeprefix("worker-"))] = self.worker_pid(path)
        return pids

    def kill_worker(self, number, how=signal.SIGKILL):
        """False where it has ended before."""
        pid = self.pids().get(number)
        return bool(pid) and end_process(pid, how)

    def kill_below(self, chance):
        """Kills one process that a worker has started: a slot or a task. False where there is none."""
        below = [pid for worker in self.pids().values() for pid in children(worker)]
        if below:
            end_process(chance.choice(sorted(below)))
        return bool(below)

    def coordinator_pid(self):
        return self.process.pid

    def start_coordinator(self):
        """Again, after it was killed."""
        self.start()

    def kill_coordinator(self):
        self.process.kill()
        self.process.wait()


class Faults(Case):
    """Tests with jobs, whose films are compared with that of an undisturbed run."""

    shared = None

    @classmethod
    def setUpClass(cls):
        if Faults.shared is None:
            Faults.make_film()

    @classmethod
    def make_film(cls):
        """Once for all cases of a process."""
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="excamera-faults-"))
        atexit.register(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.clip = make_clip(cls.shared / "clip.y4m", "320x180", FRAMES)
        undisturbed = Job(cls.shared, cls.clip, workers=2).start()
        undisturbed.finish()
        cls.expected = undisturbed.output.read_bytes()
        cls.steps = len(undisturbed.transitions())

    def job(self, kind=Job, **more):
        folder = self.folder / f"job-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        job = kind(folder, self.clip, **more)
        self.addCleanup(job.end)
        return job

    def assert_film(self, job):
        """Its job ends well, with the same film as ever; returns what it said."""
        said = job.finish()
        if job.output.read_bytes() != self.expected:
            self.fail(f"another film\n{job.tail()}")
        return said

    def chance(self, default=None):
        """Random numbers of which the seed is said, and can be given: XC_SEED."""
        seed = os.environ.get("XC_SEED") or default or random.randrange(1 << 32)
        print(f"# {self.id().removeprefix('__main__.')}: XC_SEED={seed}", file=sys.stderr, flush=True)
        return random.Random(str(seed))


class Result(TapResult):
    """Of one test among several at once: whole lines, numbered together."""

    lock, total, failed = threading.RLock(), 0, 0

    def point(self, ok, test, note=""):
        with Result.lock:
            self.points = Result.total
            super().point(ok, test, note)
            Result.total = self.points
            Result.failed += not ok

    def trouble(self, test, error):
        with Result.lock:
            super().trouble(test, error)


def main(*modules):
    """As the harness's, with several tests at once, since most of what they do is to wait; those of the calling
    script, or of `modules`."""
    tests = [test for module in modules or [sys.modules["__main__"]]
             for case in unittest.defaultTestLoader.loadTestsFromModule(module) for test in case
             if len(sys.argv) < 2 or any(word in test.id() for word in sys.argv[1:])]
    Faults.setUpClass()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda test: test.run(Result()), tests))
    print(f"1..{Result.total}", flush=True)
    sys.exit(1 if Result.failed else 0)
