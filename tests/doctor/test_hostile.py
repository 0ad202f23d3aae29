"""Hostile files: bounded time and memory, an answer always."""

import os
import random
import time
import tracemalloc
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.doctor import file_reader
from leafward.doctor.case_files import Evidence, Question, cases_of
from leafward.doctor.file_contents import contents
from leafward.doctor.file_reader import FileRead
from leafward.doctor.report import as_json, joined
from leafward.doctor.runner import Report, diagnose
from leafward.doctor.targets import Given, examine
from leafward.doctor.work_asked import rounds_asked
from leafward.pki.pem import write_block
from tests.doctor.corpus_files import CHAIN, HOST, LINE, ROOT, pem
from tests.pki.chain_forge import NOW, ca, key, root, server

QUESTION = Question(now=NOW, name=HOST, clock_is_real=False)


def examined(*targets: Path, roots: tuple[str, ...] = ()) -> Report:
    (report,) = examine(Given(tuple(map(str, targets)), roots), QUESTION)
    return report


def code(report: Report) -> str | None:
    return report.cause.code if report.cause else None


def test_a_file_of_a_terabyte(tmp_path: Path) -> None:
    """Sparse, so that it costs the test nothing: it is not read."""
    huge = tmp_path / "huge.pem"
    huge.touch()
    os.truncate(huge, 1 << 40)
    begun = time.monotonic()
    assert code(examined(huge)) == "file-not-readable"
    assert time.monotonic() - begun < 1


def test_a_device_that_never_ends() -> None:
    assert code(examined(Path("/dev/zero"))) == "file-not-readable"


def test_a_file_that_never_ends_and_says_it_is_empty(tmp_path: Path) -> None:
    """Four megabytes of BEGIN lines: a thousand are looked at."""
    many = tmp_path / "many.pem"
    many.write_bytes(b"-----BEGIN CERTIFICATE-----\n" * 140_000)
    begun = time.monotonic()
    assert code(examined(many)) in ("truncated-pem", "file-not-readable")
    assert time.monotonic() - begun < 3


def test_a_pipe_that_nobody_writes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_reader, "PIPE_SECONDS", 0.05)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    try:
        assert code(examined(pipe)) == "file-not-readable"
    finally:
        os.close(writer)


def test_a_pipe_with_a_chain() -> None:
    """`leafward doctor <(command)`"""
    reader, writer = os.pipe()
    os.write(writer, CHAIN)
    os.close(writer)
    try:
        report = examined(Path(f"/dev/fd/{reader}"))
    finally:
        os.close(reader)
    assert (report.verdict, len(report.case.presented)) == ("ok", len(LINE) - 1)


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A bundle of four megabytes: all of it is held a few times, not hundreds of times."""
    big = tmp_path / "big.pem"
    big.write_bytes((b"#" * 100 + b"\n") * 40_000 + CHAIN)
    tracemalloc.start()
    report = examined(big)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.verdict == "ok"
    assert most < 40 * file_reader.MAX_BYTES


def test_a_thousand_roots_of_one_name(tmp_path: Path) -> None:
    """None of them signed: looked at once each."""
    roots = tmp_path / "roots.pem"
    roots.write_bytes(pem(*(root(own_key=key(f"impostor {number % 4}")).certificate for number in range(300))))
    chain = tmp_path / "chain.pem"
    chain.write_bytes(CHAIN)
    begun = time.monotonic()
    assert code(examined(chain, roots=(str(roots),))) == "root-same-name-different-key"
    assert time.monotonic() - begun < 3


def test_cas_signed_in_circles(tmp_path: Path) -> None:
    """Thirty CAs of two names that signed one another, sent with a server."""
    one = ca("A", root("R", own_key=key("r")))
    crossed = [ca("B", one, own_key=key(f"c{number % 5}")).certificate for number in range(30)]
    chain = tmp_path / "chain.pem"
    chain.write_bytes(pem(server(one).certificate, one.certificate, *crossed))
    begun = time.monotonic()
    assert examined(chain, roots=()).case.presented
    assert time.monotonic() - begun < 3


def test_rounds_that_a_file_asks_for() -> None:
    salted = b"\x30\x0c\x04\x04salt\x02\x04\x7f\xff\xff\xff"
    assert rounds_asked(b"\x30\x10\x30\x0e" + salted) == 0x7FFFFFFF
    assert rounds_asked(b"\x30\x80" * 50) == 0
    assert rounds_asked(b"") == 0


def test_links_and_null_bytes(tmp_path: Path) -> None:
    circle = tmp_path / "circle.pem"
    circle.symlink_to(circle)
    assert code(examined(circle)) in ("file-not-readable", "file-missing")
    assert code(examined(Path("a\0b"))) in ("file-not-readable", "file-missing")


def test_damage_of_every_kind_gets_an_answer() -> None:
    """A few hundred chains with bits turned over, certificates cut and bytes between: never an exception."""
    draw = random.Random(8)
    ders = [one.public_bytes(Encoding.DER) for one in LINE]
    trusted = contents(FileRead(Path("root.pem"), ROOT, 0o600))
    for _ in range(300):
        damaged = [bytearray(one) for one in ders]
        for _ in range(draw.randint(1, 6)):
            one = draw.choice(damaged)
            one[draw.randrange(len(one))] = draw.choice((0, 0x80, 0xFF, draw.randrange(256)))
        data = bytearray(b"".join(write_block("CERTIFICATE", bytes(one)) for one in damaged))
        if draw.random() < 0.3:
            data[draw.randrange(len(data))] = draw.randrange(256)
        read = contents(FileRead(Path("chain.pem"), bytes(data), 0o600))
        report = joined([diagnose(case) for case in cases_of("chain.pem", Evidence((read,), (trusted,)), QUESTION)])
        assert as_json(report)["verdict"] in ("ok", "warning", "failed")
