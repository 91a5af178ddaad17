#!/usr/bin/env python3
"""Ctrl-C leaves nothing behind; a worker that is killed costs only time."""
import os
import pathlib
import signal
import subprocess

from harness import EXCAMERA, Case, children, excamera, main, make_clip, wait_until


def task_processes(pid):
    """Descendants that are at work on a task, newest last."""
    return sorted(children(pid))


class Running(Case):
    def setUp(self):
        super().setUp()
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.out = self.folder / "out"
        self.out.mkdir()
        self.clip = make_clip(self.folder / "clip.y4m", "320x180", 60)

    def command(self, *options):
        return [EXCAMERA, "encode", str(self.clip), "-o", str(self.out / "a.ivf"), "-N", "6", "-x", "4",
                "-j", "2", *options]

    def start(self, *options):
        process = subprocess.Popen(self.command(*options), stderr=subprocess.PIPE,
                                   stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                   start_new_session=True,
                                   env={**os.environ, "TMPDIR": str(self.scratch)})
        self.addCleanup(self.end, process)
        return process

    def end(self, process):
        """Nothing that a test started outlives it."""
        if process.poll() is None:
            process.kill()
        process.stderr.close()
        process.wait()

    def interrupt(self, number, whole_group):
        process = self.start()
        wait_until(lambda: task_processes(process.pid) and any(self.scratch.rglob("*")))
        below = children(process.pid)
        if whole_group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        process.communicate(timeout=20)
        self.assertNotEqual(process.returncode, 0)
        wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in below), 10)
        self.assert_empty(self.scratch)
        self.assert_empty(self.out)

    def test_ctrl_c(self):
        self.interrupt(signal.SIGINT, whole_group=True)

    def test_interrupt_of_the_command_alone(self):
        self.interrupt(signal.SIGINT, whole_group=False)

    def test_terminate(self):
        self.interrupt(signal.SIGTERM, whole_group=False)

    def test_workers_end_when_the_command_is_killed(self):
        process = self.start()
        wait_until(lambda: task_processes(process.pid))
        below = children(process.pid)
        process.kill()
        process.communicate(timeout=20)
        wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in below), 30)

    def test_killed_workers_cost_only_time(self):
        excamera(*self.command("-Q")[1:])
        expected = (self.out / "a.ivf").read_bytes()
        (self.out / "a.ivf").unlink()
        process = self.start("-Q")
        killed = set()

        def kill_one():
            running = [pid for pid in task_processes(process.pid) if pid not in killed]
            if running:
                try:
                    os.kill(running[-1], signal.SIGKILL)
                except ProcessLookupError:
                    return process.poll() is not None
                killed.add(running[-1])
            return len(killed) == 2 or process.poll() is not None

        wait_until(kill_one)
        _, words = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, words.decode())
        self.assertEqual(len(killed), 2)
        self.assertEqual((self.out / "a.ivf").read_bytes(), expected)
        self.assert_empty(self.scratch)

    def test_a_worker_that_always_dies_ends_the_job(self):
        process = self.start("-Q")

        def kill_all():
            for pid in task_processes(process.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return process.poll() is not None

        wait_until(kill_all, 60)
        _, words = process.communicate(timeout=20)
        self.assertGreater(process.returncode, 0)
        self.assertIn("killed", words.decode().lower())
        self.assert_empty(self.scratch)
        self.assert_empty(self.out)


if __name__ == "__main__":
    main()
