"""Factory lots: opened with a quota, worked on by one or several stations, closed with an account of every request."""

import contextlib
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.engine import URL

from leafward.authority.authorities import Authority
from leafward.authority.issuance import Issuance
from leafward.authority.ledger import utc_now
from leafward.authority.lot_batch import BatchMaker, Clock
from leafward.authority.lot_delivery import Sink
from leafward.authority.lot_processes import Forked, InProcess, Signers
from leafward.authority.lot_run import LotRun, Progress
from leafward.authority.lot_sources import Source
from leafward.authority.reconciliation import Reconciliation, reconcile
from leafward.errors import AccessDenied, KeyUnavailable, NotFound, RuleViolation, StoreError, UsageError
from leafward.pki.bulk import BulkIssuer
from leafward.pki.chain import fingerprint
from leafward.pki.contents import authority_key_identifier
from leafward.pki.issuer import Issuer
from leafward.pki.pointers import Pointers
from leafward.pki.profiles import profile
from leafward.store.lock import HomeLock
from leafward.store.lots import Lot, LotBook
from leafward.store.maker_database import read_maker_database

# Kinds of which a factory makes many, from requests.
KINDS = ("device_ca", "device_identity", "leaf_device")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_GO_ON = "then run the same command again: it goes on where it stopped"


@dataclass(frozen=True)
class Line:
    """How a lot is worked on: `workers` signing processes (0: none but this one), and what is told meanwhile.

    With `proving` each certificate is handed over with the proof that it is in the issuance log.
    """

    workers: int
    stopped: Callable[[], bool] = lambda: False
    shown: Callable[[Progress], None] = lambda _: None
    proving: bool = False


class Lots:
    """The lots of a maker's authority. `clock` gives aware UTC times."""

    def __init__(self, issuance: Issuance, *, clock: Clock = utc_now) -> None:
        self._issuance, self._clock = issuance, clock

    @property
    def _book(self) -> LotBook:
        return LotBook(self._issuance.ledger.engine)

    def open(
        self, kind: str, quota: int, *, name: str | None = None, issuer: str | None = None, days: int | None = None
    ) -> Lot:
        """Opens a lot of `quota` certificates of a kind. Without a name it gets the day's next one.

        Raises `UsageError`, `NotFound` for the issuer, `AlreadyExists` for the name, `KeyUnavailable`, and
        `RuleViolation` where the issuer may not sign this kind.
        """
        if kind not in KINDS or quota < 1 or (name is not None and not _NAME.fullmatch(name)):
            why = f"got kind {kind!r}, quota {quota}, name {name!r}"
            hint = f"a kind of {', '.join(KINDS)}; a quota of 1 or more; letters, digits and . _ - as name"
            raise UsageError("no lot can be opened like this", why=why, hint=hint)
        authorities = self._issuance.authorities
        authority = authorities.get(issuer) if issuer else authorities.default_issuer()
        self._may_sign(authority.issuer(), kind, days)
        lot = Lot(
            name=name or self._next_name(),
            kind=kind,
            issuer=authority.name,
            issuer_sha256=fingerprint(authority.chain.leaf),
            quota=quota,
            issued=0,
            days=days,
            opened=self._clock(),
        )
        self._book.open(lot)
        return self._book.get(lot.name)

    def get(self, name: str | None) -> Lot:
        """A lot; without a name the only one that is open. Raises `NotFound`."""
        if name is not None:
            return self._book.get(name)
        lots = [lot for lot in self._book.all() if lot.closed is None]
        if len(lots) == 1:
            return lots[0]
        why = f"open are {', '.join(lot.name for lot in lots)}" if lots else "none is open"
        hint = "name the lot" if lots else "leafward ca lot open --quota N --profile device_ca"
        raise NotFound("which lot is meant is not clear" if lots else "there is no lot", why=why, hint=hint)

    def all(self) -> list[Lot]:
        """Every lot, those opened first first."""
        return self._book.all()

    def issuers_pem(self, lot: Lot) -> bytes:
        """The certificates above those of the lot, nearest first, as PEM. Raises `NotFound` where the CA changed."""
        return self._authority(lot).chain.to_pem()

    def issue(self, lot: Lot, source: Source, sink: Sink, line: Line) -> Progress:
        """Works a source through; see `LotRun.run`. Whatever stops it says how to go on.

        Raises `AccessDenied` for a closed lot, `Busy` where this station works on it already.
        """
        if lot.closed is not None:
            what = f"the lot {lot.name!r} is closed"
            raise AccessDenied(what, why=f"since {lot.closed:%Y-%m-%d %H:%M} UTC", hint="open another one")
        try:
            issuer = self._authority(lot).issuer()
            self._may_sign(issuer, lot.kind, lot.days)
            return self._work(lot, issuer, source, sink, line)
        except (KeyUnavailable, StoreError, RuleViolation) as error:
            error.hint = f"{error.hint or 'mend this'}; {_GO_ON}"
            raise

    def reconciliation(self, lot: Lot) -> Reconciliation:
        """The account of a lot as it stands."""
        return reconcile(self._book, lot.name)

    def close(self, lot: Lot, *, spoiled: tuple[str, ...] = ()) -> Reconciliation:
        """Ends a lot and gives its account. `spoiled` names those that reached no device. A closed lot stays closed.

        Raises `NotFound` for a spoiled name that is not of the lot, `Busy` while this station works on it: then it
        stays open. A run at another station is refused from now on; what it recorded before, it still hands over.
        """
        with self._lock(lot).hold(f"ca lot close {lot.name}"):
            self._book.declare_spoiled(lot.name, spoiled, "declared when the lot was closed")
            self._book.close(lot.name, self._clock())
            return self.reconciliation(lot)

    def _lock(self, lot: Lot) -> HomeLock:
        """One run of a lot at a station, and no closing meanwhile."""
        return HomeLock(self._issuance.folder / "lots" / f"{lot.name}.lock")

    def _work(self, lot: Lot, issuer: Issuer, source: Source, sink: Sink, line: Line) -> Progress:
        url = self._issuance.ledger.engine.url
        self._issuance.close()  # a connection must not be shared with the processes that are forked now
        with contextlib.ExitStack() as stack:
            signers = self._signers(lot, issuer, line.workers, url)
            stack.callback(signers.close)
            stack.enter_context(self._lock(lot).hold(f"ca lot issue {lot.name}"))
            run = LotRun(
                ledger=self._issuance.ledger,
                lot=self._book.get(lot.name),
                issuer_key_id=(authority_key_identifier(issuer.chain.leaf).key_identifier or b"").hex(),
                station=f"{socket.gethostname()}:{self._issuance.folder.resolve()}",
                signers=signers,
                sink=sink,
                clock=self._clock,
                stopped=line.stopped,
                shown=line.shown,
                pointers=lambda count: self._pointers(lot, issuer, count),
                proving=line.proving,
            )
            return run.run(source)

    def _signers(self, lot: Lot, issuer: Issuer, workers: int, url: URL) -> Signers:
        kind, lifetime = profile(lot.kind), _lifetime(lot.days)

        def make_maker(book: LotBook | None = None) -> BatchMaker:
            if book is None:
                book = LotBook(read_maker_database(url))
            known = book.issued_before
            return BatchMaker(issuer, kind, lifetime, known=lambda asked: known(lot, asked), clock=self._clock)

        if workers == 0:
            return InProcess(make_maker(self._book))
        return Forked(workers, make_maker)

    def _pointers(self, lot: Lot, issuer: Issuer, count: int) -> Pointers:
        kind, now = profile(lot.kind), self._clock()
        return self._issuance.pointers(kind, issuer.chain.leaf, _lifetime(lot.days), now=now, count=count)

    def _authority(self, lot: Lot) -> Authority:
        authority = self._issuance.authorities.get(lot.issuer)
        if fingerprint(authority.chain.leaf) != lot.issuer_sha256:
            why = f"the authority {lot.issuer!r} has another certificate now"
            raise NotFound(f"the issuer of the lot {lot.name!r} is not there any more", why=why, hint=_ANOTHER)
        return authority

    def _may_sign(self, issuer: Issuer, kind: str, days: int | None) -> None:
        """Asks the rules before anything is begun."""
        BulkIssuer(issuer, profile(kind), now=self._clock(), lifetime=_lifetime(days))

    def _next_name(self) -> str:
        day = f"{self._clock():%Y-%m-%d}"
        taken = {lot.name for lot in self._book.all()}
        return next(name for number in range(1, len(taken) + 2) if (name := f"{day}.{number}") not in taken)


_ANOTHER = "close the lot and open another"


def default_workers() -> int:
    """A signing process for each processor; this one writes meanwhile."""
    return min(len(os.sched_getaffinity(0)), 16)


def _lifetime(days: int | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)
