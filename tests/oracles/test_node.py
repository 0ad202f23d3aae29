"""Node's TLS: real handshakes with our chains. As a TLS client it judges servers, as a server clients."""

import shutil
from pathlib import Path

import pytest

from tests.oracles.stand import ask_program
from tests.oracles.trial import hold

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed (package nodejs)")
PROGRAM = Path(__file__).parent / "programs" / "handshake.js"


def test_every_chain(docket, own, tmp_path):
    """Each kind, key type and depth: **connected**; each control: **refused**"""
    hold("node", docket, lambda cases: ask_program([str(NODE), str(PROGRAM)], cases, own, tmp_path))
