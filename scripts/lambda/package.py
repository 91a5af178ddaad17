#!/usr/bin/env python3
"""Makes the function that workers on AWS Lambda run in: a zip with `bootstrap`, which is excamera with
all of its libraries in it, and the authorities by which it knows S3's servers.

    scripts/lambda/package.py [--arch x86-64|arm64] [--output FILE.zip]

Everything is built in a folder of the user's cache. The same sources, packages and compiler give the same bytes.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

sys.dont_write_bytecode = True  # the folder may be an installed one
from debian import Archive
from libraries import Libraries
from workshop import ARCHITECTURES, Failure, Workshop

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGES = """
    ca-certificates libarchive-dev libc6-dev libexpat1-dev libinih-dev libjansson-dev libopus-dev libprotobuf-c-dev libssl-dev libuv1-dev
    libvpx-dev libxxhash-dev libzstd-dev linux-libc-dev zlib1g-dev""".split()
MOST_BYTES = 40 * 1000 * 1000


class Compiler:
    """Debian's compiler for an architecture, its own one too, set to see the sysroot alone."""

    def __init__(self, workshop):
        triplet, sysroot = workshop.architecture.triplet, workshop.sysroot
        self.program = f"{triplet}-gcc"
        libraries = sysroot / "usr/lib" / triplet
        # The folders of a cross compiler's own C library would come first.
        self.compile = [f"--sysroot={sysroot}", "-ffunction-sections", "-fdata-sections",
                        f"-ffile-prefix-map={workshop.folder}=."]
        self.link = [f"--sysroot={sysroot}", f"-B{libraries}", f"-L{libraries}", "-static-pie",
                     "-Wl,--gc-sections"]
        folders = [libraries / "pkgconfig", sysroot / "usr/local/lib/pkgconfig"]
        self.pkg_config = {"PKG_CONFIG_LIBDIR": ":".join(map(str, folders)),
                           "PKG_CONFIG_SYSROOT_DIR": str(sysroot)}
        self.cross_file = workshop.folder / "cross.ini"
        self.cross_file.write_text(f"""[binaries]
c = '{self.program}'
ar = '{triplet}-gcc-ar'
strip = '{triplet}-strip'
pkgconfig = 'pkg-config'
[built-in options]
c_args = {self.compile}
c_link_args = {self.link}
[properties]
needs_exe_wrapper = true
sys_root = '{sysroot}'
pkg_config_libdir = {[str(folder) for folder in folders]}
[host_machine]
system = 'linux'
cpu_family = '{workshop.architecture.family}'
cpu = '{workshop.architecture.family}'
endian = 'little'
""", encoding="utf-8")

    def version(self):
        try:
            return subprocess.run([self.program, "--version"], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout.splitlines()[0]
        except FileNotFoundError as error:
            raise Failure(f"there is no {self.program}: see the packages in docs/lambda.md") from error


def make_sysroot(workshop, archive):
    workshop.empty("sysroot")
    archive.unpack_packages(PACKAGES, workshop.sysroot)
    libraries = workshop.sysroot / "usr/lib" / workshop.architecture.triplet
    (libraries / "libuv.a").symlink_to("libuv_a.a")
    # Only tar with zstd is used of libarchive; what it has for other formats stays out.
    description = libraries / "pkgconfig/libarchive.pc"
    description.write_text(re.sub(r"(?m)^Libs\.private:.*$", "Libs.private: -lzstd",
                                  description.read_text(encoding="ascii")), encoding="ascii")


def set_up_program(workshop, compiler):
    build = workshop.empty("program")
    # Sources are named as from there.
    names = f"-ffile-prefix-map={os.path.relpath(ROOT, build)}/="
    workshop.run("meson", "setup", build, ROOT, "--cross-file", compiler.cross_file,
                 "--buildtype=release", f"-Dc_args={[*compiler.compile, names]}",
                 "-Dtests=false", "-Dstatic=true", "-Dprefer_static=true")


def build_program(workshop):
    build = workshop.folder / "program"
    program = build / "bootstrap"
    workshop.run("ninja", "-C", build, "src/cli/excamera")
    workshop.run(f"{workshop.architecture.triplet}-strip", "-o", program, build / "src/cli/excamera")
    return program


def authorities(workshop):
    """In one file, as Debian's update-ca-certificates would make it."""
    folder = workshop.sysroot / "usr/share/ca-certificates/mozilla"
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.crt")))


def write_zip(target, members):
    """`members`: name, bytes, mode. With fixed times, so that the same members give the same bytes."""
    partial = target.with_name(target.name + ".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for name, content, mode in members:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix: the mode counts
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, content)
    partial.replace(target)


def make_package(architecture, output):
    workshop = Workshop(architecture)
    with workshop.opened():
        archive, compiler = Archive(workshop), Compiler(workshop)
        archive.update()
        workshop.stage("sysroot", f"{compiler.version()} {archive.versions('download', *PACKAGES)}",
                       lambda: make_sysroot(workshop, archive))
        Libraries(workshop, archive, compiler).make()
        workshop.stage("program", ROOT, lambda: set_up_program(workshop, compiler))
        program = build_program(workshop)
        write_zip(output, [("bootstrap", program.read_bytes(), 0o755),
                           ("ca-certificates.crt", authorities(workshop), 0o644)])
    size = output.stat().st_size
    print(f"{output}: {size / 1e6:.1f} MB, {program.stat().st_size / 1e6:.1f} MB unpacked")
    if size > MOST_BYTES:
        raise Failure(f"{output} is too large")


def main():
    parser = argparse.ArgumentParser(prog="excamera lambda package", description=
                                     "Builds the zip that AWS Lambda runs workers from.")
    parser.add_argument("--arch", choices=sorted(ARCHITECTURES), default="x86-64",
                        help="the function's processors (x86-64)")
    parser.add_argument("-o", "--output", metavar="FILE.zip", type=pathlib.Path,
                        help="where it goes (excamera-lambda-ARCH.zip)")
    options = parser.parse_args()
    output = options.output or pathlib.Path(f"excamera-lambda-{options.arch}.zip")
    try:
        make_package(ARCHITECTURES[options.arch], output.absolute())
    except (Failure, OSError) as error:
        sys.exit(f"excamera lambda package: {error}")


if __name__ == "__main__":
    main()
