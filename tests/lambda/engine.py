#!/usr/bin/env python3
"""Workers on AWS Lambda, as far as a small Lambda of the tests' own can tell: signed invocations, errors as
sentences, throttling, regions, instances that are lost."""
import random
import threading

from harness import ALL, EXCAMERA, ROOT, Case, excamera, main, make_clip, wait_until
from service import REGION, Service, environment

RING = ROOT / "examples/ring.json"


class Lambda(Case):
    def setUp(self):
        super().setUp()
        self.bootstrap = self.folder / "bootstrap"
        self.bootstrap.symlink_to(EXCAMERA)

    def run_ring(self, service, *options, members=12, workers=4, variables=None, **more):
        trace = self.folder / "trace"
        done = excamera("run", RING, f"members={members}", "rounds=2", "--workers", workers, "--engine", "lambda",
                        "--engine-opt", "function=worker", "--trace", trace, "-v", *options, timeout=400,
                        env={**environment(service), **(variables or {})}, **more)
        if done.returncode == 0:
            self.assertEqual(trace.read_text().count('"kind":"quit"'), members)
        return done.stderr

    def assert_refused(self, service, *sentences, options=(), variables=None):
        """It ends at once, with one sentence that holds these words."""
        said = self.run_ring(service, *options, variables=variables, expect=1).splitlines()[-1]
        for sentence in sentences:
            self.assertIn(sentence, said)


class Works(Lambda):
    def test_ring(self):
        service = Service(self, self.bootstrap)
        self.run_ring(service, members=40, workers=12)
        self.assertEqual(service.fates, {"run": 12})

    def test_encode_is_that_of_this_machine(self):
        service = Service(self, self.bootstrap)
        clip = make_clip(self.folder / "clip.y4m", "160x90", 40)
        films = []
        for options in ([], ["--engine", "lambda", "--engine-opt", "function=worker"]):
            film = self.folder / f"film-{len(films)}.ivf"
            excamera("encode", clip, "-o", film, "-N", 6, "-x", 4, "--workers", 3, *options, env=environment(service))
            films.append(film.read_bytes())
        self.assertEqual(films[0], films[1])
        self.assertGreaterEqual(service.fates["run"], 3)

    def test_more_than_there_are_connections(self):
        """No more than 64 are under way at once. Here most are lost, so as not to start 100 processes."""
        service = Service(self, self.bootstrap, fate=lambda _: "run" if service.fates["run"] < 3 else "lost")
        self.run_ring(service, members=100, workers=100)
        self.assertGreaterEqual(service.fates["run"], 3)

    def test_alias_and_regions(self):
        """Each region is given its part, also where another one refuses."""
        service = Service(self, self.bootstrap)
        service.functions, service.regions = {("worker", "live")}, {"eu-a-1", "eu-b-2"}
        self.run_ring(service, "--engine-opt", "function=worker:live", "--engine-opt", "regions=eu-a-1, eu-c-3,eu-b-2")
        self.assertEqual(service.fates["run"], 4)
        self.assertEqual(set(service.asked), {"eu-a-1", "eu-b-2"})

    def test_throttled(self):
        """A job goes on with the workers that it has, and gets the others when it may."""
        chance = random.Random(7)
        service = Service(self, self.bootstrap, fate=lambda _: "throttled" if chance.random() < 0.5 else "run")
        self.run_ring(service, members=40, workers=16)
        self.assertGreater(service.fates["throttled"], 0)

    def test_busy_for_a_while(self):
        service = Service(self, self.bootstrap)
        service.refusal = 500, "ServiceException", "Internal error"
        threading.Timer(1.5, setattr, (service, "refusal", None)).start()
        self.run_ring(service)
        self.assertEqual(service.fates["run"], 4)

    def test_instances_are_killed(self):
        """Their workers are replaced."""
        service = Service(self, self.bootstrap)
        killed = []

        def kill():
            for instance in wait_until(lambda: len(service.running()) >= 3 and service.running()[:2]):
                instance.kill()
                killed.append(instance)
        thread = threading.Thread(target=kill)
        thread.start()
        self.run_ring(service, members=30, workers=4)
        thread.join()
        self.assertEqual(len(killed), 2)

    def test_lives_of_twenty_seconds(self):
        """A job that takes longer goes on with others, before any is ended from outside."""
        self.need(ALL)
        service = Service(self, self.bootstrap, timeout=20)
        clip = make_clip(self.folder / "clip.y4m", "480x270", 720)
        films = []
        for options in ([], ["--engine", "lambda", "--engine-opt", "function=worker", "--engine-opt", "timeout=20"]):
            film = self.folder / f"film-{len(films)}.ivf"
            excamera("encode", clip, "-o", film, "-N", 6, "-x", 16, "--cpu-used", 0, "--workers", 2, *options,
                     env=environment(service), timeout=900)
            films.append(film.read_bytes())
        self.assertEqual(films[0], films[1])
        self.assertGreater(service.fates["run"], 2)
        self.assertEqual(service.timed_out, 0)

    def test_half_never_start(self):
        self.need(ALL)
        chance = random.Random(11)
        service = Service(self, self.bootstrap, fate=lambda _: "lost" if chance.random() < 0.5 else "run")
        self.run_ring(service, members=40, workers=8)

    def test_none_ever_starts(self):
        self.need(ALL)
        service = Service(self, self.bootstrap, fate=lambda _: "lost")
        self.assert_refused(service, "worker")


class Refused(Lambda):
    def setUp(self):
        super().setUp()
        self.service = Service(self, self.bootstrap)

    def test_no_function(self):
        self.assert_refused(self.service, f"AWS Lambda has no function nobody in {REGION}", "excamera lambda deploy",
                            options=["--engine-opt", "function=nobody"])

    def test_no_such_name(self):
        self.assert_refused(self.service, "'no/body' is not a Lambda function's NAME",
                            options=["--engine-opt", "function=no/body"])

    def test_wrong_secret(self):
        self.assert_refused(self.service, "check the secret key, the region and this machine's clock",
                            variables={"AWS_SECRET_ACCESS_KEY": "another"})

    def test_unknown_key(self):
        self.assert_refused(self.service, "AWS does not know these credentials",
                            variables={"AWS_ACCESS_KEY_ID": "another"})

    def test_wrong_region(self):
        self.assert_refused(self.service, "us-other-1", "the region", variables={"AWS_REGION": "us-other-1"})

    def test_denied(self):
        self.service.refusal = 403, "AccessDeniedException", "User u is not authorized to perform: x"
        self.assert_refused(self.service, "lambda:InvokeFunction on worker", "User u is not authorized")

    def test_expired(self):
        self.service.refusal = 403, "ExpiredTokenException", "The security token included in the request is expired"
        self.assert_refused(self.service, "the AWS credentials have expired; get new ones")

    def test_no_credentials(self):
        nothing = str(self.folder / "nothing")
        self.assert_refused(self.service, "there are no AWS credentials",
                            variables={"AWS_ACCESS_KEY_ID": "", "AWS_CONFIG_FILE": nothing,
                                       "AWS_SHARED_CREDENTIALS_FILE": nothing})

    def test_no_region(self):
        self.assert_refused(self.service, "no AWS region is known", variables={"AWS_REGION": ""})

    def test_wrong_options(self):
        for option, sentence in (("memory=12", "128 to 10240"), ("price_request=x", "an amount"),
                                 ("colour=red", "it has function, regions")):
            self.assert_refused(self.service, sentence, options=["--engine-opt", option])


if __name__ == "__main__":
    main()
