"""Issuance logs for tests: a database in a folder, a key in memory, entries that are no certificates."""

import hashlib
import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from leafward.store.issuance_log.audit import audit
from leafward.store.issuance_log.difference import Report
from leafward.store.issuance_log.entry import LogEntry
from leafward.store.issuance_log.log import IssuanceLog
from leafward.store.issuance_log.note import VerifierKey
from leafward.store.issuance_log.signatures import Held
from leafward.store.maker_database import open_maker_database

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
ORIGIN = "log.example.com/maker"


@dataclass
class Signer:
    """A log's key that lives as long as the test."""

    name: str = ORIGIN
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    asked: int = 0

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        self.asked += 1
        return self.key.sign(message)


def crl_entry(number: int, text: str = "") -> bytes:
    """An entry of a CRL: it needs no row in the inventory."""
    sha256 = hashlib.sha256(f"{text}{number}".encode()).hexdigest()
    return LogEntry("crl", NOW, "3fa8" * 10, number, sha256).to_bytes()


@dataclass
class LogFolder:
    """A maker's folder with a log. `log()` opens it as a new process would."""

    folder: Path
    signer: Signer = field(default_factory=Signer)

    @property
    def database(self) -> Path:
        return self.folder / "maker.db"

    def log(self) -> IssuanceLog:
        return IssuanceLog(open_maker_database(self.database), self.folder / "log", lambda _kept: self.signer)

    def filled(self, count: int, *, text: str = "", first: int = 0) -> "LogFolder":
        """With `count` entries more, signed."""
        with closing_log(self) as log:
            append(log, [crl_entry(first + number, text) for number in range(count)])
            log.checkpoint()
        return self

    def sql(self, statement: str, *values: object) -> int:
        """What somebody does to the database behind our back. How many rows it met."""
        connection = sqlite3.connect(self.database)
        try:
            with connection:
                return connection.execute(statement, values).rowcount
        finally:
            connection.close()

    def query(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.database)
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def copy(self, target: Path) -> "LogFolder":
        """A copy as a backup makes it."""
        shutil.copytree(self.folder, target)
        return LogFolder(target, self.signer)

    def verify(self, *, held: Sequence[Held] = ()) -> Report:
        """What the verification of the database finds."""
        with closing_log(self) as log:
            own = log.file.read()
            mine = [Held("the checkpoint file", own)] if own else []
            return audit(log.engine, now=NOW, key=self.signer.verifier, held=[*mine, *held])


class closing_log:  # noqa: N801 - reads as what it does
    def __init__(self, made: LogFolder) -> None:
        self._log = made.log()

    def __enter__(self) -> IssuanceLog:
        return self._log

    def __exit__(self, *_: object) -> None:
        self._log.engine.dispose()


def append(log: IssuanceLog, entries: Sequence[bytes]) -> list[int]:
    """Appends in a transaction of its own."""
    with log.engine.begin() as connection:
        return log.append(connection, entries)


def codes(report: Report) -> set[str]:
    return {found.code for found in report.differences}
