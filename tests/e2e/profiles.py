#!/usr/bin/env python3
"""The file of options that are always the same: what counts before what, and mistakes in it."""
import json
import os

from harness import EXCAMERA, Case, excamera, main

JOB = {"format": 1, "job": "short", "variables": {}, "actors": [{"name": "only"}],
       "machine": {"start": [{"to": "work"}],
                   "states": {"work": {"run": {"argv": ["true"]}, "on": {"ok": "end"}},
                              "end": {"quit": {}}}}}


class Profiles(Case):
    def setUp(self):
        super().setUp()
        self.job = self.folder / "job.json"
        self.job.write_text(json.dumps(JOB))
        self.environment = {**os.environ, "XDG_CONFIG_HOME": str(self.folder)}
        self.config = self.folder / "excamera" / "config"
        self.config.parent.mkdir()

    def launcher(self, name):
        """The engine's option of a command that leaves a file when it starts a worker."""
        return f"command=sh -c 'echo >>{self.folder}/{name}; exec {EXCAMERA} worker --invocation -'"

    def run_job(self, *options, expect=0, **environment):
        return excamera("run", self.job, "--workers", 1, *options, expect=expect,
                        env={**self.environment, **environment}).stderr

    def started(self):
        """Names of the launchers that were used; forgets them."""
        names = {name for name in ("first", "second", "third") if (self.folder / name).exists()}
        for name in names:
            (self.folder / name).unlink()
        return names

    def test_what_counts(self):
        self.config.write_text(f"""
            # of every command that has them
            [default]
            engine = command
            engine-opt = {self.launcher("first")}
            keys = /nowhere
            chunk = 12
            verbose = no
            [profile other]
            engine-opt = {self.launcher("second")}
            [profile here]
            engine = local
            [profile elsewhere]
            coordinator = localhost:1
            """)
        self.run_job()
        self.assertEqual(self.started(), {"first"})
        self.run_job("--profile", "other")
        self.assertEqual(self.started(), {"second"})
        self.run_job("--profile=other", "--engine-opt", self.launcher("third"))
        self.assertEqual(self.started(), {"third"})
        # Another engine does not get the options of the first one.
        self.run_job("--profile", "here")
        self.run_job("--engine", "local")
        self.assertEqual(self.started(), set())
        # What is said nearer to the command line counts: a coordinator or an engine.
        self.assertIn("--store is needed", self.run_job("--profile", "elsewhere", expect=1))
        self.run_job("--profile", "elsewhere", "--engine", "local")

    def test_where_it_lies(self):
        home = self.folder / "home" / ".config" / "excamera"
        home.mkdir(parents=True)
        (home / "config").write_text("[default]\nengine = nothing\n")
        said = self.run_job(expect=1, XDG_CONFIG_HOME="", HOME=str(self.folder / "home"))
        self.assertIn("no engine 'nothing'; there are local", said)
        self.run_job()

    def test_mistakes(self):
        for text, line, said in (
                ("[default]\nengine=local\nengin = local\n", 3, "there is no option --engin"),
                ("engine = local\n", 1, "a section is"),
                ("[default]\n\n[lab]\nengine = local\n", 4, "a section is [default] or [profile NAME], not lab"),
                ("[default]\nverbose = perhaps\n", 2, "yes or no is wanted for verbose"),
                ("[default]\nengine\n", 2, "neither [SECTION] nor KEY = VALUE"),
                (f"[default]\nengine = local\ntrace = {'x' * 5000}\n", 3, "the line is too long")):
            with self.subTest(said=said):
                self.config.write_text(text)
                self.assertIn(f"{self.config}:{line}: {said}", self.run_job(expect=2))

    def test_profile_that_is_not_there(self):
        self.assertIn("[profile lab]", self.run_job("--profile", "lab", expect=2))
        self.config.write_text("[profile labs]\nverbose = yes\n")
        self.assertIn("[profile lab]", self.run_job("--profile", "lab", expect=2))
        self.run_job("--profile", "labs")


if __name__ == "__main__":
    main()
