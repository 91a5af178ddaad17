#!/usr/bin/env python3
"""CPU time of a whole encode, of all its processes, against one continuous single-threaded two-pass `vpxenc` of
the same Y4M file (both passes), and where it goes.

    bench/whole_job.py [--clip NAME] [--frames N]       clips are found as in bits.py, and have their own size
"""
import argparse
import collections
import json
import os
import pathlib
import resource
import tempfile

import bits


def cpu_of(command):
    """Seconds of CPU time of the command and all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    bits.run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_state(trace):
    """CPU seconds of the tasks: {state: (how many, seconds)}."""
    spent = collections.defaultdict(lambda: (0, 0.0))
    for line in map(json.loads, trace.read_text().splitlines()):
        if line["kind"] == "run":
            count, seconds = spent[line["state"]]
            spent[line["state"]] = count + 1, seconds + line["cpu_us"] / 1e6
    return spent


def measure(name, source, options, folder):
    y4m, trace = folder / f"{name}.y4m", folder / "trace"
    if source is None:
        bits.run([bits.ROOT / "scripts" / "make-clip.sh", y4m, "640x360", options.frames, 24])
    else:
        bits.run(["ffmpeg", "-nostdin", "-v", "error", "-i", source, "-map", "0:v:0", "-frames:v",
                  options.frames, "-pix_fmt", "yuv420p", "-fps_mode", "passthrough", y4m])
    frames, _ = bits.y4m_shape(y4m)
    peer = cpu_of(bits.PEERS["baseline"] + [f"--cq-level={options.quality}", f"--fpf={folder}/stats",
                                   "-o", folder / "peer.ivf", y4m])
    ours = cpu_of([options.excamera, "encode", y4m, "-o", folder / "ours.ivf", "-N", 6, "-x", 16,
                   "-q", options.quality, "-j", 1, "-Q", "--force", "--trace", trace])
    spent = by_state(trace)
    print(f"{name}, {frames} frames, [6,16], -q {options.quality}: {ours:.1f} s of CPU, vpxenc {peer:.1f} s: "
          f"{ours / peer:.2f} times")
    for state, (count, seconds) in sorted(spent.items(), key=lambda item: -item[1][1]):
        print(f"  {state:16s} {count:4d} times {seconds:7.2f} s {100 * seconds / ours:5.1f} %")
    rest = ours - sum(seconds for _, seconds in spent.values())
    print(f"  {'all else':16s} {'':10s} {rest:7.2f} s {100 * rest / ours:5.1f} %", flush=True)
    y4m.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--excamera", default=os.environ.get("EXCAMERA", bits.ROOT / "build/src/cli/excamera"))
    parser.add_argument("--clip", action="append", default=[], help="only this clip; may be repeated")
    parser.add_argument("--frames", type=int, default=96, help="of each clip (default: 96)")
    parser.add_argument("--quality", type=int, default=20, help="of both (default: 20)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="excamera-bench-", dir="/var/tmp") as folder:
        for name, source in bits.find_clips(options.clip).items():
            measure(name, source, options, pathlib.Path(folder))


if __name__ == "__main__":
    try:
        main()
    except bits.Failed as failure:
        raise SystemExit(f"bench: {failure}") from failure
