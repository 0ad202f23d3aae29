"""The real clients: each is asked about the cases, and answers in its own words; "" where it accepts."""

import json
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.doctor.loopback import serving, tls
from tests.doctor.stack_cases import Shown
from tests.edge import LEAF_PYTHON
from tests.oracles.buffers import StandardEnd, shake_hands
from tests.oracles.processes import ask_each, run
from tests.oracles.stand import ask_program, write

PROGRAMS = Path(__file__).parent / "programs"
ORACLES = Path(__file__).parents[1] / "oracles" / "programs"


def _strict_python() -> str | None:
    """A Python of 3.13, installed by itself or by pyenv."""
    by_pyenv = sorted(Path.home().glob(".pyenv/versions/3.13*/bin/python3.13"))
    return next(map(str, by_pyenv), None) or shutil.which("python3.13")


PYTHON_313 = _strict_python()

Cases = Sequence[tuple[str, Shown]]
Ask = Callable[[Cases, Path], list[str]]


def pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def openssl(cases: Cases, folder: Path) -> list[str]:
    """`openssl verify` as a TLS client of Debian's level: the first error, as "NUMBER text"."""

    def verify(one: tuple[str, Shown]) -> str:
        shown = one[1]
        command = ["openssl", "verify", "-no-CApath", "-no-CAstore", "-auth_level", "2", "-purpose", "sslserver"]
        command += ["-CAfile", str(write(pem(shown.anchors), folder))]
        command += ["-verify_ip" if shown.host[0].isdigit() else "-verify_hostname", shown.host]
        command += ["-untrusted", str(write(pem(shown.chain), folder)), str(write(pem(shown.chain[:1]), folder))]
        code, said = run(command)
        found = re.search(r"error (\d+) at \d+ depth lookup: ?(.*)", said)
        return "" if code == 0 else f"{found[1]} {found[2]}" if found else said

    return ask_each(cases, verify)


def python(cases: Cases, _folder: Path) -> list[str]:
    """`ssl.create_default_context` as it is before Python 3.13, which asks for more by itself."""

    def judging(case):
        context = ssl.create_default_context(cadata=pem([case.anchor]).decode())
        context.verify_flags &= ~(ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN)
        return StandardEnd(context, case.host)

    return [shake_hands(shown.for_stand(label), judging) for label, shown in cases]


def _program(command: Sequence[str]) -> Ask:
    def ask(cases: Cases, folder: Path) -> list[str]:
        stand = [shown.for_stand(label) for label, shown in cases]
        return [one.removeprefix("refused: ") for one in ask_program(command, stand, stand[0], folder)]

    return ask


def strict(cases: Cases, folder: Path) -> list[str]:
    assert PYTHON_313 is not None
    return _program([PYTHON_313, str(PROGRAMS / "strict.py")])(cases, folder)


def node(cases: Cases, folder: Path) -> list[str]:
    return _program(["node", str(ORACLES / "handshake.js")])(cases, folder)


def java(cases: Cases, folder: Path) -> list[str]:
    return _program(["java", "-XX:+UseSerialGC", str(ORACLES / "Validate.java")])(cases, folder)


def gnutls(cases: Cases, folder: Path) -> list[str]:
    """`certtool --verify`, whose sentences are those of `gnutls_certificate_verification_status_print`."""

    def certtool(one: tuple[str, Shown]) -> str:
        shown = one[1]
        command = ["certtool", "--verify", "--load-ca-certificate", str(write(pem(shown.anchors), folder))]
        command += ["--infile", str(write(pem(shown.chain), folder)), "--verify-hostname", shown.host]
        code, said = run([*command, "--verify-purpose", "1.3.6.1.5.5.7.3.1"])
        found = re.search(r"Chain verification output: (.*)", said)
        words = found[1].strip() if found else said
        return "" if code == 0 and words.startswith("Verified") else words

    return ask_each(cases, certtool)


def small(program: str) -> Ask:
    """mbedTLS or wolfSSL, by the C program that was compiled."""
    return _program([program])


CONNACK = b"\x20\x02\x00\x00"
SDKS = {
    "azure-sdk-python": [str(LEAF_PYTHON), "-W", "ignore", str(PROGRAMS / "azure_sdk.py")],
    "azure-sdk-node": ["node", "--no-deprecation", str(PROGRAMS / "azure_sdk.js")],
}


def sdk_is_here(name: str) -> bool:
    """Whether the unmodified SDK is installed."""
    modules = Path(__file__).parents[1] / "clients" / "node" / "node_modules"
    return LEAF_PYTHON.exists() if name == "azure-sdk-python" else bool(shutil.which("node")) and modules.exists()


def whole_errors(name: str, servers: Sequence[tuple[str, int, bytes]]) -> list[list[str]]:
    """What an SDK says of each (name, port, roots), with all its causes, by one process; [] where it connects."""
    asked = [{"host": host, "port": port, "root": roots.decode()} for host, port, roots in servers]
    done = subprocess.run(SDKS[name], input=json.dumps(asked), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    answers: list[list[str]] = json.loads(done.stdout)
    return answers


def sdk(name: str) -> Ask:
    """An SDK of Azure, at a hub for each case: its error."""

    def ask(cases: Cases, _folder: Path) -> list[str]:
        with ExitStack() as hubs:
            ports = [hubs.enter_context(serving(tls(shown, answer=CONNACK))) for _, shown in cases]
            servers = [(shown.host, port, pem(shown.anchors)) for (_, shown), port in zip(cases, ports, strict=True)]
            return [told(name, causes) for causes in whole_errors(name, servers)]

    return ask


def told(name: str, causes: list[str]) -> str:
    """An SDK's error as one text: the outermost, with the last of its causes where that says more."""
    if not causes or name == "azure-sdk-node":
        return causes[0] if causes else ""
    last = re.sub(r" \(_ssl\.c:\d+\)$", "", causes[-1])
    return f"{causes[0]} (caused by {last})"
