"""Node's TLS: a real handshake with our chains, by name and by address."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.oracles.hierarchies import HOST, KINDS, Ours, key_pem, ours

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed (package nodejs)")
PROGRAM = Path(__file__).parent / "programs" / "handshake.js"


def case(mine: Ours, *, trusted: bytes | None = None, name: str = HOST, address: bool = False) -> dict[str, object]:
    return {
        "chain": mine.hub.to_pem().decode(),
        "key": key_pem(mine.hub_key).decode(),
        "trusted": (trusted or mine.root_pem).decode(),
        "name": name,
        "address": address,
    }


def handshakes(cases: list[dict[str, object]]) -> list[str | None]:
    """Node's error codes, None where it connects. One process for all: starting Node costs more than they do."""
    done = subprocess.run(
        [str(NODE), str(PROGRAM)], input=json.dumps(cases), capture_output=True, text=True, timeout=60, check=True
    )
    return [json.loads(line)["error"] for line in done.stdout.splitlines()]


def test_our_own_chains():
    """Every kind, by name, in capitals and by address: **connected**"""
    cases = []
    for levels, key_type in KINDS:
        mine = ours(levels, key_type)
        cases += [case(mine), case(mine, name=HOST.upper()), case(mine, address=True)]
    assert handshakes(cases) == [None] * len(cases)


def test_refusals():
    """Another name; another root of the same name; only the device CA trusted: **refused**"""
    mine = ours(1, "ec-p256")
    device_ca = type(mine.hub).of(mine.hub.certificates[2]).to_pem()
    cases = [
        case(mine, name="other.local"),
        case(mine, trusted=ours(0, "ec-p256").root_pem),
        case(mine, trusted=device_ca),
    ]
    errors = handshakes(cases)
    assert errors[0] == "ERR_TLS_CERT_ALTNAME_INVALID"
    assert None not in errors
