#!/usr/bin/env python3
"""`excamera lambda deploy|update|delete`. Nothing that can be had implements this part of Lambda's API, so it is a
server of the test's own; what comes is checked against AWS's description of the API, as botocore ships it."""
import base64
import io
import json
import pathlib
import re
import unittest
import urllib.parse
import zipfile

from harness import Case, excamera, main
from service import REGION, InvokeHandler, Server, environment

MODEL = pathlib.Path("/usr/lib/python3/dist-packages/botocore/data/lambda/2015-03-31/service-2.json")
ROLE = "arn:aws:iam::123456789012:role/excamera-worker"
BUSY = 409, "ResourceConflictException", "The operation cannot be performed at this time."


class Model:
    """What AWS says of the requests that Lambda takes."""

    def __init__(self, document):
        self.operations, self.shapes = document["operations"], document["shapes"]

    def find(self, method, path):
        """The name of the operation, and the function's name."""
        for name, operation in self.operations.items():
            pattern = re.sub(r"\\{\w+\\}", "([^/]+)", re.escape(operation["http"]["requestUri"]))
            if operation["http"]["method"] == method and (words := re.fullmatch(pattern, path)):
                return name, words[1] if words.groups() else None
        raise AssertionError(f"no such operation: {method} {path}")

    def check(self, name, value, where):
        shape = self.shapes[name]
        kind = {"integer": int, "string": str, "blob": str, "list": list, "structure": dict, "boolean": bool,
                "map": dict}[shape["type"]]
        if not isinstance(value, kind):
            raise AssertionError(f"{where} is no {shape['type']}")
        if shape["type"] == "structure":
            for member in value:
                if shape["members"].get(member, {"location": "none"}).get("location"):
                    raise AssertionError(f"{where} has no {member}")
                self.check(shape["members"][member]["shape"], value[member], f"{where}.{member}")
            missing = {member for member in shape.get("required", ())
                       if not shape["members"][member].get("location")} - set(value)
            if missing:
                raise AssertionError(f"{where} has no {missing}")
        elif shape["type"] == "blob":
            base64.b64decode(value, validate=True)
        else:
            self.check_range(name, shape, value, where)
            for item in value if kind is list else ():
                self.check(shape["member"]["shape"], item, where)

    @staticmethod
    def check_range(name, shape, value, where):
        size = value if isinstance(value, int) else len(value)
        if not shape.get("min", size) <= size <= shape.get("max", size):
            raise AssertionError(f"{where} is out of range")
        if "pattern" in shape and not re.fullmatch(shape["pattern"], value):
            raise AssertionError(f"{where} is not {shape['pattern']}")
        # The description is older than this runtime.
        if "enum" in shape and value not in [*shape["enum"], *(["provided.al2023"] if name == "Runtime" else [])]:
            raise AssertionError(f"{where} is none of {shape['enum']}")


class ApiHandler(InvokeHandler):
    def handle_one(self):
        api, body = self.server.owner, self.body()
        wrong = self.wrong_signature(body) or api.refusal
        if wrong:
            self.refuse(*wrong)
            return
        try:
            name, function = api.model.find(self.command, urllib.parse.unquote(self.path))
            words = json.loads(body) if body else {}
            api.model.check(api.model.operations[name]["input"]["shape"], words, name)
        except AssertionError as error:
            api.breaches.append(str(error))
            self.refuse(400, "InvalidParameterValueException", str(error))
            return
        api.said.append((name, function, words))
        status, answer, *more = getattr(api, name)(function, words)
        if more:
            self.refuse(status, answer, *more)
        else:
            self.answer(status, b"" if answer is None else answer)

    do_GET = do_PUT = do_POST = do_DELETE = handle_one


class Api:
    """Functions by name. Each is being made or changed until it was asked for twice."""

    def __init__(self, case):
        self.model = Model(json.loads(MODEL.read_text()))
        self.functions, self.said, self.breaches = {}, [], []
        self.asked = dict.fromkeys([REGION, "eu-b-2"], 0)
        self.regions = set(self.asked)
        self.refusal, self.failure = None, None
        self.server = Server(ApiHandler, self)
        self.url = f"http://{self.server.address}"
        case.addCleanup(self.server.close)

    def refused(self, name, new=False):
        if new == (name in self.functions):
            return (409, "ResourceConflictException", f"Function already exist: {name}") if new else \
                (404, "ResourceNotFoundException", f"Function not found: {name}")
        return BUSY if not new and self.functions[name]["pending"] > 0 else None

    def change(self, name, words):
        function = self.functions[name]
        package = words.get("ZipFile") or words.get("Code", {}).get("ZipFile")
        if package is not None:
            package = base64.b64decode(package)
            if "bootstrap" not in zipfile.ZipFile(io.BytesIO(package)).namelist():
                return 400, "InvalidParameterValueException", "no bootstrap"
            function["package"] = package
        function.update({key: value for key, value in words.items() if key not in ("ZipFile", "Code")}, pending=2)
        return None

    def CreateFunction(self, _, words):
        refused = self.refused(words["FunctionName"], True)
        if not refused:
            self.functions[words["FunctionName"]] = {"new": True}
            refused = self.change(words["FunctionName"], words)
        return refused or (201, {"State": "Pending"})

    def update(self, name, words):
        return self.refused(name) or self.change(name, words) or (200, {"LastUpdateStatus": "InProgress"})

    UpdateFunctionCode = UpdateFunctionConfiguration = update

    def PutFunctionEventInvokeConfig(self, name, words):
        if refused := self.refused(name):
            return refused
        self.functions[name]["events"] = words
        return 200, words

    def GetFunctionConfiguration(self, name, _):
        if name not in self.functions:
            return self.refused(name)
        function = self.functions[name]
        if self.failure:
            return 200, {"State": "Failed", "StateReason": self.failure}
        function["pending"] -= function["pending"] > 0
        busy = function["pending"] > 0
        function["new"] = function["new"] and busy
        return 200, {"State": "Pending" if function["new"] else "Active",
                     "LastUpdateStatus": "InProgress" if busy else "Successful"}

    def DeleteFunction(self, name, _):
        if name not in self.functions:
            return self.refused(name)
        del self.functions[name]
        return 204, None


@unittest.skipUnless(MODEL.exists(), "no description of Lambda's API: install python3-botocore")
class Deploy(Case):
    def setUp(self):
        super().setUp()
        self.api = Api(self)
        self.package = self.make_package("bootstrap", b"1" * 3_000_001)

    def make_package(self, entry, content):
        path = self.folder / "package.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(entry, content)
        return path

    def run_lambda(self, *words, expect=0):
        done = excamera("lambda", *words, env=environment(self.api), expect=expect, text=True)
        self.assertEqual(self.api.breaches, [])
        return done.stdout if expect == 0 else done.stderr

    def test_from_deploy_to_delete(self):
        self.assertEqual(self.run_lambda("deploy", self.package, "--role", ROLE),
                         f"made the function excamera in {REGION}\n")
        function = self.api.functions["excamera"]
        self.assertEqual(function["package"], self.package.read_bytes())
        self.assertEqual((function["Runtime"], function["Handler"], function["Role"], function["MemorySize"],
                          function["Timeout"], function["EphemeralStorage"], function["pending"]),
                         ("provided.al2023", "bootstrap", ROLE, 1769, 900, {"Size": 512}, 0))
        self.assertEqual(function["events"], {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60})
        self.run_lambda("update", "--memory", "3008", "--storage", "2048")
        self.assertEqual((function["MemorySize"], function["Timeout"], function["EphemeralStorage"]),
                         (3008, 900, {"Size": 2048}))
        package = self.make_package("bootstrap", b"2")
        self.run_lambda("update", package, "--arch", "arm64")
        self.assertEqual((function["package"], function["Architectures"]), (package.read_bytes(), ["arm64"]))
        self.assertEqual(self.run_lambda("delete"), f"removed the function excamera in {REGION}\n")
        self.assertEqual(self.api.functions, {})

    def test_regions_and_settings(self):
        said = self.run_lambda("deploy", self.package, "--role", ROLE, "--function", "mine", "--regions",
                               f"{REGION},eu-b-2", "--arch", "x86-64", "--timeout", "60", expect=1)
        # Both are this one server, which has the function by then.
        self.assertIn("there is a function mine in eu-b-2; `excamera lambda update` changes it", said)
        self.assertEqual(self.api.functions["mine"]["Architectures"], ["x86_64"])
        self.assertEqual(self.api.functions["mine"]["Timeout"], 60)
        self.assertGreater(self.api.asked[REGION] * self.api.asked["eu-b-2"], 0)

    def test_errors(self):
        self.assertIn("it is not there", self.run_lambda("update", "--memory", "512", expect=1))
        self.assertIn("it is not there", self.run_lambda("delete", expect=1))
        self.assertIn("needs a package and --role", self.run_lambda("deploy", expect=1))
        self.assertIn("--arch is that of a package", self.run_lambda("update", "--arch", "arm64", expect=1))
        self.assertIn("no zip file", self.run_lambda("deploy", __file__, "--role", ROLE, expect=1))
        self.assertIn("cannot open", self.run_lambda("deploy", "/nothing", "--role", ROLE, expect=1))
        self.run_lambda("deploy", self.package, "--role", ROLE, "--timeout", "901", expect=2)
        self.run_lambda("deploy", self.package, "--role", ROLE, "--function", "a:b", expect=2)
        self.run_lambda("deploy", self.package, "--role", ROLE, "--arch", "mips", expect=2)
        self.run_lambda("deploy", self.package, "another", expect=2)
        self.assertEqual(self.api.functions, {})
        self.api.failure = "The role defined for the function cannot be assumed by Lambda."
        self.assertIn("could not make the function: The role defined",
                      self.run_lambda("deploy", self.package, "--role", ROLE, expect=1))
        self.api.refusal = 403, "AccessDeniedException", "User: u is not authorized to perform: lambda:DeleteFunction"
        self.assertIn("not allowed to do this (lambda in eu-test-1: AccessDeniedException: User: u is not authorized",
                      self.run_lambda("delete", expect=1))

    def test_a_large_package(self):
        """As large as they may be; a larger one is refused before anything is sent."""
        package = self.make_package("bootstrap", bytes(46 * 1024 * 1024))
        self.run_lambda("deploy", package, "--role", ROLE)
        self.assertEqual(len(self.api.functions["excamera"]["package"]), package.stat().st_size)
        package = self.make_package("bootstrap", bytes(47 * 1024 * 1024))
        self.assertIn("at most 47 MB", self.run_lambda("update", package, expect=1))


if __name__ == "__main__":
    main()
