"""NSS's vfychain on our chains: its own path validation, and libpkix."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from leafward.pki.chain import Chain
from tests.oracles.case import ACCEPTED, Case
from tests.oracles.processes import ask_each, run
from tests.oracles.stand import write
from tests.oracles.trial import asked_of, hold

VFYCHAIN, CERTUTIL = shutil.which("vfychain"), shutil.which("certutil")
pytestmark = pytest.mark.skipif(
    VFYCHAIN is None or CERTUTIL is None, reason="vfychain is not installed (package libnss3-tools)"
)
USAGES = {"client": "0", "server": "1", "ca": "3", "responder": "10"}


def databases(roots: Iterable[bytes], folder: Path) -> dict[bytes, str]:
    """A certificate database for each root, which trusts that one."""
    empty = folder / "empty"
    empty.mkdir()
    _certutil("-N", "--empty-password", folder=empty)
    found = {}
    for number, root in enumerate(dict.fromkeys(roots)):
        database = folder / f"trusting-{number}"
        shutil.copytree(empty, database)
        _certutil("-A", "-n", "root", "-t", "CT,C,C", "-a", "-i", str(write(root, folder)), folder=database)
        found[root] = f"sql:{database}"
    return found


def _certutil(*options: str, folder: Path) -> None:
    subprocess.run([str(CERTUTIL), *options, "-d", f"sql:{folder}"], check=True, capture_output=True, timeout=30)


@pytest.mark.parametrize("validation", [[], ["-pp"]], ids=["NSS", "libpkix"])
def test_every_chain(validation, docket, tmp_path):
    """Each kind, key type and depth: **good**; each control: **bad**. By NSS itself, and by its libpkix"""
    trusting = databases((case.anchor_pem for case in asked_of("nss", docket)), tmp_path)

    def vfychain(case: Case) -> str:
        chain = [str(write(Chain.of(one).to_pem(), tmp_path)) for one in case.chain]
        code, said = run(
            [str(VFYCHAIN), "-d", trusting[case.anchor_pem], *validation, "-u", USAGES[case.purpose], "-a", *chain]
        )
        return ACCEPTED if code == 0 and "Chain is good!" in said else f"{code}: {said}"

    hold("nss", docket, lambda cases: ask_each(cases, vfychain))
