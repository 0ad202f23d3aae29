"""The children that this gateway's device CA signed for, written down before their certificates are handed out.

One small file, `manager/children.json`, replaced whole: a gateway has a few children, and a maker's inventory would be
too much for it. The certificates are kept with it, so that a hand-over that was cut short is finished by asking again
with the same key. Who changes it holds `manager/children.lock`.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from leafward import disk
from leafward.errors import AlreadyExists, Damaged, EncodingError, NotFound
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.encoding import certificate_to_pem, load_certificate
from leafward.pki.extension import serial_number
from leafward.pki.key_types import PublicKey
from leafward.store.lock import HomeLock

FILE = "children.json"
LOCK = "children.lock"
VERSION = 1
MAX_CHILDREN = 10_000


@dataclass(frozen=True)
class Child:
    """One child's device CA. Times are RFC 3339 in UTC, `serial` and `sha256` lower-case hexadecimal.

    `issuer` is the SHA-256 of the device CA that signed; `replaced` is when another took its place, None while it is
    the one of that name.
    """

    name: str
    serial: str
    sha256: str
    issuer: str
    issued: str
    not_after: str
    certificate: str
    replaced: str | None = None

    @classmethod
    def of(cls, name: str, chain: Chain, now: datetime) -> "Child":
        """The entry of a chain that was just signed."""
        return cls(
            name=name,
            serial=f"{serial_number(chain.leaf):x}",
            sha256=fingerprint(chain.leaf),
            issuer=fingerprint(chain.issuers[0]),
            issued=_text(now),
            not_after=_text(chain.leaf.not_valid_after_utc),
            certificate=certificate_to_pem(chain.leaf).decode("ascii"),
        )

    def lives(self, now: datetime) -> bool:
        """Whether it counts: it was not replaced, and has not ended."""
        return self.replaced is None and datetime.fromisoformat(self.not_after) > now

    @property
    def loaded(self) -> x509.Certificate:
        """The certificate itself."""
        return load_certificate(self.certificate.encode("ascii"))

    def is_for(self, key: PublicKey) -> bool:
        """Whether it certifies this key."""
        return self.loaded.public_key() == key


class ChildLedger:
    """The ledger in the manager's folder. Raises `Damaged` where the file does not read back, `StoreError`."""

    def __init__(self, manager: Path) -> None:
        self._path = manager / FILE
        self._lock = HomeLock(manager / LOCK)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else changes it within. Raises `Busy`."""
        with self._lock.hold("manager child"):
            for leftover in disk.leftovers(self._path):
                disk.remove_file(leftover)
            yield

    def all(self) -> list[Child]:
        """Every child there ever was, oldest first."""
        try:
            data = disk.read_file(self._path)
        except NotFound:
            return []
        try:
            found = json.loads(data)
            if found["version"] != VERSION:
                raise ValueError(f"version {found['version']}")
            return [_child(one) for one in found["children"]]
        except (ValueError, KeyError, TypeError, EncodingError) as error:
            hint = "restore it from a copy; without it, nobody knows which children this gateway has"
            raise Damaged(f"{self._path} is damaged", why=str(error), hint=hint) from error

    def living(self, name: str, now: datetime) -> Child | None:
        """The child of this name that lives; names are compared without case."""
        return next((one for one in self.all() if one.name.casefold() == name.casefold() and one.lives(now)), None)

    def add(self, child: Child, *, now: datetime, replacing: bool) -> None:
        """Writes a child down; durable when it returns. `replacing` marks the one of that name as replaced.

        Raises `AlreadyExists` where one of that name lives and is not to be replaced.
        """
        children = self.all()
        for place, one in enumerate(children):
            if one.name.casefold() != child.name.casefold() or not one.lives(now):
                continue
            if not replacing:
                raise already(one)
            children[place] = replace(one, replaced=_text(now))
        if len(children) >= MAX_CHILDREN:
            raise AlreadyExists(
                f"this gateway has had {MAX_CHILDREN} children", hint="a device CA for each by the maker"
            )
        facts = {"version": VERSION, "children": [asdict(one) for one in (*children, child)]}
        disk.write_file(self._path, json.dumps(facts, indent=1).encode("ascii"), mode=disk.PRIVATE)


def already(child: Child) -> AlreadyExists:
    """What to say of a name that is taken."""
    return AlreadyExists(
        f"there is a child gateway {child.name!r}",
        why=f"its device CA {child.sha256[:16]}… lives until {child.not_after[:10]}",
        hint="choose another name; --replace puts a new one in its place, and the old one stays valid until its end",
    )


def _child(facts: dict[str, Any]) -> Child:
    child = Child(**facts)
    if fingerprint(child.loaded) != child.sha256:
        raise ValueError(f"the certificate of {child.name!r} is another")
    datetime.fromisoformat(child.not_after)
    return child


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
