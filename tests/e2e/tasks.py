#!/usr/bin/env python3
"""The tasks run by hand are pure functions, and a job is nothing but its tasks."""
import pathlib

from harness import Case, excamera, main, make_clip

CHUNK, CHUNKS = 6, 4


def join_ivf(parts):
    """The frames of several IVF files behind each other, without time stamps."""
    frames = []
    for part in parts:
        data, at = pathlib.Path(part).read_bytes(), 32
        while at < len(data):
            size = int.from_bytes(data[at:at + 4], "little")
            frames.append(data[at + 12:at + 12 + size])
            at += 12 + size
    return frames


class Tasks(Case):
    def by_hand(self, film, folder):
        """A batch of four chunks, as system workers would make it; returns the final chunks."""
        folder.mkdir()

        def task(name, **files):
            words = [word for key, value in files.items()
                     for word in ("--" + key.replace("_", "-"),) + (() if value is True else (value,))]
            excamera("task", name, *words)

        def file(i, what):
            return folder / f"{i}.{what}"

        for i in range(CHUNKS):
            task("fetch", source=film, start=CHUNK * i, frames=CHUNK, out_raw=file(i, "y4m"))
            task("encode", raw=file(i, "y4m"), quality=25, out_chunk=file(i, "libvpx.ivf"),
                 **({"stand_in": True} if i else {}))
            task("decode", chunk=file(i, "libvpx.ivf"), out_state=file(i, "approximate"))
        final = [file(0, "libvpx.ivf")]
        exact = file(0, "approximate")
        for i in range(1, CHUNKS):
            task("reencode", state=file(i - 1, "approximate"), raw=file(i, "y4m"), quality=25,
                 chunk=file(i, "libvpx.ivf"), out_chunk=file(i, "inter.ivf"),
                 out_state=file(i, "inter.state"))
            if i == 1:
                final.append(file(i, "inter.ivf"))
                exact = file(i, "inter.state")
                continue
            task("rebase", state=exact, made_for=file(i - 1, "approximate"), raw=file(i, "y4m"),
                 chunk=file(i, "inter.ivf"), out_chunk=file(i, "final.ivf"),
                 out_state=file(i, "final.state"))
            final.append(file(i, "final.ivf"))
            exact = file(i, "final.state")
        return final

    def test_same_files_in_same_bytes_out(self):
        film = make_clip(self.folder / "film.mkv", "176x144", CHUNK * CHUNKS)
        self.by_hand(film, self.folder / "one")
        self.by_hand(film, self.folder / "two")
        for path in sorted((self.folder / "one").iterdir()):
            self.assertEqual(path.read_bytes(), (self.folder / "two" / path.name).read_bytes(),
                             path.name)

    def test_a_job_is_its_tasks(self):
        film = make_clip(self.folder / "film.mkv", "176x144", CHUNK * CHUNKS)
        by_hand = join_ivf(self.by_hand(film, self.folder / "by-hand"))
        excamera("encode", film, "-o", self.folder / "job.ivf", "-N", CHUNK, "-x", CHUNKS, "-q", 25,
                 "--no-scene-cut", "-Q")
        self.assertEqual(by_hand, join_ivf([self.folder / "job.ivf"]))

    def test_state_at_the_end_is_what_decoding_gives(self):
        film = make_clip(self.folder / "film.y4m", "175x143", CHUNK * CHUNKS)
        final = self.by_hand(film, self.folder / "hand")
        before = []
        for i, chunk in enumerate(final):
            after = self.folder / f"{i}.decoded"
            excamera("task", "decode", "--chunk", chunk, "--out-state", after, *before)
            before = ["--state", after]
        self.assertEqual((self.folder / "3.decoded").read_bytes(),
                         (self.folder / "hand" / "3.final.state").read_bytes())


if __name__ == "__main__":
    main()
