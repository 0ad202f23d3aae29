"""Publishing revocation lists: sign -> record in the ledger -> write the file, each list when it is due.

    maker/crl/KEYID/complete.crl, 7.crl     DER (RFC 5280 4.2.1.13), for any web server

The number of a list, what it tells and its bytes are in the database, in the transaction that logs it: of two stations
that sign the same list at once one is refused and nothing of it is logged, and a file that a kill left old is written
anew from there. A clock that went back signs nothing until it has caught up.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from leafward import disk
from leafward.authority.authorities import Authority
from leafward.authority.crl_shards import Publishing, key_id_of, list_name
from leafward.authority.ledger import Entry, Ledger
from leafward.errors import Busy, LeafwardError
from leafward.pki.crl import IssuedList, Line, issue_crl
from leafward.pki.issuer import Issuer
from leafward.store.revocations import COMPLETE, ListState, RevocationLists
from leafward.store.revocations.lists import clock_behind, publish

FOLDER = "crl"
_TRIES = 3
# A complete list of a million lines has 40 MB.
_MAX_LIST = 1 << 30


@dataclass(frozen=True, slots=True)
class Published:
    """A list as it stands: its times are aware UTC, `lines` how many certificates are in it."""

    authority: str
    issuer_key_id: str
    partition: int
    address: str | None
    number: int
    this_update: datetime
    next_update: datetime
    lines: int
    path: Path


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A list that is due and could not be signed, and why."""

    authority: str
    partition: int
    has_news: bool
    reason: LeafwardError


@dataclass(frozen=True, slots=True)
class Due:
    """A list that should be signed anew."""

    authority: Authority
    state: ListState


class Publication:
    """The lists of a maker's CAs. Thread-safe; stations may publish at the same time. `now` is aware UTC."""

    def __init__(self, folder: Path, ledger: Ledger, publishing: Publishing) -> None:
        self._folder = folder / FOLDER
        self._ledger = ledger
        self._publishing = publishing
        self.lists = RevocationLists(ledger.engine)
        self._looked_at: dict[Path, tuple[int, int, str | None]] = {}

    def due(self, authority: Authority, now: datetime, *, everything: bool = False) -> list[ListState]:
        """The lists of a CA that should be signed: those with news, and those half of whose time is over.

        A CA whose certificates name no list has a complete one; so has a root, for verifiers that look for the root's
        own certificate too (`openssl verify -crl_check_all`). With `everything` all but those that came to rest.
        """
        key_id = key_id_of(authority.chain.leaf)
        states = self.lists.all(key_id)
        wanted = self._publishing.crl_url is None or authority.is_root
        if wanted and not any(state.partition == COMPLETE for state in states):
            states.insert(0, ListState(key_id, COMPLETE))
        return [one for one in states if one.is_due(now) or (everything and not one.is_finished)]

    def publish(
        self,
        authority: Authority,
        issuer: Issuer,
        partition: int,
        *,
        now: datetime,
        lifetime: timedelta | None = None,
    ) -> Published:
        """Signs a list and writes its file; the times are aware UTC, `lifetime` None is the usual one.

        Raises `RuleViolation` ("clock-wrong", or as `issue_crl`), what the key raises, `StoreError`: then nothing was
        published, or, where only the file could not be written, the next `mend` does it.
        """
        key_id = key_id_of(authority.chain.leaf)
        for left in reversed(range(_TRIES)):
            before = self._begin(key_id, partition)
            try:
                made = self._record(issuer, before, now, lifetime or self._publishing.crl_lifetime)
            except Busy:
                if not left or self.lists.get(key_id, partition) == before:
                    raise
                continue
            return self._write(authority, before, made)
        raise AssertionError  # the last try returns or raises

    def published(self, authority: Authority) -> list[Published]:
        """What was signed last of each of a CA's lists."""
        return [_published(authority, one, self._path(one)) for one in self._signed(authority)]

    def mend(self, authority: Authority) -> int:
        """Writes the files that are not as the database has them: a kill came in between, or another station signed.

        How many. Raises `StoreError`.
        """
        mended = 0
        for state in self._signed(authority):
            path = self._path(state)
            if self._digest(path) != state.sha256:
                self._write_file(path, state, self.lists.der(state.issuer_key_id, state.partition) or b"")
                mended += 1
        return mended

    def _digest(self, path: Path) -> str | None:
        """The SHA-256 of a file, read again only where it has changed; None where there is none."""
        try:
            status = path.stat()
        except OSError:
            return None
        known = self._looked_at.get(path)
        if known is None or known[:2] != (status.st_mtime_ns, status.st_size):
            known = self._looked_at[path] = (status.st_mtime_ns, status.st_size, _sha256(path))
        return known[2]

    def _signed(self, authority: Authority) -> list[ListState]:
        return [one for one in self.lists.all(key_id_of(authority.chain.leaf)) if one.number]

    def _begin(self, key_id: str, partition: int) -> ListState:
        state = self.lists.get(key_id, partition)
        if state is None and partition == COMPLETE:
            self.lists.begin_complete(key_id)
            state = self.lists.get(key_id, partition)
        assert state is not None, "a part is begun by its first certificate"
        return state

    def _record(self, issuer: Issuer, before: ListState, now: datetime, lifetime: timedelta) -> IssuedList:
        if before.this_update is not None and now < before.this_update:
            raise clock_behind(before.this_update, now)
        made = issue_crl(
            issuer,
            self._lines(before),
            number=before.number + 1,
            now=now,
            lifetime=lifetime,
            distribution_point=before.address,
        )
        entry = _entry(before, made)
        self._ledger.record(
            [entry],
            also=lambda connection: publish(
                connection,
                before,
                this_update=made.this_update,
                next_update=made.next_update,
                lines=made.lines,
                sha256=entry.sha256,
                der=made.der,
            ),
        )
        return made

    def _lines(self, before: ListState) -> Iterator[Line]:
        """Whoever is revoked, until one list after its end has told so (RFC 5280 3.3)."""
        partition = None if before.partition == COMPLETE else before.partition
        for one in self._ledger.inventory.revoked(before.issuer_key_id, partition=partition):
            if before.this_update is None or one.not_after >= before.this_update:
                yield Line(one.serial, one.revoked, one.reason)

    def _write(self, authority: Authority, before: ListState, made: IssuedList) -> Published:
        path = self._path(before)
        self._write_file(path, before, made.der)
        return Published(
            authority.name,
            before.issuer_key_id,
            before.partition,
            before.address,
            before.number + 1,
            made.this_update,
            made.next_update,
            made.lines,
            path,
        )

    def _write_file(self, path: Path, state: ListState, der: bytes) -> None:
        """Until the file is what the database has: whoever writes last has looked after writing.

        Without that look, one who read the list before another signed a newer one would put the old over the new.
        """
        disk.make_folder(path.parent)
        while True:
            disk.write_file(path, der, mode=disk.PUBLIC)
            newest = self.lists.get(state.issuer_key_id, state.partition)
            if newest is None or newest.sha256 == hashlib.sha256(der).hexdigest():
                return
            der = self.lists.der(state.issuer_key_id, state.partition) or b""

    def _path(self, state: ListState) -> Path:
        return self._folder / state.issuer_key_id / list_name(state.partition)


def _entry(before: ListState, made: IssuedList) -> Entry:
    return Entry(
        kind="crl",
        name=None,
        serial=before.number + 1,
        issuer_key_id=before.issuer_key_id,
        not_before=made.this_update,
        not_after=made.next_update,
        der=made.der,
        sha256=hashlib.sha256(made.der).hexdigest(),
    )


def _published(authority: Authority, state: ListState, path: Path) -> Published:
    assert state.this_update is not None
    assert state.next_update is not None
    return Published(
        authority.name,
        state.issuer_key_id,
        state.partition,
        state.address,
        state.number,
        state.this_update,
        state.next_update,
        state.lines,
        path,
    )


def _sha256(path: Path) -> str | None:
    with suppress(LeafwardError):
        return hashlib.sha256(disk.read_file(path, limit=_MAX_LIST)).hexdigest()
    return None
