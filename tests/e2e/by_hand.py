"""An encode made by hand, step by step in the order of the film: what every job must give, however it was
cut up, shared out, disturbed and taken up again."""
import dataclasses
import json
import os
import pathlib
import socket
import subprocess

from harness import EXCAMERA, excamera


def task(name, *flags, folder=None, **options):
    """`excamera task NAME` with --options as they are named here; None leaves one out."""
    words = [word for key, value in options.items() if value is not None
             for word in ("--" + key.replace("_", "-"), value)]
    return excamera("task", name, *flags, *words, cwd=folder)


class Points:
    """A task that runs in `folder` and asks for points, answered from here."""

    def __init__(self, folder, name, **options):
        ours, theirs = socket.socketpair()
        words = [str(word) for key, value in options.items()
                 for word in ("--" + key.replace("_", "-"), value)]
        self.process = subprocess.Popen(
            [EXCAMERA, "task", name, *words], cwd=folder, pass_fds=[theirs.fileno()],
            env={**os.environ, "XC_CONTROL": str(theirs.fileno())}, stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        theirs.close()
        ours.settimeout(120)
        self.control, self.lines = ours, ours.makefile("r")

    def __iter__(self):
        """What it asks for, as (name, number), number None where it says none."""
        for line in self.lines:
            word, name, *number = line.split()
            assert word == "await", line
            yield name, int(number[0]) if number else None

    def answer(self, word):
        self.control.sendall(word.encode() + b"\n")

    def end(self):
        """Waits for its end; returns its exit status and what it said."""
        self.lines.close()
        self.control.close()
        said = self.process.communicate(timeout=120)[1]
        return self.process.returncode, said


@dataclasses.dataclass
class Settings:
    chunk: int = 6
    batch: int = 16
    quality: int = 20
    cpu_used: int = 0
    scene_cuts: bool = True
    start: int = 0
    frames: int = 0
    audio_bitrate: int = 0

    def of_source(self):
        return {"start": self.start, "frames": self.frames, "chunk_frames": self.chunk,
                "batch_chunks": self.batch, "scene_cuts": str(self.scene_cuts).lower()}

    def of_job(self):
        """The same as choices of the encode job's variables."""
        search = {"quality": self.quality, "cpu_used": self.cpu_used,
                  "audio_bitrate": self.audio_bitrate}
        return [f"{name}={value}" for name, value in {**self.of_source(), **search}.items()]


def cut(film, folder, settings):
    """Has `task source` cut the film into `folder`; returns the places of its chunks."""
    source = Points(folder, "source", source=film, **settings.of_source())
    places = []
    for name, number in source:
        if name == "times":  # all that a chunk has is removed when it was handed over
            os.link(folder / f"times-{number:06d}.json", folder / f"times-{number:06d}.kept")
        elif name == "raw":
            os.link(folder / f"raw-{number:06d}.y4m", folder / f"{number:06d}.y4m")
        elif name == "place":
            places.append(json.loads((folder / f"place-{number:06d}.json").read_text()))
        source.answer("ready")
    status, said = source.end()
    assert status == 0, said
    for kept in folder.glob("times-*.kept"):
        kept.rename(kept.with_suffix(".json"))
    return places


def cut_by_seeking(film, folder, settings, scans=3):
    """The same with `task plan`, where each chunk is decoded for itself."""
    planner = Points(folder, "plan", source=film, scans=scans, **settings.of_source())
    places = []
    for name, number in planner:
        if name == "segments":
            os.link(folder / f"segments-{number:06d}.json", folder / f"scan-{number:06d}.json")
        elif name == "measures":
            task("scan", source=film, segments=folder / f"scan-{number:06d}.json",
                 out_measures=folder / f"measures-{number:06d}.json")
        elif name == "times":
            os.link(folder / f"times-{number:06d}.json", folder / f"times-{number:06d}.kept")
        elif name == "place":
            place = folder / f"place-{number:06d}.json"
            places.append(json.loads(place.read_text()))
            task("fetch", source=film, place=place, out_raw=folder / f"{number:06d}.y4m")
        planner.answer("ready")
    status, said = planner.end()
    assert status == 0, said
    for kept in folder.glob("times-*.kept"):
        kept.rename(kept.with_suffix(".json"))
    return places


def encode(film, folder, output, settings, silent=False):
    """Encodes `film` to `output`, a name ending in .webm or .ivf; returns its bytes. All files that lie
    between stay in `folder`, but for those that `task join` takes."""
    folder = pathlib.Path(folder)
    folder.mkdir()
    search = {"quality": settings.quality, "cpu_used": settings.cpu_used}
    places = cut(film, folder, settings)
    exact = None
    for number, place in enumerate(places):
        def file(ending, of=number):
            return folder / f"{of:06d}.{ending}"
        first, last = place["position"] == 0, place["last_of_batch"]
        final = file("final.ivf")
        encoded = final if first else file("encoded.ivf")
        task("encode", *([] if first else ["--stand-in"]), raw=file("y4m"), out_chunk=encoded, **search)
        if not last:
            task("decode", chunk=encoded, out_state=file("approximate"))
        if first:
            exact = file("approximate")
        else:
            before, after = file("approximate", number - 1), None if last else file("exact")
            second = place["position"] == 1
            task("reencode", state=before, raw=file("y4m"), chunk=encoded,
                 out_chunk=final if second else file("reencoded.ivf"),
                 out_state=after if second else None, **search)
            if not second:
                task("rebase", state=exact, made_for=before, raw=file("y4m"),
                     chunk=file("reencoded.ivf"), out_chunk=final, out_state=after)
            exact = after
        os.link(final, folder / f"chunk-{number:06d}.ivf")
    task("join", folder=folder, source=None if silent else film, output=output, start=settings.start,
         frames=settings.frames, audio_bitrate=settings.audio_bitrate)
    return pathlib.Path(output).read_bytes()
