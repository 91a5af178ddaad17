#!/usr/bin/env python3
"""How soon an engine has so many workers at work, beside its own floor, which is as many empty tasks run in the same
go: from the first start to the last worker ready, and to the end of a ring of as many actors, one on each.

A real service is started for it on loopback, as the tests do, so all of them share this machine's cores.
"""
import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/lambda")]
import endpoint  # noqa: E402
import service  # noqa: E402
import slurm_cluster  # noqa: E402

LONGEST = 900  # seconds, of anything


def wait_for(condition):
    deadline = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("it takes too long")
        time.sleep(0.05)


class Slurm:
    """A cluster of one node that claims to have a core for each task."""

    what = "array tasks"

    def __init__(self, folder, count, _):
        lacking = slurm_cluster.missing()
        if lacking:
            sys.exit(f"no Slurm: {lacking}")
        self.folder = folder
        self.cluster = slurm_cluster.Cluster(folder / "cluster", cores=count, most=count + 1)
        self.environment = self.cluster.environment
        self.options = ["--engine", "slurm", "--engine-opt", f"folder={folder}"]

    def floor(self, count):
        """Seconds until the last of so many empty tasks has begun, and until all have ended."""
        marks = self.folder / "marks"
        marks.mkdir()
        begun = time.time()
        said = self.cluster.ask("sbatch", f"--array=0-{count - 1}", "--output=/dev/null", "--chdir=/",
                                "--wrap", f": >{marks}/$SLURM_ARRAY_TASK_ID")
        if "Submitted" not in said:
            sys.exit(said)
        wait_for(lambda: not self.cluster.tasks())
        ended = time.time()
        return max(path.stat().st_mtime for path in marks.iterdir()) - begun, ended - begun

    def stop(self):
        self.cluster.stop()


class Lambda:
    """Native instances behind others' Invoke endpoint. What invokes an empty function waits for its answer, since
    nothing else tells its end; when it began nobody tells."""

    what = "events without a worker"

    def __init__(self, folder, _, excamera):
        self.folder, self.excamera = folder, excamera
        self.endpoint = self.start("endpoint")
        self.environment = service.environment(self.endpoint)
        self.options = ["--engine", "lambda", "--engine-opt", "function=worker"]

    def start(self, name):
        try:
            return endpoint.Endpoint(self.folder / name, self.excamera)
        except unittest.SkipTest as lacking:
            sys.exit(str(lacking))

    def floor(self, count):
        """Seconds until so many events at once are answered, by new instances; twice."""
        other = self.start("floor")
        url = f"{other.url}/2015-03-31/functions/worker/invocations"
        try:
            begun = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(count) as pool:
                list(pool.map(lambda _: urllib.request.urlopen(url, b"{}", LONGEST).read(), range(count)))
            ended = time.monotonic() - begun
        finally:
            other.close()
        return ended, ended

    def stop(self):
        self.endpoint.close()


ENGINES = {"lambda": Lambda, "slurm": Slurm}


def ring(excamera, engine, folder, count):
    """Seconds until the last worker had come, until the end, and how many workers came."""
    trace = folder / "trace"
    begun = time.monotonic()
    subprocess.run([excamera, "run", ROOT / "examples/ring.json", f"members={count}", "--workers", str(count),
                    "--store", folder / "store", "--trace", trace, *engine.options], check=True, timeout=LONGEST,
                   env=engine.environment)
    ended = time.monotonic()
    lines = map(json.loads, trace.read_text().splitlines())
    came = [line["ended_ms"] / 1000 for line in lines if line["kind"] == "come"]
    return max(came) - begun, ended - begun, len(came)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--excamera", default=ROOT / "build/src/cli/excamera", type=pathlib.Path)
    parser.add_argument("--workers", default=500, type=int)
    parser.add_argument("engines", nargs="*", default=list(ENGINES), metavar="ENGINE",
                        help=f"of {', '.join(ENGINES)}; all by default")
    arguments = parser.parse_args()
    count = arguments.workers
    for name in arguments.engines:
        with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
            folder = pathlib.Path(place)
            folder.chmod(0o755)
            engine = ENGINES[name](folder, count, arguments.excamera.resolve())
            try:
                begun, ended = engine.floor(count)
                ready, done, used = ring(arguments.excamera.resolve(), engine, folder, count)
            finally:
                engine.stop()
        print(f"{name}: {count} empty {engine.what}: the last began after {begun:.1f} s, all ended after {ended:.1f} s")
        print(f"{name}: ring of {count} actors on {used} workers: the last was ready after {ready:.1f} s "
              f"({ready / begun:.1f} times the floor), done after {done:.1f} s ({done / ended:.1f} times)",
              flush=True)


if __name__ == "__main__":
    main()
