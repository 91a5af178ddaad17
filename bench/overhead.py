#!/usr/bin/env python3
"""What the framework costs beside the tasks of an encode, on a film of 1080p:

- CPU time of everything that is no task, against the tasks' own,
- how much of the time a core was idle while a task could have had it: a command that had been asked for
  waited, and fewer processes of tasks than cores were running or could run.

Other load on the machine delays the encode, but hardly changes either figure: a task that wants a core and
does not get it from the system counts as running.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

PERIOD = 0.005  # seconds between looks at the processes


def children(pid):
    try:
        return [int(word) for word in
                pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def runnable(pid):
    """Whether any thread of the process is running, could run, or waits for the disk."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    for thread in threads:
        try:
            status = pathlib.Path(f"/proc/{pid}/task/{thread}/stat").read_text()
        except OSError:
            continue
        if status.rpartition(")")[2].split()[0] in "RD":
            return True
    return False


def tasks(coordinator):
    """Processes of tasks: coordinator, worker, slot, task."""
    return [task for worker in children(coordinator) for slot in children(worker)
            for task in children(slot)]


def watch(process):
    """Looks until it ends: a list of (milliseconds, tasks that run or could)."""
    looks = []
    while process.poll() is None:
        looks.append((time.monotonic() * 1000, sum(map(runnable, tasks(process.pid)))))
        time.sleep(PERIOD)
    return looks


def waiting_spans(runs):
    """When commands waited for a core, in milliseconds."""
    return sorted((run["ordered_ms"], run["ordered_ms"] + run["started_us"] / 1000) for run in runs)


def idle_share(looks, spans, cores):
    """Of the cores' time between the first look and the last."""
    idle = 0.0
    for (now, busy), (until, _) in zip(looks, looks[1:]):
        if busy < cores and any(begin + 1 <= now < end for begin, end in spans):
            idle += (until - now) * (cores - busy)
    return idle / (cores * (looks[-1][0] - looks[0][0]))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--excamera", default="build/src/cli/excamera")
    parser.add_argument("--clip", required=True, help="a film of 1080p")
    parser.add_argument("--frames", default=96, type=int)
    parser.add_argument("--jobs", default=2, type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        trace = pathlib.Path(folder, "trace")
        process = subprocess.Popen(
            [arguments.excamera, "encode", arguments.clip, "-o", f"{folder}/out.webm", "-Q", "-j",
             str(arguments.jobs), "--frames", str(arguments.frames), "--trace", str(trace)])
        looks = watch(process)
        if process.returncode != 0:
            sys.exit(f"excamera exits with status {process.returncode}")
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        runs = [line for line in map(json.loads, trace.read_text().splitlines())
                if line["kind"] == "run"]
    total = used.ru_utime + used.ru_stime
    own = sum(run["cpu_us"] for run in runs) / 1e6
    share = idle_share(looks, waiting_spans(runs), arguments.jobs)
    print(f"{pathlib.Path(arguments.clip).name}, {arguments.frames} frames, -j {arguments.jobs}: "
          f"{len(runs)} commands in {(looks[-1][0] - looks[0][0]) / 1000:.0f} s")
    print(f"  CPU: tasks {own:.1f} s, all else {total - own:.2f} s: {100 * (total - own) / own:.1f} %")
    print(f"  a core idle while a task could run: {100 * share:.2f} % of the time")


if __name__ == "__main__":
    main()
