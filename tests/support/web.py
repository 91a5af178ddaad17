"""A real web server over a folder: nginx."""
import contextlib
import pathlib
import shutil
import socket
import subprocess

from harness import run, wait_until

PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    log_format short '$status $body_bytes_sent $uri $http_range';
    access_log {folder}/access.log short;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    limit_req_zone $binary_remote_addr zone=few:1m rate=1r/s;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls_port} ssl;
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        root {root};
        location /busy/ {{ alias {root}/; limit_req zone=few; }}
        location /whole/ {{ alias {root}/; max_ranges 0; }}
        location /denied/ {{ return 403; }}
        location /moved/ {{ rewrite ^/moved/(.*)$ /$1 redirect; }}
    }}
}}
"""


def free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Server:
    """Serves `root` at `url`, and by TLS at `tls_url` with the certificate file `certificate`; what is below busy/
    is refused (503) more than once a second, and whole/ gives no ranges."""

    def __init__(self, root, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.certificate = self.folder / "certificate.pem"
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
            "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
            self.folder / "key.pem", "-out", self.certificate)
        port, tls_port = free_port(), free_port()
        self.url, self.tls_url = f"http://127.0.0.1:{port}", f"https://127.0.0.1:{tls_port}"
        configuration = self.folder / "nginx.conf"
        configuration.write_text(CONFIGURATION.format(folder=self.folder, root=root, port=port,
                                                      tls_port=tls_port))
        self.process = subprocess.Popen([PROGRAM, "-c", configuration, "-e", self.folder / "error.log"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        wait_until(lambda: answers(port))

    def requests(self):
        """What it was asked for so far: (status, bytes, path, range)."""
        lines = (self.folder / "access.log").read_text().splitlines()
        return [(int(status), int(size), path, wanted)
                for status, size, path, wanted in (line.split(" ", 3) for line in lines)]

    def close(self):
        self.process.terminate()
        self.process.wait(30)
