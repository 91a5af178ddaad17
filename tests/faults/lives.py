#!/usr/bin/env python3
"""Workers that live for a while only, as engines have it, and workers that never come."""
import json
import pathlib
import sys

from deployment import Deployment
from harness import ALL, LEVEL, NORMAL, QUICK
from subject import Faults, Job, main

LIVE = pathlib.Path(__file__).with_name("live.py")

# Each part takes eight steps and, when the one before has come, one more; `gather` waits for all of them.
LONG = {
    "format": 1, "job": "long", "variables": {"parts": 6, "step": 0, "pause": "1", "output": "sum"},
    "outputs": [{"file": "${output}", "key": "sum"}],
    "actors": [{"name": "gather"}, {"family": "part", "count": "${parts}"}],
    "machine": {
        "start": [{"if": {"variable": "actor", "is": "gather"}, "to": "gather"}, {"to": "work"}],
        "states": {
            "work": {"run": {"argv": ["sh", "-euc", "sleep ${pause}; echo ${actor} ${step} >>part"]},
                     "on": {"ok": "count"}},
            "count": {"set": {"step": {"add": 1}},
                      "on": {"ok": [{"if": {"variable": "step", "less": 8}, "to": "work"},
                                    {"if": {"variable": "previous", "is": ""}, "to": "tell"},
                                    {"to": "follow"}]}},
            "follow": {
                "run": {"argv": ["sh", "-euc", """
                            echo await before >&3; read -r answer <&3; test "$$answer" = ready
                            sleep ${pause}; cat before part >both; mv both part"""],
                        "points": {"before": {"receive": {"from": "${previous}", "name": "part",
                                                          "file": "before"}}}},
                "on": {"ok": "tell"}},
            "tell": {"send": {"to": "gather", "name": "part", "file": "part"},
                     "on": {"ok": [{"if": {"variable": "next", "is": ""}, "to": "done"}, {"to": "hand-over"}]}},
            "hand-over": {"send": {"to": "${next}", "name": "part", "file": "part"}, "on": {"ok": "done"}},
            "gather": {
                "run": {"argv": ["sh", "-euc", """
                            n=0; : >sum
                            while test $$n -lt ${parts}; do
                                echo "await part $$n" >&3; read -r answer <&3; test "$$answer" = ready
                                cat part-$$(printf %06d $$n) >>sum; n=$$((n + 1))
                            done"""],
                        "points": {"part": {"receive": {"from": "part-${number}", "name": "part",
                                                        "file": "part-${number}"}}}},
                "on": {"ok": "deliver"}},
            "deliver": {"put": {"file": "sum", "key": "sum"}, "on": {"ok": "done"}},
            "done": {"quit": {}}}}}


class LongJob(Job):
    parts, pause = 6, 1

    def choices(self):
        return [f"output={self.output}", f"parts={self.parts}", f"pause={self.pause}"]

    def expected(self):
        lines, text = [], ""
        for part in range(self.parts):
            lines += [f"part-{part:06} {step}\n" for step in range(8)]
            text += "".join(lines)
        return text.encode()


def steps_carried(transitions):
    """Of parts: how many steps each had done when it was last parked, and when it was done. An attempt that
    goes on with what another has parked begins by getting it."""
    done, parked, ends = {}, {}, {}
    for line in transitions:
        actor, attempt = line["actor"], (line["actor"], line["attempt"])
        if not actor.startswith("part-"):
            continue
        resumes = line["request"] == 1 and line["kind"] == "get"
        steps = done.setdefault(attempt, parked[actor] if resumes else 0)
        if line["outcome"] == "parked":
            parked[actor] = steps
        elif line["outcome"] == "ok" and line["state"] == "work" and line["kind"] == "run":
            done[attempt] += 1
        elif line["outcome"] == "ok" and line["kind"] == "quit":
            ends[actor] = steps
    return parked, ends


class Lives(Faults):
    def job_of(self, seconds, kind=Job, **more):
        return self.job(kind, worker_prefix=[sys.executable, LIVE, seconds], **more)

    def test_an_encode(self):
        for seconds, workers in {QUICK: [], NORMAL: [(5, 2)], ALL: [(4, 1), (4, 5), (5, 1), (8, 2)]}[LEVEL]:
            with self.subTest(seconds=seconds, workers=workers):
                self.assert_film(self.job_of(seconds, workers=workers).start())

    def test_much_longer_than_a_life(self):
        """What takes many lives ends as ever, and nothing that was parked is done again."""
        for seconds, workers, parts, pause in {QUICK: [], NORMAL: [(6, 2, 4, 0.5)], ALL: [(20, 3, 20, 2)]}[LEVEL]:
            with self.subTest(seconds=seconds):
                job = self.job_of(seconds, LongJob, workers=workers)
                (job.folder / "long.json").write_text(json.dumps(LONG))
                job.file, job.parts, job.pause = job.folder / "long.json", parts, pause
                said = job.start().finish()
                self.assertEqual(job.output.read_bytes(), job.expected(), job.tail())
                self.assertGreater(said.count("is to end"), workers, said)
                carried, ends = steps_carried(job.transitions())
                self.assertTrue(carried, job.tail())
                self.assertEqual(ends, {f"part-{part:06}": 8 for part in range(parts)}, job.tail())

    def test_half_of_them_never_come(self):
        for workers in {QUICK: [], NORMAL: [], ALL: [4, 5]}[LEVEL]:
            with self.subTest(workers=workers):
                lottery = self.folder / f"lottery-{workers}"
                lottery.write_text('#!/bin/sh\ntest $(od -An -N1 -tu1 /dev/urandom) -lt 128 || exec sleep 1000\n'
                                   'exec "$@"\n')
                lottery.chmod(0o755)
                job = self.job(Deployment, workers=workers, worker_prefix=[lottery],
                               options=["--launch-patience", 3]).start()
                self.assert_film(job)


if __name__ == "__main__":
    main()
