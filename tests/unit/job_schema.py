#!/usr/bin/env python3
"""The job format's schema agrees with the loader: both take what is right, and what the schema can tell to
be wrong it refuses as the loader does."""
import json
import os
import subprocess
import unittest

from harness import ROOT, main

try:
    import jsonschema
except ImportError:
    jsonschema = None

# Prints the loader's own cases, see test_job_file.c.
CASES = os.environ.get("TEST_JOB_FILE")


def parse(text):
    """The JSON value; ValueError for what the format does not count as JSON."""
    def members(pairs):
        if len(dict(pairs)) < len(pairs):
            raise ValueError("repeated member")
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=members)
    if "\\u0000" in text:
        raise ValueError("a zero byte")
    return value


@unittest.skipUnless(jsonschema and CASES, "no python3-jsonschema")
class Schema(unittest.TestCase):
    def setUp(self):
        schema = json.loads((ROOT / "docs/job-format.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        self.validator = jsonschema.Draft202012Validator(schema)

    def allows(self, text):
        try:
            return self.validator.is_valid(parse(text))
        except ValueError:
            return False

    def test_agrees_with_the_loader(self):
        lines = subprocess.run([CASES, "cases"], stdout=subprocess.PIPE, check=True).stdout.splitlines()
        self.assertGreater(len(lines), 100)
        for case in map(json.loads, lines):
            with self.subTest(case["what"]):
                self.assertEqual(self.allows(case["text"]), case["schema"])
                self.assertTrue(case["schema"] or not case["loads"])

    def test_allows_the_examples(self):
        examples = sorted((ROOT / "examples").glob("*.json"))
        self.assertGreaterEqual(len(examples), 3)
        for path in examples:
            with self.subTest(path.name):
                self.assertTrue(self.allows(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
