"""A small AWS Lambda of the tests' own: the Invoke API in front of instances, each a process of the function's
bootstrap with a Runtime API of its own. It checks signatures, ends what has passed its deadline, and does to an
invocation what a test wants done to it."""
import collections
import hashlib
import hmac
import http.server
import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
import urllib.parse
import uuid

REGION, KEY, SECRET = "eu-test-1", "AKIDEXAMPLE", "SECRETEXAMPLE"
EVENT, ANSWERED_EVENT = 256 * 1024, 6 * 1024 * 1024  # bytes at most
PREFIX = "/2018-06-01/runtime/"


def environment(service, **more):
    """What a program needs to find the service, and to be let in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, "AWS_ENDPOINT_URL_LAMBDA": service.url, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true", **more}


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Handler(http.server.BaseHTTPRequestHandler):
    """What the servers here have in common."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, content=b"", **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, status, kind, message, **more):
        self.answer(status, {"Type": "User", "message": message, **more}, x_amzn_ErrorType=kind + ":http://x/")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler, owner):
        super().__init__(("127.0.0.1", 0), handler)
        self.owner = owner
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        pass  # who is killed does not hear the answer

    def close(self):
        self.shutdown()
        self.server_close()


# ---- An instance ---------------------------------------------------------------------------------

class Invocation:
    def __init__(self, event):
        self.id, self.event = str(uuid.uuid4()), event
        self.ended = threading.Event()
        self.answer = self.error = None

    def end(self, answer=None, error=None):
        if not self.ended.is_set():
            self.answer, self.error = answer, error
            self.ended.set()


class RuntimeHandler(Handler):
    def do_GET(self):
        self.server.owner.became_idle()
        invocation = self.server.owner.inbox.get()
        if invocation is None:
            return
        deadline = self.server.owner.begin(invocation)
        self.answer(200, invocation.event, Lambda_Runtime_Aws_Request_Id=invocation.id,
                    Lambda_Runtime_Deadline_Ms=deadline, Content_Type="application/json")

    def do_POST(self):
        body = self.body()
        kind = self.path.removeprefix(PREFIX)
        self.server.owner.finish(kind, body, self.headers)
        self.answer(202, {"status": "OK"})


class Instance:
    """A process of the bootstrap. `idle` tells the service that it waits for an event."""

    def __init__(self, service, number):
        self.service, self.number = service, number
        self.inbox = queue.Queue()
        self.current, self.said, self.starting = None, [], True
        self.outcome = None, "Runtime.NoAnswer"
        self.server = Server(RuntimeHandler, self)
        with open(service.folder / f"instance-{number}", "wb") as log:
            self.process = subprocess.Popen(
                [service.bootstrap], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={"PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": self.server.address,
                     "AWS_ACCESS_KEY_ID": "role", "AWS_SECRET_ACCESS_KEY": "role-secret",
                     "AWS_SESSION_TOKEN": "role-token", **service.variables})
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        """A process that ends takes its invocation with it."""
        self.process.wait()
        self.service.forget(self)
        pending = [self.current] if self.current else []
        while not self.inbox.empty():
            pending.append(self.inbox.get())
        for invocation in pending:
            invocation.end(error="Runtime.ExitError")
        self.inbox.put(None)
        self.server.close()

    def became_idle(self):
        """Only now the event is over for who waits: the next one finds the instance."""
        invocation, self.current = self.current, None
        self.service.idle_again(self)
        if invocation is not None:
            invocation.end(*self.outcome)

    def begin(self, invocation):
        self.current = invocation
        seconds = self.service.timeout
        timer = threading.Timer(seconds, self.time_out, [invocation])
        timer.daemon = True
        timer.start()
        return self.service.deadline_header or int((time.time() + seconds) * 1000)

    def time_out(self, invocation):
        if not invocation.ended.is_set():
            self.service.timed_out += 1
            invocation.end(error="Sandbox.Timedout")
            self.kill()

    def finish(self, kind, body, headers):
        self.said.append((kind, body, headers.get("Lambda-Runtime-Function-Error-Type")))
        word = re.fullmatch(r"invocation/([-\w]+)/(response|error)", kind)
        if word and self.current is not None and word[1] == self.current.id:
            if word[2] == "response":
                self.outcome = body, None
            else:
                self.outcome = body, "Unhandled"

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


# ---- The service ---------------------------------------------------------------------------------

class InvokeHandler(Handler):
    def wrong_signature(self, body):
        """Why AWS would not let this request in; None where it would."""
        words = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+?)/(\d+)/(\S+?)/(\S+?)/aws4_request, ?"
                             r"SignedHeaders=(\S+), ?Signature=([0-9a-f]{64})",
                             self.headers.get("Authorization", ""))
        if not words:
            return 403, "MissingAuthenticationTokenException", "Missing Authentication Token"
        key, day, region, name, signed, signature = words.groups()
        if key != KEY:
            return 403, "UnrecognizedClientException", "The security token included in the request is invalid."
        path, _, query = self.path.partition("?")
        text = "\n".join([self.command, urllib.parse.quote(path), query,
                          *(f"{header}:{' '.join(self.headers[header].split())}" for header in signed.split(";")),
                          "", signed, hashlib.sha256(body).hexdigest()])
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["X-Amz-Date"], f"{day}/{region}/{name}/aws4_request",
                          hashlib.sha256(text.encode()).hexdigest()])
        secret = ("AWS4" + SECRET).encode()
        for part in (day, region, name, "aws4_request"):
            secret = digest(secret, part)
        if not hmac.compare_digest(digest(secret, text).hex(), signature) or name != "lambda":
            return 403, "InvalidSignatureException", "The request signature we calculated does not match"
        if region not in self.server.owner.regions:
            return 403, "InvalidSignatureException", f"Credential should be scoped to a valid region, not {region}"
        self.server.owner.asked[region] += 1
        return None

    def do_POST(self):
        service, body = self.server.owner, self.body()
        wrong = self.wrong_signature(body) if service.signed else None
        words = re.fullmatch(r"/2015-03-31/functions/([-\w]+)/invocations(?:\?Qualifier=([-\w]+))?", self.path)
        if wrong:
            self.refuse(*wrong)
        elif service.refusal:
            self.refuse(*service.refusal)
        elif not words or words.groups() not in service.functions:
            self.refuse(404, "ResourceNotFoundException",
                        f"Function not found: arn:aws:lambda:{REGION}:1:function:{words and words[1]}")
        elif len(body) > (most := EVENT if self.asynchronous() else ANSWERED_EVENT):
            self.refuse(413, "RequestTooLargeException", f"Request must be smaller than {most} bytes")
        else:
            self.invoke(service, body)

    def asynchronous(self):
        return self.headers.get("X-Amz-Invocation-Type") == "Event"

    def invoke(self, service, body):
        fate = service.decide(body)
        if fate == "throttled":
            self.refuse(429, "TooManyRequestsException", "Rate Exceeded.", Reason="CallerRateLimitExceeded")
            return
        invocation = Invocation(body)
        if fate != "lost":
            service.run(invocation)
        if self.asynchronous():
            self.answer(202)
            return
        invocation.ended.wait()
        more = {"X_Amz_Function_Error": invocation.error} if invocation.error else {}
        self.answer(200, invocation.answer or b"null", **more)


class Service:
    """`fate` is told each invocation's event and says "run", "lost" or "throttled"."""

    def __init__(self, case, bootstrap, timeout=900, fate=None, **variables):
        self.folder = case.folder / "lambda"
        self.folder.mkdir()
        self.bootstrap = bootstrap
        self.timeout, self.fate, self.variables = timeout, fate, variables
        self.deadline_header = None  # in place of the true one
        self.signed = True           # as all requests have to be
        self.refusal = None          # of all invocations: status, kind, message
        self.functions, self.regions = {("worker", None)}, {REGION}
        self.lock = threading.Lock()
        self.instances, self.idle = [], []
        self.fates, self.timed_out = collections.Counter(), 0
        self.asked = collections.Counter()  # by region
        self.server = Server(InvokeHandler, self)
        case.addCleanup(self.close)

    @property
    def url(self):
        return f"http://{self.server.address}"

    def decide(self, event):
        fate = self.fate(event) if self.fate else "run"
        with self.lock:
            self.fates[fate] += 1
        return fate

    def run(self, invocation):
        with self.lock:
            instance = self.idle.pop() if self.idle else None
            if instance is None:
                instance = Instance(self, len(self.instances))
                self.instances.append(instance)
        instance.inbox.put(invocation)

    def idle_again(self, instance):
        """One that has begun has its first event already."""
        with self.lock:
            if instance.starting:
                instance.starting = False
            elif instance.inbox.empty():
                self.idle.append(instance)

    def forget(self, instance):
        with self.lock:
            if instance in self.idle:
                self.idle.remove(instance)

    def running(self):
        return [instance for instance in self.instances if instance.process.poll() is None]

    def close(self):
        for instance in self.running():
            instance.kill()
        for instance in self.instances:
            instance.process.wait()
        self.server.close()
