"""Where a package is built: one architecture's folder in the cache, and the stages that fill it."""
import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys


class Failure(Exception):
    """What the user is told instead of a trace."""


@dataclasses.dataclass(frozen=True)
class Architecture:
    name: str      # as AWS Lambda has it, but for its hyphen
    debian: str
    family: str    # as Meson and FFmpeg have it

    @property
    def triplet(self):
        return f"{self.family}-linux-gnu"


ARCHITECTURES = {
    "x86-64": Architecture("x86-64", "amd64", "x86_64"),
    "arm64": Architecture("arm64", "arm64", "aarch64"),
}


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base).absolute() / "excamera" / "lambda"


class Workshop:
    """Stages run in their order. Each is keyed by all that it is made from, the stages before it
    among that, and runs only where it has not ended with this key before."""

    def __init__(self, architecture):
        self.architecture = architecture
        self.folder = cache_folder() / architecture.name
        self.sysroot = self.folder / "sysroot"
        self.log = self.folder / "log.txt"
        self.key = hashlib.sha256(architecture.name.encode()).hexdigest()

    @contextlib.contextmanager
    def opened(self):
        """Nobody else builds in the folder meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.log.write_bytes(b"")
            yield

    def stage(self, name, made_from, make):
        self.key = hashlib.sha256(f"{self.key}\n{name}\n{made_from}".encode()).hexdigest()
        stamp = self.folder / f"{name}.done"
        if stamp.exists() and stamp.read_text(encoding="ascii") == self.key:
            return
        print(f"{name} ...", flush=True)
        stamp.unlink(missing_ok=True)
        make()
        stamp.write_text(self.key, encoding="ascii")

    def empty(self, name):
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def run(self, *command, folder=None, **environment):
        """What it prints goes to the log; its end is shown where it fails."""
        words = [str(word) for word in command]
        # What `make lambda` was told, ARCH among it, is not for the makefiles of others.
        inherited = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
        start = self.log.stat().st_size
        with open(self.log, "ab") as log:
            try:
                status = subprocess.run(words, cwd=folder or self.folder, stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=log, check=False,
                                        env={**inherited, **environment}).returncode
            except FileNotFoundError as error:
                raise Failure(f"there is no {words[0]}: see the packages in docs/lambda.md") from error
        if status != 0:
            with open(self.log, "rb") as log:
                log.seek(start)
                lines = log.read().decode(errors="replace").splitlines()
            print("\n".join(lines[-30:]), file=sys.stderr)
            raise Failure(f"`{' '.join(words[:4])}` failed; all that it said is in {self.log}")
