"""Debian's packages and sources, fetched by apt with lists and settings of its own: nothing of the
system is changed, no rights are needed, and packages of any architecture can be had."""
import subprocess

from workshop import Failure

SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCES = "\n".join(
    f"Types: deb deb-src\nURIs: http://deb.debian.org/{archive}\nSuites: {suites}\n"
    f"Components: main\nSigned-By: {KEYRING}\n"
    for archive, suites in [("debian", f"{SUITE} {SUITE}-updates"),
                            ("debian-security", f"{SUITE}-security")])


class Archive:
    def __init__(self, workshop):
        self.workshop = workshop
        self.folder = workshop.folder / "apt"

    def update(self):
        """Without a network the lists of the last time serve on."""
        for folder in ["lists/partial", "cache/archives/partial"]:
            (self.folder / folder).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        (self.folder / "debian.sources").write_text(SOURCES, encoding="ascii")
        self.workshop.run(*self.command("update"))

    def command(self, *words):
        debian = self.workshop.architecture.debian
        settings = {
            "Dir::State": self.folder, "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": self.folder / "status", "Dir::Cache": self.folder / "cache",
            "Dir::Etc::SourceList": self.folder / "debian.sources",
            "Dir::Etc::SourceParts": "/dev/null", "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null", "APT::Sandbox::User": "",
            "APT::Architecture": debian, "APT::Architectures::": debian,
        }
        options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        return ["apt-get", "-q", *options, *words]

    def versions(self, *words):
        """Names and sums of the files that a download would fetch."""
        listed = subprocess.run(self.command("--print-uris", *words), text=True, check=False,
                                capture_output=True)
        if listed.returncode != 0:
            raise Failure(f"apt-get cannot find what is needed: {listed.stderr.strip()}")
        return sorted(line.split(" ", 1)[1] for line in listed.stdout.splitlines()
                      if line.startswith("'"))

    def unpack_packages(self, names, target):
        downloads = self.workshop.empty("downloads")
        self.workshop.run(*self.command("download", *names), folder=downloads)
        for package in sorted(downloads.glob("*.deb")):
            self.workshop.run("dpkg-deb", "-x", package, target)

    def unpack_source(self, name):
        """The folder of the source, with Debian's patches."""
        folder = self.workshop.empty(f"source-{name}")
        self.workshop.run(*self.command("source", name), folder=folder)
        return next(path for path in folder.iterdir() if path.is_dir())
