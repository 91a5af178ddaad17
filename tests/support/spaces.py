"""Namespaces for what a test does to mounts and networks: nobody else sees them, and they go with their
last process, whatever becomes of the test."""
import os
import pathlib
import subprocess

from harness import run, wait_until

TOOLS = pathlib.Path(os.environ.get("XC_FAULT_TOOLS", pathlib.Path(__file__).parent))


class Space:
    """A process that holds namespaces of its own; skips the test where that is not permitted."""

    def __init__(self, case, *kinds):
        self.case = case
        self.kinds = kinds  # as unshare and nsenter name them: "mount", "net"
        self.holder = subprocess.Popen(["unshare", *(f"--{kind}" for kind in kinds), "cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True)
        case.addCleanup(self.close)
        wait_until(self.settled)
        if self.holder.poll() is not None:
            case.skipTest(f"namespaces are not permitted: {self.holder.stderr.read().strip()}")

    def settled(self):
        if self.holder.poll() is not None:
            return True
        try:
            return pathlib.Path(f"/proc/{self.holder.pid}/comm").read_text().strip() == "cat"
        except OSError:
            return False

    def close(self):
        self.holder.stdin.close()
        self.holder.stderr.close()
        self.holder.wait()

    @property
    def prefix(self):
        """Put before a command, it runs in here."""
        return ["nsenter", *(f"--{kind}=/proc/{self.holder.pid}/ns/{'mnt' if kind == 'mount' else kind}"
                             for kind in self.kinds)]

    def run(self, *command, **more):
        return run(*self.prefix, *command, **more)

    def path(self, path):
        """How a path in here is reached from outside."""
        return pathlib.Path(f"/proc/{self.holder.pid}/root{path}")

    # ---- Disks -----------------------------------------------------------------------------------

    def mount_memory(self, folder, size):
        """A small disk of `size` (such as "4M") in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder)

    def remount(self, folder, options):
        """False while that cannot be, since files are open for writing, say."""
        return self.run("mount", "-o", f"remount,{options}", folder, expect=None).returncode == 0

    def mount_power_cut(self, folder):
        """A disk that can lose power, see power_cut.c."""
        program = TOOLS / "power_cut"
        if not program.exists():
            self.case.skipTest("no power_cut: it is built where libfuse3-dev is installed")
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            self.case.skipTest("no /dev/fuse")
        folder.mkdir(parents=True, exist_ok=True)
        disk = subprocess.Popen([*self.prefix, program, "-f", "-s", folder], stdin=subprocess.DEVNULL)

        def end():
            disk.kill()
            disk.wait()
        self.case.addCleanup(end)
        outside = os.stat(folder).st_dev
        wait_until(lambda: disk.poll() is not None or os.stat(self.path(folder)).st_dev != outside)
        if disk.poll() is not None:
            self.case.skipTest("file systems of users are not permitted")

    def cut_power(self, folder, seed):
        os.setxattr(self.path(folder), "user.power-cut", str(seed).encode())
