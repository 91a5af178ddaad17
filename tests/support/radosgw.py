"""A real S3: Ceph's object gateway with one monitor and one disk in memory, on free ports of loopback."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

PROGRAMS = ["ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool"]
ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "SECRETEXAMPLE"

CONFIG = """
[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{monitor}/0
public_network = 127.0.0.0/8
cluster_network = 127.0.0.0/8
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
auth_allow_insecure_global_id_reclaim = false
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pgp_num = 8
mon_allow_pool_size_one = true
osd_crush_chooseleaf_type = 0
mon_max_pg_per_osd = 10000
mon_initial_members = a
ms_bind_ipv6 = false
run_dir = {folder}/run
admin_socket = {folder}/run/$name.asok
log_file = {folder}/log/$name.log
pid_file = {folder}/run/$name.pid
keyring = {folder}/keyring
setuser = root
setgroup = root
[mon]
mon_data = {folder}/mon
mon_cluster_log_file = {folder}/log/cluster.log
mon_data_avail_warn = 2
mon_data_avail_crit = 1
[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_crush_update_on_start = true
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{plain} ssl_endpoint=127.0.0.1:{secure} ssl_certificate={folder}/server.pem
rgw_data = {folder}/rgw
rgw_dns_name =
rgw_multipart_min_part_size = 5242880
"""


def missing():
    """What is not installed, as a sentence's end; None where all is there."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)} (radosgw ceph-mon ceph-osd ceph-common)"
    return None if os.geteuid() == 0 else "Ceph's processes want to be started by root"


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Gateway:
    """Started by its constructor; `stop()` ends all of it. `plain` and `secure` are its URLs, `authority` the
    file of the certificate that the latter is to be checked by."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="excamera-radosgw-"))
        self.processes = []
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def call(self, *command, timeout=60, expect=0):
        done = subprocess.run([str(word) for word in command], cwd=self.folder, timeout=timeout, check=False,
                              env=dict(os.environ, CEPH_CONF=str(self.folder / "ceph.conf")),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout.decode()}")
        return done.stdout.decode()

    def run(self, name, *command):
        with open(self.folder / f"log/{name}.out", "wb") as log:
            self.processes.append(subprocess.Popen(
                [str(word) for word in command], cwd=self.folder, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env=dict(os.environ, CEPH_CONF=str(self.folder / "ceph.conf"))))

    def make_keys(self):
        for name, caps in (("mon.", ["mon", "allow *"]),
                           ("client.admin", ["mon", "allow *", "osd", "allow *", "mgr", "allow *"]),
                           ("client.rgw", ["mon", "allow rw", "osd", "allow rwx", "mgr", "allow rw"]),
                           ("osd.0", ["mon", "allow profile osd", "osd", "allow *"])):
            pairs = [word for what, may in zip(caps[::2], caps[1::2]) for word in ("--cap", what, may)]
            create = [] if (self.folder / "keyring").exists() else ["--create-keyring"]
            self.call("ceph-authtool", *create, "keyring", "--gen-key", "-n", name, *pairs)
        self.authority = self.folder / "authority.pem"
        self.call("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", "key.pem", "-out", self.authority, "-days", "2", "-subj", "/CN=gateway",
                  "-addext", "subjectAltName=IP:127.0.0.1")
        (self.folder / "server.pem").write_bytes(self.authority.read_bytes()
                                                 + (self.folder / "key.pem").read_bytes())

    def start(self):
        monitor, plain, secure = free_ports(3)
        fsid = str(uuid.uuid4())
        for name in ("mon", "osd", "log", "run"):
            (self.folder / name).mkdir()
        (self.folder / "ceph.conf").write_text(CONFIG.format(
            fsid=fsid, monitor=monitor, plain=plain, secure=secure, folder=self.folder))
        self.plain, self.secure = f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{secure}"
        self.make_keys()
        self.call("monmaptool", "--create", "--fsid", fsid, "--addv", "a", f"[v2:127.0.0.1:{monitor}]",
                  "monmap")
        self.call("ceph-mon", "-i", "a", "--mkfs", "--monmap", "monmap", "--keyring", "keyring")
        self.run("mon", "ceph-mon", "-i", "a", "-f")
        self.call("ceph", "-s")
        disk = str(uuid.uuid4())
        self.call("ceph", "osd", "new", disk)
        self.call("ceph", "auth", "import", "-i", "keyring")
        self.call("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self.run("osd", "ceph-osd", "-i", "0", "-f")
        while "1 up" not in self.call("ceph", "osd", "stat"):
            time.sleep(0.2)
        self.run("rgw", "radosgw", "-n", "client.rgw", "-f")
        self.wait(plain)
        self.add_user("excam", ACCESS_KEY, SECRET_KEY)

    def wait(self, port):
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if any(process.poll() is not None for process in self.processes):
                    break
                time.sleep(0.1)
        raise AssertionError("radosgw did not start")

    def add_user(self, name, access_key, secret_key):
        self.call("radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}",
                  f"--access-key={access_key}", f"--secret-key={secret_key}")

    def environment(self, url=None, **more):
        """The environment of a program that uses it by `url` (default: the plain one)."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return clean | {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL_S3": url or self.plain,
            "AWS_CA_BUNDLE": str(self.authority), "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"} | more

    def request(self, method, path, data=b"", access_key=ACCESS_KEY, secret_key=SECRET_KEY, expect=(200, 204)):
        """One signed request, by curl; returns the answer's body. `path` begins with the bucket."""
        body = self.folder / "body"
        body.write_bytes(data)
        sent = ["-T", body] if data else []
        done = subprocess.run(
            ["curl", "-sS", "-X", method, "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
             f"{access_key}:{secret_key}", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", *sent,
             "-w", "%{stderr}%{http_code}", f"{self.plain}/{path}"], check=True, timeout=60,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if int(done.stderr) not in expect:
            raise AssertionError(f"{method} {path}: {done.stderr.decode()} {done.stdout.decode()}")
        return done.stdout

    def keys(self, bucket):
        text = self.request("GET", f"{bucket}?list-type=2&max-keys=1000").decode()
        return [part.split("</Key>")[0] for part in text.split("<Key>")[1:]]

    def stop(self):
        # The disk's process hangs on TERM without a monitor.
        for process in reversed(self.processes):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
