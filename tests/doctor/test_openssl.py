"""Failed means that OpenSSL refuses, and nothing else: the whole corpus, asked of `openssl verify`.

With the security level that Debian sets for TLS (2). Where a diagnosis and OpenSSL part ways, the corpus says why.
"""

import random
import re
import shutil
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.doctor.runner import Report, diagnose
from tests.doctor import corpus_healthy
from tests.doctor.corpus import Broken
from tests.doctor.test_corpus import CORPUS
from tests.oracles.test_openssl import NUMBERS
from tests.pki.chain_forge import edge

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed (package openssl)")
VERIFY = [str(OPENSSL), "verify", "-no-CApath", "-no-CAstore", "-auth_level", "2"]

# Chain -> why OpenSSL says another number than those that our code stands for.
OTHER_NUMBERS = {
    "the hub itself is trusted": "it goes on to the root that is sent, which is not trusted: 19",
    "no key identifiers, a stale workload CA": "names alone lead to the CA that is sent, so it meets the signature: 7",
}


def asked(broken: Broken, folder: Path) -> str:
    """What OpenSSL says of the chain as it is sent; empty where it accepts it."""
    folder.mkdir()
    for name, certificates in (
        ("leaf", broken.chain[:1]),
        ("rest", (*broken.chain[1:], *broken.more)),
        ("trusted", broken.anchors),
    ):
        (folder / name).write_bytes(b"".join(map(pem, certificates)))
    command = [*VERIFY, "-CAfile", "trusted", "-purpose", f"ssl{broken.purpose}"]
    command += ["-attime", str(int(broken.now.timestamp()))]
    if broken.chain[1:] or broken.more:
        command += ["-untrusted", "rest"]
    if broken.host and broken.purpose == "server":
        is_address = broken.host[0].isdigit()
        command += ["-verify_ip" if is_address else "-verify_hostname", broken.host]
    done = subprocess.run([*command, "leaf"], cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr or done.stdout)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Broken, Report, str]]:
    """Every chain of the corpus and every healthy one, with our report and what OpenSSL says."""
    everything = [one for one in (*CORPUS, *corpus_healthy.cases()) if one.anchors]
    stand = tmp_path_factory.mktemp("openssl")
    with ThreadPoolExecutor(2) as pool:
        folders = [stand / str(number) for number in range(len(everything))]
        said = list(pool.map(asked, everything, folders))
    return [(one, diagnose(one.case), words) for one, words in zip(everything, said, strict=True)]


def test_failed_is_what_openssl_refuses(answers: list[tuple[Broken, Report, str]]) -> None:
    """The only differences are those that the corpus justifies."""
    assert len(answers) > 400
    for broken, report, said in answers:
        cause = report.cause.code if report.cause else report.verdict
        if broken.differs.startswith("depends"):
            continue
        assert (report.failed == bool(said)) is not bool(broken.differs), (broken.name, cause, said)


def test_the_cause_is_what_openssl_says_first(answers: list[tuple[Broken, Report, str]]) -> None:
    """The number of OpenSSL's first error is one of those that our code stands for."""
    wrong = []
    for broken, report, said in answers:
        number = re.search(r"error (\d+) at", said)
        if number is None or report.cause is None or report.cause.code not in NUMBERS:
            continue
        if int(number[1]) not in NUMBERS[report.cause.code] and broken.name not in OTHER_NUMBERS:
            wrong.append((broken.name, report.cause.code, said.splitlines()[0]))
    assert not wrong


def test_damaged_chains_are_refused_as_openssl_does(tmp_path: Path) -> None:
    """Two hundred chains with a bit or an octet changed somewhere: refused by both or by neither."""
    draw = random.Random(8)
    everything = [damaged for number in range(200) if (damaged := _damaged(draw, number)) is not None]
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(asked, everything, [tmp_path / one.name for one in everything]))
    assert len(everything) > 100
    for broken, words in zip(everything, said, strict=True):
        report = diagnose(broken.case)
        assert report.failed == bool(words), (report.cause, words)


def _damaged(draw: random.Random, number: int) -> Broken | None:
    """None where the certificate cannot be decoded any more: that is a fault of the file."""
    ders = [bytearray(one.public_bytes(Encoding.DER)) for one in edge().hub.line[:-1]]
    one = draw.choice(ders)
    place = draw.randrange(len(one))
    one[place] = draw.choice((one[place] ^ 1 << draw.randrange(8), draw.randrange(256)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            line = tuple(x509.load_der_x509_certificate(bytes(der)) for der in ders)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    return Broken(str(number), line, (edge().root.certificate,), None)
