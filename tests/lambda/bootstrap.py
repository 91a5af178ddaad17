#!/usr/bin/env python3
"""The program as the runtime of a Lambda function: it serves events one after another, each in a clean folder
and within the time that it has."""
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

from harness import EXCAMERA, ROOT, Case, excamera, main, wait_until
from service import Service

# One actor that runs a script.
SCRIPT = {
    "format": 1, "job": "script", "variables": {"script": ""}, "actors": [{"name": "one"}],
    "machine": {"start": "work",
                "states": {"work": {"run": {"argv": ["sh", "-c", "${script}"]}, "on": {"ok": "end"}},
                           "end": {"quit": {}}}}}
# What starts a worker, since it ends when that has: hands the document over and waits for the answer.
INVOKE = """import sys, urllib.request
sys.exit("X-Amz-Function-Error" in urllib.request.urlopen(sys.argv[1], sys.stdin.buffer.read()).headers)
"""


class Bootstrap(Case):
    def setUp(self):
        super().setUp()
        self.bootstrap = self.folder / "bootstrap"
        self.bootstrap.symlink_to(EXCAMERA)
        self.script = self.folder / "script.json"
        self.script.write_text(json.dumps(SCRIPT))
        (self.folder / "invoke.py").write_text(INVOKE)
        self.told = self.folder / "told"

    def service(self, **more):
        service = Service(self, self.bootstrap, **more)
        service.signed = False
        return service

    @staticmethod
    def url(service):
        return f"{service.url}/2015-03-31/functions/worker/invocations"

    def run_job(self, service, job, *words, **more):
        return excamera("run", job, *words, *self.engine(service), timeout=120, **more)

    def engine(self, service):
        launch = f"{sys.executable} {self.folder}/invoke.py {self.url(service)}"
        return ["--engine", "command", "--engine-opt", f"command={launch}"]

    def run_script(self, service, script, *words, **more):
        """Returns what the script has put into $TOLD, as lines."""
        self.run_job(service, self.script, f"script=TOLD={self.told}; {script}", "--workers", "1", *words, **more)
        return self.told.read_text().splitlines() if self.told.exists() else []

    @staticmethod
    def invoke(service, event):
        with urllib.request.urlopen(Bootstrap.url(service), event, timeout=60) as response:
            return response.headers.get("X-Amz-Function-Error"), json.load(response)

    def test_a_job_and_another_one(self):
        service = self.service()
        for _ in range(2):
            self.run_job(service, ROOT / "examples/ring.json", "members=9", "rounds=2", "--workers", "3")
        self.assertGreaterEqual(service.fates["run"], 4)
        self.assertLessEqual(len(service.instances), 4, "instances are used again")
        answers = [said for instance in service.instances for said in instance.said]
        self.assertEqual(len(answers), service.fates["run"])
        self.assertEqual({said[1:] for said in answers}, {(b"{}", None)})

    def test_folders_are_clean_each_time(self):
        service = self.service()
        for _ in range(2):
            inside, folder, *others = self.run_script(
                service, 'cd ../../../..; ls -A >$TOLD; pwd >>$TOLD; touch mine; ls -A $TMPDIR >>$TOLD')
            self.assertTrue(folder.startswith("/tmp/excamera-@lambda/"), folder)
            self.assertRegex(inside, "^excamera-[0-9a-f]+$", "the job's, and nothing of another event")
            self.assertEqual(others, [])
            self.assertFalse(pathlib.Path(folder).exists())
        self.assertEqual(len(service.instances), 1)

    def test_what_a_killed_instance_has_left(self):
        """It goes with the next event, also of another instance."""
        service = self.service()
        lines = self.kill_and_run(service, self.folder / "mark")
        self.assertEqual(len(set(lines)), 2)
        for folder in lines:
            self.assertFalse(pathlib.Path(folder).exists(), folder)

    def kill_and_run(self, service, mark):
        script = f"echo $TMPDIR >>{self.told}; touch $TMPDIR/mine; test -e {mark} || {{ touch {mark}; sleep 1000; }}"
        with subprocess.Popen([EXCAMERA, "run", self.script, f"script={script}", "--workers", "1",
                               *self.engine(service)], stderr=subprocess.PIPE, text=True) as job:
            wait_until(mark.exists)
            service.instances[0].kill()
            said = job.communicate(timeout=120)[1]
            self.assertEqual(job.returncode, 0, said)
        return self.told.read_text().splitlines()

    def test_commands_see_no_secrets(self):
        lines = self.run_script(self.service(), "env >$TOLD")
        self.assertTrue([line for line in lines if line.startswith("PATH=")])
        self.assertEqual([line for line in lines if "role" in line or "RUNTIME_API" in line], [])

    def test_events_that_are_no_documents(self):
        service = self.service()
        for event, sentence in ((b"{}", "format"), (b"nonsense", "not JSON"), (b"[1]", "not a JSON object"),
                                (b'"' + b"x" * 300000 + b'"', "longer than 262144 bytes"),
                                (b'"' + b"x" * 1100000 + b'"', "longer than 1048576 bytes")):
            kind, answer = self.invoke(service, event)
            self.assertEqual(kind, "Unhandled")
            self.assertEqual(answer["errorType"], "Runtime.Worker")
            self.assertIn(sentence, answer["errorMessage"])
        self.assertEqual(len(service.instances), 1)
        self.assertEqual({said[2] for said in service.instances[0].said}, {"Runtime.Worker"})
        self.run_script(service, "true")

    def test_a_deadline(self):
        """The worker has ended before it, with what it ran; its instance lives on."""
        service, mark = self.service(timeout=6), self.folder / "mark"
        self.run_script(service, f"test -e {mark} || {{ touch {mark}; sleep 1000; }}")
        self.assertEqual(service.timed_out, 0)
        self.assertEqual(len(service.instances), 1)
        errors = [said for said in service.instances[0].said if said[2]]
        self.assertEqual(len(errors), 1)
        self.assertIn(b"its time is over", errors[0][1])

    def test_a_deadline_that_is_none(self):
        service = self.service()
        for header in ("1", "9999999999999999999999", "soon", "-1", "4102444800000"):
            service.deadline_header = header
            self.run_script(service, "sleep 0.1")
        self.assertEqual(service.fates["run"], 5)

    def test_a_program_that_cannot_begin(self):
        """One that cannot start itself again, having no name, says so to the Runtime API."""
        service = self.service()
        self.bootstrap.unlink()
        self.bootstrap.write_text(f"""#!{sys.executable}
import os
file = os.memfd_create("program", 0)
os.write(file, open({EXCAMERA!r}, "rb").read())
os.execve(file, ["bootstrap"], os.environ)
""")
        self.bootstrap.chmod(0o755)
        kind, _ = self.invoke(service, b"{}")
        self.assertEqual(kind, "Runtime.ExitError")
        (place, answer, kind), = service.instances[0].said
        self.assertEqual((place, kind), ("init/error", "Runtime.Worker"))
        self.assertIn("this program is not at", json.loads(answer)["errorMessage"])

    def test_without_a_runtime_api(self):
        environment = {name: value for name, value in os.environ.items() if name != "AWS_LAMBDA_RUNTIME_API"}
        said = excamera("lambda", "bootstrap", expect=2, env=environment).stderr
        self.assertIn("AWS_LAMBDA_RUNTIME_API", said)
        said = excamera("lambda", "bootstrap", expect=1,
                        env={**environment, "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9"}).stderr
        self.assertIn("does not answer", said)


if __name__ == "__main__":
    main()
