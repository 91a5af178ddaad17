#!/usr/bin/env python3
"""Bits at equal Y-SSIM: what cutting the film into chunks costs against one continuous encode.

The baseline is one single-threaded two-pass `vpxenc --good --cpu-used=0` over the whole clip at ten
levels. Each of our encodes is put beside the baseline's bitrate at the same luma SSIM (log-bitrate,
piecewise linear over SSIM in dB; a point outside the baseline's range is left out, never
extrapolated), and the clip's figure is the mean of the log ratios. A second column does the same
against libvpx at its best, with hidden frames and 25 frames of lag.

    bench/bits.py                     the whole table: every clip at [6,16], [24,4], [6,inf] and [6,1]
    bench/bits.py --clip seeking --settings 6,16 --quality 20,30      a quick look while tuning
    bench/bits.py --svg DIR           the curves, too: DIR/bits-CLIP.svg

N,inf stands for one key frame: a batch as long as the film (-x 1000000) and no new one at a scene's
cut (--no-scene-cut). With all others a cut begins a batch, as it does by default.

Clips come from the folder XC_CLIPS, else from ../shared/clips, else a generated one is used.
The encodes of libvpx are kept in --cache, by clip and arguments, so only the first run pays for them.
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

from curves import write_curves

ROOT = pathlib.Path(__file__).resolve().parent.parent
FRAMES = 192
# The clips that have a size of their own in the table.
SCALE = {"sintel": "960:408"}
BASELINE_LEVELS = [4, 10, 16, 23, 29, 35, 41, 48, 54, 60]
CONTINUOUS = ["vpxenc", "--codec=vp8", "--ivf", "--good", "--passes=2", "--cpu-used=0", "--threads=1",
              "--end-usage=cq", "--target-bitrate=4294967", "--tune=ssim"]
# The continuous encodes that ours are held against.
PEERS = {"baseline": [*CONTINUOUS, "--auto-alt-ref=0", "--lag-in-frames=0", "--quiet"],
         "best": [*CONTINUOUS, "--auto-alt-ref=1", "--lag-in-frames=25", "--quiet"]}
SETTINGS = ["6,16", "24,4", "6,inf", "6,1"]
LONGEST_BATCH = 1000000


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


def peer_point(command, y4m, key, level, cache):
    """One encode of a peer, from the cache where it is there: (SSIM in dB, kbit/s)."""
    stored = cache / f"baseline-{digest(key, level, *command, vpx_version())}.txt"
    if not stored.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            ivf = pathlib.Path(folder) / "peer.ivf"
            run(command + [f"--cq-level={level}", f"--fpf={folder}/stats", "-o", ivf, y4m])
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


def batch_words(batch):
    """A batch's length as options of `excamera encode`."""
    return ["-x", LONGEST_BATCH, "--no-scene-cut"] if batch == "inf" else ["-x", batch]


def ours(excamera, y4m, setting, quality, extra, keep):
    """One of our encodes: (SSIM in dB, kbit/s, seconds)."""
    chunk, batch = setting
    with tempfile.TemporaryDirectory(prefix="excamera-bench-") as folder:
        ivf = pathlib.Path(folder) / "ours.ivf"
        begin = time.monotonic()
        run([excamera, "encode", y4m, "-o", ivf, "-N", chunk, *batch_words(batch), "-q", quality,
             "-j", "1", "-Q", *extra])
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
    """How much more that is on average."""
    if not ratios:
        return "n/a"
    return f"{100 * (math.exp(sum(map(math.log, ratios)) / len(ratios)) - 1):+.1f} %"


def number_list(text):
    return [int(word) for word in text.split(",")]


def setting_of(text):
    """(N, x) of "N,x"; x may be "inf"."""
    chunk, batch = text.split(",")
    return int(chunk), batch if batch == "inf" else int(batch)


def setting_name(setting):
    chunk, batch = setting
    return f"{'naive ' if batch == 1 else ''}[{chunk},{'∞' if batch == 'inf' else batch}]"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--excamera", default=os.environ.get("EXCAMERA", ROOT / "build/src/cli/excamera"),
                        help="the program to measure (default: $EXCAMERA, or the release build's)")
    parser.add_argument("--clip", action="append", default=[], help="only this clip; may be repeated")
    parser.add_argument("--settings", action="append", type=setting_of, default=[], metavar="N,x",
                        help="chunk and batch size, or N,inf for one key frame; may be repeated "
                             f"(default: {' '.join(SETTINGS)})")
    parser.add_argument("--quality", type=number_list, default=[10, 20, 30, 40], metavar="Q,Q...",
                        help="our quality levels (default: 10,20,30,40)")
    parser.add_argument("--frames", type=int, default=FRAMES, help=f"of each clip (default: {FRAMES})")
    parser.add_argument("--baseline-levels", type=number_list, default=BASELINE_LEVELS, metavar="Q,Q...")
    parser.add_argument("--baseline-only", action="store_true", help="only fill the cache")
    parser.add_argument("--peer", action="append", choices=PEERS, default=[],
                        help="only this column; may be repeated")
    parser.add_argument("--svg", type=pathlib.Path, metavar="DIR",
                        help="write the curves as DIR/bits-CLIP.svg")
    parser.add_argument("--cache", type=pathlib.Path,
                        default=os.environ.get("XC_BENCH_CACHE", ROOT / "build/bench-cache"))
    parser.add_argument("-j", "--jobs", type=int, default=2, help="encodes at once (default: 2)")
    parser.add_argument("--keep", metavar="DIR", help="leave our streams here")
    parser.add_argument("--extra", default="", metavar="WORDS", help="more options for `excamera encode`")
    return parser.parse_args()


def measure(options, pool, clips):
    """Starts every encode; returns ({(clip, peer): [futures]}, {(clip, setting): [(q, future)]})."""
    settings = options.settings or [setting_of(text) for text in SETTINGS]
    peers, mine = {}, {}
    for name, source in clips.items():
        y4m, key = make_y4m(name, source, options.frames, options.cache)
        for peer in options.peer or PEERS:
            peers[name, peer] = [pool.submit(peer_point, PEERS[peer], y4m, key, level, options.cache)
                                 for level in options.baseline_levels]
        for setting in settings if not options.baseline_only else []:
            mine[name, setting] = [
                (q, pool.submit(ours, options.excamera, y4m, setting, q, options.extra.split(),
                                options.keep)) for q in options.quality]
    return peers, mine


def print_points(name, setting, points, curves):
    """Prints a clip's points in a setting; returns {peer: ratios}."""
    ratios = {peer: [] for peer in curves}
    for quality, (ssim, rate, seconds) in points:
        words = []
        for peer, curve in curves.items():
            other = rate_at(curve, ssim)
            if other:
                ratios[peer].append(rate / other)
            words.append(f"{100 * (rate / other - 1):+8.1f} %" if other else "   outside")
        print(f"{name:10s} {setting_name(setting):>11s} {quality:4d} {ssim:8.3f} {rate:9.1f} "
              f"{' '.join(words)} {seconds:8.1f}", flush=True)
    return ratios


def print_summary(frames, names, results):
    """The table of means: a clip a line, each setting's figures by peer."""
    settings = list(dict.fromkeys(setting for _, setting in results))
    peers = list(next(iter(results.values())))
    print(f"\nBits at equal Y-SSIM, first {frames} frames, against libvpx ({' / '.join(peers)}):\n"
          f"{'clip':10s} " + " ".join(f"{setting_name(setting):>18s}" for setting in settings))
    for name in names:
        print(f"{name:10s} " + " ".join(
            f"{' / '.join(percent(results[name, setting][peer]) for peer in peers):>18s}"
            for setting in settings))


def draw(folder, name, curves, points):
    """Writes the clip's curves: the peers', and each setting's."""
    lines = {f"vpxenc{', at its best' if peer == 'best' else ''}": curve
             for peer, curve in curves.items()}
    for setting, of_setting in points.items():
        lines[setting_name(setting)] = [(ssim, rate) for _, (ssim, rate, _) in of_setting]
    folder.mkdir(parents=True, exist_ok=True)
    write_curves(folder / f"bits-{name}.svg", name, lines)


def main():
    options = arguments()
    options.cache.mkdir(parents=True, exist_ok=True)
    clips = find_clips(options.clip)
    results = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        peers, mine = measure(options, pool, clips)
        if options.baseline_only:
            for (name, peer), futures in peers.items():
                for level, (ssim, rate) in zip(options.baseline_levels, (each.result() for each in futures)):
                    print(f"{name:10s} {peer:8s} cq {level:2d} {ssim:8.3f} dB {rate:9.1f} kbit/s", flush=True)
            return
        columns = options.peer or list(PEERS)
        print(f"{'clip':10s} {'setting':>11s} {'-q':>4s} {'SSIM dB':>8s} {'kbit/s':>9s} "
              + " ".join(f"{peer:>10s}" for peer in columns) + f" {'seconds':>8s}")
        for name in clips:
            curves = {peer: [each.result() for each in peers[name, peer]] for peer in columns}
            points = {setting: [(q, future.result()) for q, future in futures]
                      for (clip, setting), futures in mine.items() if clip == name}
            for setting, of_setting in points.items():
                results[name, setting] = print_points(name, setting, of_setting, curves)
            if options.svg:
                draw(options.svg, name, curves, points)
    print_summary(options.frames, clips, results)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"bench: {failure}")
