"""Runs one of paho's interoperability suites from a checkout of theirs, unmodified, against a plain MQTT port.

paho_suite.py CHECKOUT client_test|client_test5 PORT [TEST…]     test -> null or why it failed, as JSON
"""

import contextlib
import importlib
import json
import logging
import sys
import unittest
from pathlib import Path


class Outcomes(unittest.TestResult):
    """What became of each test."""

    def __init__(self):
        super().__init__()
        self.found = {}

    def addSuccess(self, test):  # noqa: N802
        self.found[test._testMethodName] = None

    def addFailure(self, test, error):  # noqa: N802
        self.found[test._testMethodName] = f"{error[0].__name__}: {error[1]}"

    addError = addFailure  # noqa: N815


def suite_of(name, port):
    """Their module, with what its main part would have set from the command line."""
    logging.disable()
    module = importlib.import_module(name)
    module.host, module.port = "127.0.0.1", port
    module.topic_prefix = "client_test5/"
    module.topics = ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")
    module.wildtopics = ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")
    module.nosubscribe_topics = ("test/nosubscribe",)
    return module


def main():
    checkout, name, port, *chosen = sys.argv[1:]
    sys.path.insert(0, str(Path(checkout) / "interoperability"))
    module = suite_of(name, int(port))
    loader = unittest.TestLoader()
    tests = chosen or loader.getTestCaseNames(module.Test)
    outcomes = Outcomes()
    with contextlib.redirect_stdout(sys.stderr):
        unittest.TestSuite(map(module.Test, tests)).run(outcomes)
    print(json.dumps(outcomes.found), flush=True)


main()
