#!/usr/bin/env python3
"""Bits at equal Y-SSIM: what cutting the film into chunks costs against one continuous encode.

The baseline is one single-threaded two-pass `vpxenc --good --cpu-used=0` over the whole clip at ten
levels. Each of our encodes is put beside the baseline's bitrate at the same luma SSIM (log-bitrate,
piecewise linear over SSIM in dB; a point outside the baseline's range is left out, never
extrapolated), and the clip's figure is the mean of the log ratios.

    bench/bits.py                                         the whole table: every clip, [6,16] and [6,1]
    bench/bits.py --clip seeking --settings 6,16 --quality 20,30      a quick look while tuning

Clips come from the folder XC_CLIPS, else from ../shared/clips, else a generated one is used.
Baseline encodes are kept in --cache, by clip and arguments, so only the first run pays for them.
"""
import argparse
import bisect
import concurrent.futures
import hashlib
import math
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FRAMES = 192
# The clips that have a size of their own in the table.
SCALE = {"sintel": "960:408"}
BASELINE_LEVELS = [4, 10, 16, 23, 29, 35, 41, 48, 54, 60]
BASELINE = ["vpxenc", "--codec=vp8", "--ivf", "--good", "--passes=2", "--cpu-used=0", "--threads=1",
            "--end-usage=cq", "--target-bitrate=4294967", "--tune=ssim", "--auto-alt-ref=0",
            "--lag-in-frames=0", "--quiet"]


class Failed(Exception):
    """A command that the benchmark needs did not succeed."""


def run(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done


def clip_folder():
    named = os.environ.get("XC_CLIPS")
    folder = pathlib.Path(named) if named else ROOT.parent / "shared" / "clips"
    if named and not folder.is_dir():
        sys.exit(f"XC_CLIPS: no folder {folder}")
    return folder if folder.is_dir() else None


def find_clips(wanted):
    """{name: file, or None for the generated clip}."""
    folder = clip_folder()
    found = {path.stem: path for path in sorted(folder.iterdir())
             if path.suffix in (".mp4", ".mkv", ".webm", ".mov", ".y4m")} if folder else {}
    if not found:
        print("no folder of clips (XC_CLIPS): using a generated one")
        found = {"generated": None}
    unknown = [name for name in wanted if name not in found]
    if unknown:
        sys.exit(f"no clip named {', '.join(unknown)}; there are: {', '.join(found)}")
    return {name: found[name] for name in wanted or found}


def digest(*parts):
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def make_y4m(name, source, frames, cache):
    """The clip's first frames as limited-range 8-bit 4:2:0; returns (file, key of its content)."""
    scale = SCALE.get(name, "iw:ih")
    content = hashlib.sha256((source or ROOT / "scripts" / "make-clip.sh").read_bytes()).hexdigest()
    key = digest(content, scale, frames, "y4m 1")
    target = cache / f"{name}-{key}.y4m"
    if not target.exists():
        partial = target.with_suffix(".partial.y4m")
        if source is None:
            run([ROOT / "scripts" / "make-clip.sh", partial, "640x360", frames, 24])
        else:
            run(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", source, "-map", "0:v:0",
                 "-frames:v", frames, "-vf", f"scale={scale}:out_range=tv:flags=bicubic+accurate_rnd",
                 "-pix_fmt", "yuv420p", "-fps_mode", "passthrough", partial])
        partial.rename(target)
    return target, key


def y4m_shape(y4m):
    """(frames, frames per second) of a Y4M file without frame parameters, as ffmpeg writes it."""
    with open(y4m, "rb") as stream:
        header = stream.readline()
    width, height, numerator, denominator = map(
        int, re.search(rb" W(\d+) H(\d+) F(\d+):(\d+)", header).groups())
    frame = len(b"FRAME\n") + width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)
    return (y4m.stat().st_size - len(header)) // frame, numerator / denominator


def ivf_payload(path):
    """The bytes of all frames, without the container's."""
    data = path.read_bytes()
    at, payload = 32, 0
    while at + 12 <= len(data):
        size, = struct.unpack_from("<I", data, at)
        payload, at = payload + size, at + 12 + size
    return payload


def y_ssim_db(ivf, y4m, frames):
    """Mean luma SSIM over the frames, in dB, of the stream as ffmpeg decodes it; frames are paired by
    number. Fails where the numbers of frames differ."""
    graph = "[0:v]settb=1/1000,setpts=N[a];[1:v]settb=1/1000,setpts=N[b];[a][b]ssim=stats_file=-"
    done = run(["ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-i", ivf, "-i", y4m,
                "-lavfi", graph, "-fps_mode", "passthrough", "-f", "null", "-"])
    luma = [float(value) for value in re.findall(r"^n:\d+ Y:([\d.]+)", done.stdout, re.M)]
    if len(luma) != frames:
        raise Failed(f"{ivf}: {len(luma)} frames, the clip has {frames}")
    return -10 * math.log10(max(1e-12, 1 - sum(luma) / len(luma)))


def point(ivf, y4m):
    """(SSIM in dB, kbit/s)"""
    frames, rate = y4m_shape(y4m)
    return y_ssim_db(ivf, y4m, frames), ivf_payload(ivf) * 8 * rate / frames / 1000


def baseline(y4m, key, level, cache):
    """One baseline encode, from the cache where it is there: (SSIM in dB, kbit/s)."""
    stored = cache / f"baseline-{digest(key, level, *BASELINE, vpx_version())}.txt"
    if not stored.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            ivf = pathlib.Path(folder) / "baseline.ivf"
            run(BASELINE + [f"--cq-level={level}", f"--fpf={folder}/stats", "-o", ivf, y4m])
            ssim, rate = point(ivf, y4m)
            partial = pathlib.Path(folder) / "point"
            partial.write_text(f"{ssim!r} {rate!r}\n", encoding="ascii")
            partial.rename(stored)
    ssim, rate = stored.read_text(encoding="ascii").split()
    return float(ssim), float(rate)


def vpx_version():
    if not hasattr(vpx_version, "text"):
        help_text = subprocess.run(["vpxenc", "--help"], capture_output=True, text=True, check=False)
        found = re.search(r"vp8 .*(v\d[\w.-]*)", help_text.stdout + help_text.stderr)
        vpx_version.text = found.group(1) if found else "unknown"
    return vpx_version.text


def ours(excamera, y4m, chunk, batch, quality, extra, keep):
    """One of our encodes: (SSIM in dB, kbit/s, seconds)."""
    with tempfile.TemporaryDirectory(prefix="excamera-bench-") as folder:
        ivf = pathlib.Path(folder) / "ours.ivf"
        begin = time.monotonic()
        run([excamera, "encode", y4m, "-o", ivf, "-N", chunk, "-x", batch, "-q", quality, "-j", "1",
             "-Q", *extra])
        seconds = time.monotonic() - begin
        ssim, rate = point(ivf, y4m)
        if keep:
            kept = pathlib.Path(keep) / f"{y4m.stem}-{chunk}-{batch}-q{quality}.ivf"
            kept.write_bytes(ivf.read_bytes())
        return ssim, rate, seconds


def rate_at(curve, ssim):
    """The curve's bitrate at this SSIM, or None outside its range."""
    curve = sorted(curve)
    keys = [x for x, _ in curve]
    if not keys[0] <= ssim <= keys[-1]:
        return None
    at = min(max(bisect.bisect_left(keys, ssim), 1), len(keys) - 1)
    (x0, y0), (x1, y1) = curve[at - 1], curve[at]
    share = (ssim - x0) / (x1 - x0) if x1 > x0 else 0
    return math.exp(math.log(y0) + share * (math.log(y1) - math.log(y0)))


def percent(ratios):
    if not ratios:
        return "n/a"
    return f"{100 * (math.exp(sum(map(math.log, ratios)) / len(ratios)) - 1):+.1f} %"


def number_list(text):
    return [int(word) for word in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--excamera", default=os.environ.get("EXCAMERA", ROOT / "build/src/cli/excamera"),
                        help="the program to measure (default: $EXCAMERA, or the release build's)")
    parser.add_argument("--clip", action="append", default=[], help="only this clip; may be repeated")
    parser.add_argument("--settings", action="append", default=[], metavar="N,x",
                        help="chunk and batch size; may be repeated (default: 6,16 and 6,1)")
    parser.add_argument("--quality", type=number_list, default=[10, 20, 30, 40], metavar="Q,Q...",
                        help="our quality levels (default: 10,20,30,40)")
    parser.add_argument("--frames", type=int, default=FRAMES, help=f"of each clip (default: {FRAMES})")
    parser.add_argument("--baseline-levels", type=number_list, default=BASELINE_LEVELS, metavar="Q,Q...")
    parser.add_argument("--baseline-only", action="store_true", help="only fill the cache")
    parser.add_argument("--cache", type=pathlib.Path,
                        default=os.environ.get("XC_BENCH_CACHE", ROOT / "build/bench-cache"))
    parser.add_argument("-j", "--jobs", type=int, default=2, help="encodes at once (default: 2)")
    parser.add_argument("--keep", metavar="DIR", help="leave our streams here")
    parser.add_argument("--extra", default="", metavar="WORDS", help="more options for `excamera encode`")
    return parser.parse_args()


def measure(options, pool, clips):
    """Starts every encode; returns ({clip: [baseline futures]}, {(clip, N, x): [(q, future)]})."""
    settings = [tuple(number_list(text)) for text in options.settings] or [(6, 16), (6, 1)]
    peers, mine = {}, {}
    for name, source in clips.items():
        y4m, key = make_y4m(name, source, options.frames, options.cache)
        peers[name] = [pool.submit(baseline, y4m, key, level, options.cache)
                       for level in options.baseline_levels]
        for chunk, batch in settings if not options.baseline_only else []:
            mine[name, chunk, batch] = [
                (q, pool.submit(ours, options.excamera, y4m, chunk, batch, q, options.extra.split(),
                                options.keep)) for q in options.quality]
    return peers, mine


def report(name, curve, results):
    """Prints a clip's points; returns {(N, x): ratios}."""
    ratios = {}
    for (clip, chunk, batch), points in results.items():
        if clip != name:
            continue
        ratios[chunk, batch] = []
        for quality, future in points:
            ssim, rate, seconds = future.result()
            peer = rate_at(curve, ssim)
            compared = "outside the baseline's range"
            if peer:
                ratios[chunk, batch].append(rate / peer)
                compared = f"{peer:9.1f} {100 * (rate / peer - 1):+7.1f} %"
            setting = f"[{chunk},{batch}]"
            print(f"{name:10s} {setting:>8s} {quality:4d} {ssim:8.3f} {rate:9.1f} {compared:19s} "
                  f"{seconds:6.1f}", flush=True)
    return ratios


def main():
    options = arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    clips = find_clips(options.clip)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        peers, mine = measure(options, pool, clips)
        curves = {name: [future.result() for future in futures] for name, futures in peers.items()}
        if options.baseline_only:
            for name, curve in curves.items():
                for level, (ssim, rate) in zip(options.baseline_levels, curve):
                    print(f"{name:10s} cq {level:2d} {ssim:8.3f} dB {rate:9.1f} kbit/s")
            return
        print(f"{'clip':10s} {'setting':>8s} {'-q':>4s} {'SSIM dB':>8s} {'kbit/s':>9s} "
              f"{'baseline':>9s} {'more':>7s}   {'seconds':>7s}")
        ratios = {name: report(name, curve, mine) for name, curve in curves.items()}
    columns = sorted({setting for of_clip in ratios.values() for setting in of_clip},
                     key=lambda setting: -setting[0] * setting[1])
    heads = [f"{'naive ' if batch == 1 else 'ours '}[{chunk},{batch}]" for chunk, batch in columns]
    print(f"\nBits at equal Y-SSIM, first {options.frames} frames:\n"
          f"{'clip':10s} {'baseline':>10s} " + " ".join(f"{head:>14s}" for head in heads))
    for name, of_clip in ratios.items():
        print(f"{name:10s} {'0 %':>10s} "
              + " ".join(f"{percent(of_clip[setting]):>14s}" for setting in columns))


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench: {failure}")
