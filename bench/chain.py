#!/usr/bin/env python3
"""How long one link of the serial chain is: from a chunk's exact state to the next one's.

A film is encoded once as one batch, keeping what each of its chunks needs for rebasing. Then a job of
nothing but these rebases runs: every chunk has all that it needs ahead but the exact state of the one before,
as when workers are plenty. A link is the time from one rebase's end to the next one's; it is printed
beside its pieces: the rebase by itself with all files there, and what is left, which is the hand-over with
all that could not be done while the chunk waited for its state. With strace there, the job runs a second time
under it, for a timeline of the median link: when each of these was reached, as system calls show it.

    bench/chain.py --clip FILM --size 3840x2160 [--chunks 10] [--quality 20] [--workers 2]
"""
import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

FILES = {"raw": "raw.y4m", "made-for": "approximate-before.state", "chunk": "reencoded.ivf"}
MACHINE = {
    "start": [{"if": {"variable": "index", "is": 0}, "to": "get-state"}, {"to": "get-raw"}],
    "states": {
        "get-state": {"get": {"key": "first.state", "file": "exact-before.state"}, "on": {"ok": "get-raw"}},
        "get-raw": {"get": {"key": "${actor}/raw", "file": "raw"}, "on": {"ok": "get-made-for"}},
        "get-made-for": {"get": {"key": "${actor}/made-for", "file": "made-for"}, "on": {"ok": "get-chunk"}},
        "get-chunk": {"get": {"key": "${actor}/chunk", "file": "chunk"},
                      "on": {"ok": [{"if": {"variable": "index", "is": 0}, "to": "wait-for-all"},
                                    {"to": "tell-first"}]}},
        "tell-first": {"send": {"to": "${first}", "name": "ready", "text": ""}, "on": {"ok": "rebase"}},
        "wait-for-all": {"receive": {"from": "${last}", "name": "ready", "file": "ready"},
                         "on": {"ok": "pause"}},
        "pause": {"run": {"argv": ["sleep", "3"]}, "on": {"ok": "rebase-first"}},
        "rebase-first": {
            "run": {"argv": ["excamera", "task", "rebase", "--state", "exact-before.state", "--made-for", "made-for",
                             "--raw", "raw", "--chunk", "chunk", "--out-chunk", "final.ivf",
                             "--out-state", "exact.state", "--out-state-point", "exact"],
                    "points": {"exact": {"send": {"to": "${next}", "name": "exact", "file": "exact.state"}}}},
            "on": {"ok": "done"}},
        "rebase": {
            "run": {"argv": ["excamera", "task", "rebase", "--state", "exact-before.state",
                             "--state-point", "exact-before", "--made-for", "made-for",
                             "--raw", "raw", "--chunk", "chunk", "--out-chunk", "final.ivf",
                             "--out-state", "exact.state", "--out-state-point", "exact"],
                    "points": {"exact-before": {"receive": {"from": "${previous}", "name": "exact",
                                                            "file": "exact-before.state"}},
                               "exact": {"send": {"to": "${next}", "name": "exact", "file": "exact.state"}}}},
            "on": {"ok": "done"}},
        "done": {"quit": {}},
    },
}


# What strace sees of a link, in order: name, and a pattern of the call that ends it. `told` is where it begins.
CALLS = ["openat", "renameat", "renameat2", "rename", "linkat", "sendto", "recvfrom", "close"]
STAGES = [
    ("told that the state is there", r'recvfrom\(3, "r"'),
    ("state opened", r'openat\(AT_FDCWD, "exact-before\.state"'),
    ("state read", r"close\((?P<state>\d+) ?\)"),
    ("all frames rebased; writing of the next state begins", r'openat\(.*\.part".*O_CREAT'),
    ("state written", r'rename.*"exact\.state"'),
    ("sending asked for", r'sendto\(3, "await exact\\n"'),
    ("received by the next worker, sum checked", r'(renameat|linkat)\(.*, "exact-before\.state"'),
]


def run(*command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def make_chunks(arguments, folder):
    """The folders of the chunks that were rebased, in order, but for the last: it makes no state."""
    frames = 6 * (arguments.chunks + 3)
    clip = folder / "clip.y4m"
    run("ffmpeg", "-v", "error", "-i", arguments.clip, "-frames:v", frames, "-vf",
        f"scale={arguments.size.replace('x', ':')}:flags=bicubic", "-pix_fmt", "yuv420p", clip)
    run(arguments.excamera, "encode", clip, "-o", folder / "clip.ivf", "-x", arguments.chunks + 3, "-q", arguments.quality,
        "--cpu-used", 4, "--no-scene-cut", "--keep", folder / "kept", "-Q")
    clip.unlink()
    chunks = sorted(path for path in (folder / "kept").rglob("chunk-*") if (path / "reencoded.ivf").exists())
    return chunks[:arguments.chunks]


def make_job(chunks, arguments, folder):
    inputs = [{"file": str(chunks[0] / "exact-before.state"), "key": "first.state"}]
    for i, chunk in enumerate(chunks):
        inputs += [{"file": str(chunk / file), "key": f"link-{i:06d}/{key}"} for key, file in FILES.items()]
    actors = [{"family": "link", "count": len(chunks)}]
    machine = json.loads(json.dumps(MACHINE))
    # Nobody waits for the last one's state.
    last = {"if": {"variable": "index", "is": len(chunks) - 1}, "to": "rebase-last"}
    machine["states"]["tell-first"]["on"]["ok"] = [last, {"to": "rebase"}]
    machine["states"]["rebase-last"] = json.loads(json.dumps(machine["states"]["rebase"]))
    run_last = machine["states"]["rebase-last"]["run"]
    run_last["argv"] = run_last["argv"][:-2]
    del run_last["points"]["exact"]
    job = {"format": 1, "job": "chain", "inputs": inputs, "actors": actors, "machine": machine}
    path = folder / "chain.json"
    path.write_text(json.dumps(job))
    slots = -(-len(chunks) // arguments.workers)
    return [arguments.excamera, "run", path, "--workers", arguments.workers, "--slots", slots, "--window", len(chunks)]


def run_job(command, folder):
    """What came of the rebases, in the order of their ends."""
    trace = folder / "trace"
    run(*command, "--trace", trace)
    runs = [line for line in map(json.loads, trace.read_text().splitlines())
            if line["kind"] == "run" and line["state"] != "pause"]
    return sorted(runs, key=lambda line: line["ended_ms"])


def follow(command, folder):
    """The job's system calls, one after the other: seconds, process and call."""
    path = folder / "calls"
    run("strace", "-f", "--seccomp-bpf", "-qq", "-ttt", "-e", f"trace={','.join(CALLS)}", "-e", "signal=none",
        "-o", path, *command)
    calls, begun = [], {}
    for line in path.read_text(errors="replace").splitlines():
        process, second, call = line.split(None, 2)
        if call.endswith("<unfinished ...>"):
            begun[process] = call.removesuffix("<unfinished ...>")
            continue
        if call.startswith("<... "):
            call = begun.pop(process, "").rstrip() + " " + call.partition(" resumed>")[2].lstrip()
        calls.append((float(second), process, call))
    return calls


def one_link(calls, start):
    """When each stage of the link that begins at this call was reached; None where it is not all there."""
    times, task, state = [], calls[start][1], None
    stages = iter(STAGES)
    name, pattern = next(stages)
    for second, process, call in calls[start:]:
        if process != task and not name.startswith("received"):
            continue
        found = re.match(pattern, call)
        if not found or (name == "state read" and found["state"] != state):
            continue
        if name == "state opened":
            state = call.rsplit(None, 1)[-1]
        times.append(second)
        name, pattern = next(stages, (None, None))
        if name is None:
            return times
    return None


def timeline(calls):
    """Lists of seconds from the beginning of a link, one for each link; the last item is the next one's beginning."""
    waiting, begins = set(), []
    for i, (_, process, call) in enumerate(calls):
        if re.match(r'sendto\(3, "await exact-before\\n"', call):
            waiting.add(process)
        elif process in waiting and re.match(STAGES[0][1], call):
            waiting.remove(process)
            begins.append(i)
    links = []
    for this, following in zip(begins, begins[1:]):
        times = one_link(calls, this)
        if times:
            links.append([time - times[0] for time in [*times[1:], calls[following][0]]])
    return links


def print_timeline(links):
    if not links:
        sys.exit("strace saw no link as a whole")
    print(f"  a link's stages, medians of {len(links)} (ms from its beginning, and by itself):")
    names = [name for name, _ in STAGES[1:]] + ["the next task told"]
    for i, name in enumerate(names):
        at = 1000 * statistics.median(link[i] for link in links)
        alone = 1000 * statistics.median(link[i] - (link[i - 1] if i else 0) for link in links)
        print(f"    {at:6.1f} {alone:7.1f}  {name}")


def rebase_alone(chunk, arguments, folder):
    """Milliseconds of a rebase whose files are all there, and of CPU, medians of five."""
    walls, cpus = [], []
    for _ in range(5):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        run(arguments.excamera, "task", "rebase", "--state", chunk / "exact-before.state", "--made-for",
            chunk / "approximate-before.state", "--raw", chunk / "raw.y4m", "--chunk", chunk / "reencoded.ivf",
            "--out-chunk", folder / "again.ivf", "--out-state", folder / "again.state")
        walls.append(time.monotonic() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return 1000 * statistics.median(walls), 1000 * statistics.median(cpus)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--excamera", default="build/src/cli/excamera", type=os.path.abspath)
    parser.add_argument("--clip", required=True)
    parser.add_argument("--size", default="3840x2160")
    parser.add_argument("--chunks", default=10, type=int)
    parser.add_argument("--quality", default=20, type=int)
    parser.add_argument("--workers", default=2, type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        chunks = make_chunks(arguments, folder)
        job = make_job(chunks, arguments, folder)
        runs = run_job(job, folder)
        ends = [line["ended_ms"] for line in runs]
        links = [b - a for a, b in zip(ends, ends[1:-1])]  # the last one writes no state
        wall, cpu = rebase_alone(chunks[len(chunks) // 2], arguments, folder)
        state = (chunks[0] / "exact-before.state").stat().st_size
        memory = max(line["memory"] for line in runs)
        links_seen = timeline(follow(job, folder)) if shutil.which("strace") else None
    link = statistics.median(links)
    print(f"{pathlib.Path(arguments.clip).name} at {arguments.size}, level {arguments.quality}, {len(links)} links:")
    print(f"  a link: median {link:.0f} ms, {min(links)} to {max(links)}")
    print(f"  a rebase of six frames by itself: {wall:.0f} ms, {cpu:.0f} ms of CPU; at most {memory / 1e6:.0f} MB")
    print(f"  the state: {state / 1e6:.1f} MB")
    if links_seen is not None:
        print_timeline(links_seen)


if __name__ == "__main__":
    main()
