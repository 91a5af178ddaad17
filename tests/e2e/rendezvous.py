#!/usr/bin/env python3
"""`excamera rendezvous`: says where it listens, lets in whom it should, ends when it is told to."""
import re
import signal
import socket
import ssl
import subprocess
import unittest

from harness import EXCAMERA, Case, excamera, main


class Rendezvous(Case):
    def setUp(self):
        super().setUp()
        self.keys = self.folder / "keys"
        excamera("keys", "init", self.keys)
        self.server = None

    def tearDown(self):
        if self.server and self.server.poll() is None:
            self.server.kill()
        if self.server:
            self.server.communicate()
        super().tearDown()

    def start(self, *options, listen="127.0.0.1:0"):
        """Returns its port."""
        self.server = subprocess.Popen(
            [EXCAMERA, "rendezvous", "--listen", listen, "--credentials",
             self.keys / "rendezvous.pem", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.server.stdout.readline()
        self.assertRegex(line, r"^listening on port \d+\n$")
        return int(re.search(r"\d+", line)[0])

    def end(self, number):
        self.server.send_signal(number)
        _, said = self.server.communicate(timeout=30)
        self.assertEqual(self.server.returncode, 0)
        return said

    def dial(self, port, own="coordinator.pem", name="deployment.excamera.invalid", host="127.0.0.1"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        # Of the file's two certificates the second is the authority's.
        authority = re.findall(r"-----BEGIN CERT.*?-----END CERTIFICATE-----\n",
                               (self.keys / "rendezvous.pem").read_text(), re.S)[1]
        context.load_verify_locations(cadata=authority)
        if own:
            context.load_cert_chain(self.keys / own)
        plain = socket.create_connection((host, port), timeout=20)
        return context.wrap_socket(plain, server_hostname=name)

    def test_ends_with_connections(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            port = self.start()
            with self.dial(port) as connection:
                self.assertEqual(connection.version(), "TLSv1.3")
                self.assertEqual(self.end(number), "")

    def test_says_who_was_refused(self):
        port = self.start("--verbose")
        for own, name in ((None, "deployment.excamera.invalid"),
                          ("coordinator.pem", "job-7.excamera.invalid")):
            with self.assertRaises(OSError):
                with self.dial(port, own, name) as connection:
                    if connection.recv(1) == b"":
                        raise OSError
        # A hello of another version.
        with self.dial(port) as connection:
            connection.sendall(b"\x03\0\0\0\0\x0a\0")
            self.assertIn(b"version 0", connection.recv(1000))
        said = self.end(signal.SIGTERM).splitlines()
        self.assertEqual(len(said), 3, said)
        for line in said:
            self.assertTrue(line.startswith("excamera rendezvous: 127.0.0.1:"), line)

    def test_ipv6(self):
        if not socket.has_dualstack_ipv6():
            self.skipTest("no IPv6 here")
        port = self.start(listen="[::1]:0")
        self.dial(port, host="::1").close()
        self.end(signal.SIGTERM)

    def test_failures(self):
        port = self.start()
        keys = self.keys / "rendezvous.pem"
        done = excamera("rendezvous", "--listen", f"127.0.0.1:{port}", "--credentials", keys,
                        text=True, expect=1)
        self.assertIn(str(port), done.stderr)
        done = excamera("rendezvous", "--listen", "0", "--credentials", self.keys / "none", text=True,
                        expect=1)
        self.assertIn("none", done.stderr)
        for words in ([], ["--listen", "0"], ["--credentials", keys], ["--listen", "70000"],
                      ["--listen", "0", "--credentials", keys, "more"],
                      ["--listen", "0", "--credentials", keys, "--memory", "0"],
                      ["--listen", "0", "--credentials", keys, "--spill-most", "0"], ["--no-such"]):
            excamera("rendezvous", *words, text=True, expect=2)
        self.assertIn("usage:", excamera("rendezvous", "--help", text=True).stdout)


if __name__ == "__main__":
    main()
