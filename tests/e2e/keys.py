#!/usr/bin/env python3
"""`excamera keys init`: what it makes is private, complete, and what OpenSSL takes it for."""
import re
import unittest

from harness import Case, excamera, main, run

FILES = ["ca.pem", "coordinator.pem", "rendezvous.pem", "submitter.pem"]


class Keys(Case):
    def setUp(self):
        super().setUp()
        self.keys = self.folder / "keys"

    def init(self, *options, **more):
        return excamera("keys", "init", self.keys, *options, text=True, **more)

    def text(self, name, *words):
        return run("openssl", "x509", "-in", self.keys / name, "-noout", *words, text=True).stdout

    def certificates(self, name):
        return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n",
                          (self.keys / name).read_text(), re.S)

    def test_files_are_private(self):
        said = self.init().stdout
        self.assertEqual(sorted(path.name for path in self.keys.iterdir()), FILES)
        self.assertEqual(self.keys.stat().st_mode & 0o777, 0o700)
        for name in FILES:
            self.assertEqual((self.keys / name).stat().st_mode & 0o777, 0o600, name)
            self.assertIn(name, said)
        self.assertIn(str(self.keys), said)

    def test_certificates_come_from_the_authority(self):
        self.init()
        self.assertEqual(len(self.certificates("ca.pem")), 1)
        authority = self.folder / "authority.pem"
        authority.write_text(self.certificates("ca.pem")[0])
        for name, purposes in (("coordinator.pem", ["sslserver", "sslclient"]),
                               ("rendezvous.pem", ["sslserver", "sslclient"]),
                               ("submitter.pem", ["sslclient"])):
            own, above = self.certificates(name)
            self.assertEqual(above, authority.read_text())
            leaf = self.folder / "leaf.pem"
            leaf.write_text(own)
            for purpose in ("sslserver", "sslclient"):
                run("openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", authority,
                    leaf, expect=0 if purpose in purposes else 2)
            # The key is the certificate's.
            public = run("openssl", "pkey", "-in", self.keys / name, "-pubout", text=True).stdout
            self.assertEqual(self.text(name, "-pubkey"), public)

    def test_names(self):
        self.init("--host", "farm.example.com", "--host", "192.0.2.7", "--host", "2001:db8::1",
                  "--host", "localhost")
        names = self.text("coordinator.pem", "-ext", "subjectAltName")
        for name in ("URI:excamera:coordinator", "DNS:farm.example.com", "DNS:localhost",
                     "IP Address:192.0.2.7", "IP Address:2001:DB8:0:0:0:0:0:1", "IP Address:127.0.0.1"):
            self.assertIn(name, names)
        self.assertEqual(names.count("DNS:localhost"), 1)
        self.assertIn("URI:excamera:rendezvous",
                      self.text("rendezvous.pem", "-ext", "subjectAltName"))
        submitter = self.text("submitter.pem", "-ext", "subjectAltName")
        self.assertIn("URI:excamera:submitter", submitter)
        self.assertNotIn("DNS", submitter)

    def test_days(self):
        self.init("--days", "2")
        for name in FILES:
            self.text(name, "-checkend", str(2 * 86400 - 3600))
            run("openssl", "x509", "-in", self.keys / name, "-noout", "-checkend",
                str(2 * 86400 + 3600), expect=1)

    def test_two_deployments_differ(self):
        self.init()
        excamera("keys", "init", self.folder / "other")
        other = self.folder / "other.pem"
        other.write_text(re.search(r"-----BEGIN CERT.*", (self.folder / "other/ca.pem").read_text(),
                                   re.S)[0])
        run("openssl", "verify", "-CAfile", other, self.keys / "coordinator.pem", expect=2)

    def test_nothing_is_overwritten(self):
        self.keys.mkdir()
        (self.keys / "notes").write_text("mine")
        self.init()
        before = {path.name: path.read_bytes() for path in self.keys.iterdir()}
        done = self.init(expect=1)
        self.assertIn("exists already", done.stderr)
        self.assertEqual({path.name: path.read_bytes() for path in self.keys.iterdir()}, before)
        for name in FILES[:-1]:
            (self.keys / name).unlink()
        done = self.init(expect=1)
        self.assertIn("submitter.pem", done.stderr)
        self.assertEqual(sorted(path.name for path in self.keys.iterdir()), ["notes", "submitter.pem"])

    def test_failures_leave_nothing(self):
        for options, word in ((["--host", "two words"], "two words"), (["--host", ""], "name")):
            self.assertIn(word, self.init(*options, expect=1).stderr)
            self.assertFalse(self.keys.exists())
        done = excamera("keys", "init", self.folder / "no/such/keys", text=True, expect=1)
        self.assertIn("no/such/keys", done.stderr)
        (self.folder / "file").touch()
        excamera("keys", "init", self.folder / "file", expect=1)

    def test_wrong_usage(self):
        for words in ([], ["init"], ["make", self.keys], ["init", self.keys, "more"],
                      ["init", self.keys, "--days", "0"], ["init", self.keys, "--days", "36501"],
                      ["init", self.keys, "--no-such-option"], ["init", self.keys, "--host"]):
            done = excamera("keys", *words, text=True, expect=2)
            self.assertTrue(done.stderr.startswith("excamera keys: ") or "--days" in done.stderr,
                            done.stderr)
        self.assertFalse(self.keys.exists())
        self.assertIn("usage:", excamera("keys", "--help", text=True).stdout)


if __name__ == "__main__":
    main()
