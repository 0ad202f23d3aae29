"""The line: requests to the signing processes, what comes back into the ledger, and only then handed over.

    source -> sign -> Ledger.record (one transaction a batch, the lot's book in it) -> deliver -> settle -> delivered

A kill at any point loses nothing and issues nothing twice. Before `record` nothing happened: the request is signed by
the next run. After it the request has its certificate, and the next run hands over what this one did not.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from leafward.authority.ledger import Entry, Ledger
from leafward.authority.lot_batch import Clock, Outcome, Task, code_of, in_use, rejection
from leafward.authority.lot_delivery import Sink
from leafward.authority.lot_processes import Signers
from leafward.authority.lot_sources import Item, Source
from leafward.errors import AccessDenied, AlreadyExists, LeafwardError
from leafward.pki.pointers import NO_POINTERS, Pointers
from leafward.store.inventory import Issued
from leafward.store.lots import Batch, Lot, LotBook, LotFull, Made, Rejection

BATCH = 500
# A transaction writes every page of an index that one of its rows falls on: the more at once, the fewer times.
_RECORDED_AT_ONCE = 5000
_SECONDS_UNRECORDED = 1.0
_BATCH_OCTETS = 4 * 1024 * 1024


@dataclass
class Progress:
    """What a run has done so far. `length` is the number of items to come where that is known."""

    length: int | None = None
    issued: int = 0
    repeated: int = 0
    rejected: int = 0
    over_quota: int = 0
    redelivered: int = 0
    ignored: int = 0

    @property
    def seen(self) -> int:
        """How many items have been dealt with."""
        return self.issued + self.repeated + self.rejected + self.over_quota


@dataclass
class LotRun:
    """One `lot issue`. `stopped` is asked between batches; `shown` is called after each. One run, then a new object.

    `pointers` gives where it is told whether the next so many certificates are revoked. With `proving` each certificate
    is handed over with its proof that it is in the log.
    """

    ledger: Ledger
    lot: Lot
    issuer_key_id: str
    station: str
    signers: Signers
    sink: Sink
    clock: Clock
    stopped: Callable[[], bool] = lambda: False
    shown: Callable[[Progress], None] = lambda _: None
    pointers: Callable[[int], Pointers] = lambda _: NO_POINTERS
    proving: bool = False
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self._book = LotBook(self.ledger.engine)
        self._left = self.lot.left
        self._promised = 0  # to tasks that are being worked on
        self._signed: list[Outcome] = []  # and not recorded yet
        self._recorded = time.monotonic()
        self._unsettled: list[int] = []
        self._settled = time.monotonic()
        self._has_rejections = bool(self._book.rejected_by_code(self.lot.name))

    def run(self, source: Source) -> Progress:
        """Works the source through. Whatever stops it, what was recorded until then stays.

        Raises what stopped it: `KeyUnavailable`, `StoreError`, `RuleViolation` of the issuer, `AccessDenied` where the
        lot was closed meanwhile.
        """
        self.progress.length = source.length
        try:
            self._hand_over_what_waits()
            for items in _batches(source.items):
                if self.stopped():
                    break
                self._give(items)
                if not items:  # nothing comes just now, and whoever feeds the line waits for an answer
                    self._take_all()
                    self._settle()
            self._take_all()
        except BaseException:
            with contextlib.suppress(LeafwardError):  # the first error is the one to tell
                self._record()
                self._settle()
            raise
        self._settle()
        self.progress.ignored = source.ignored()
        self.shown(self.progress)
        return self.progress

    def _hand_over_what_waits(self) -> None:
        """What an earlier run of this station recorded, and did not live to hand over."""
        for batch in self._book.undelivered(self.lot.name, self.station):
            self._deliver(batch, self._book.certificates(self.lot.name, batch.number))
            self.progress.redelivered += batch.size
        self.shown(self.progress)

    def _give(self, items: Sequence[Item]) -> None:
        faulty = [rejection(item, item.fault, code=code_of(item.fault)) for item in items if item.fault]
        self._reject(faulty)
        good = [item for item in items if not item.fault]
        if not good:
            return
        # Near its end the quota is given away one batch at a time, so that it comes out exactly.
        while self.signers.full or (self.signers.busy and self._left - self._promised < len(good)):
            self._take(self.signers.next())
        if self._left - self._promised < len(good):
            self._record()  # what turns out to have come second gives its place back
        allowance = min(len(good), self._left - self._promised)
        self._promised += allowance
        self.signers.give(Task(good, allowance, self.pointers(allowance) if allowance else NO_POINTERS))

    def _take_all(self) -> None:
        while self.signers.busy:
            self._take(self.signers.next())
        self._record()

    def _take(self, outcome: Outcome) -> None:
        self._promised -= outcome.allowance
        self._left -= len(outcome.names)
        self._signed.append(outcome)
        waiting = sum(len(one.names) for one in self._signed)
        if waiting >= _RECORDED_AT_ONCE or time.monotonic() - self._recorded > _SECONDS_UNRECORDED:
            self._record()

    def _record(self) -> None:
        """Makes what was signed durable, and hands it over. Requests that came second are left out."""
        self._recorded = time.monotonic()
        outcomes, self._signed = self._signed, []
        written = self._written(outcomes)
        self.progress.repeated += sum(outcome.repeated for outcome in outcomes)
        self.progress.over_quota += sum(outcome.over for outcome in outcomes)
        self._reject([rejected for outcome in outcomes for rejected in outcome.rejections])
        if written is not None:
            batch, indices = written
            self.progress.issued += batch.size
            places = iter(indices)
            self._deliver(batch, [made for outcome in outcomes for made in _made(outcome, places)])
        self.shown(self.progress)

    def _written(self, outcomes: Sequence[Outcome]) -> tuple[Batch, list[int]] | None:
        """The batch that is in the ledger now, and where in its log; None where nothing is left to be written."""
        while any(outcome.names for outcome in outcomes):
            try:
                return self._write(outcomes)
            except AlreadyExists as error:
                if not self._drop_taken(outcomes):
                    raise error from None
            except LotFull:
                self._drop_beyond_quota(outcomes)
        return None

    def _write(self, outcomes: Sequence[Outcome]) -> tuple[Batch, list[int]]:
        requests = [request for outcome in outcomes for request in outcome.requests]
        sha256s = [sha256 for outcome in outcomes for sha256 in outcome.sha256s]
        noted: list[Batch] = []

        def note(connection: sa.Connection) -> None:
            noted[:] = [self._book.note(connection, self.lot, self.station, requests, sha256s)]
            if self._has_rejections:
                inputs = [one for outcome in outcomes for one in outcome.inputs]
                self._book.forget_rejections(connection, self.lot.name, inputs)

        entries = [entry for outcome in outcomes for entry in self._entries(outcome)]
        indices = self.ledger.record(entries, lot=self.lot.name, also=note)
        return noted[0], indices

    def _entries(self, outcome: Outcome) -> Iterator[Entry]:
        assert outcome.validity is not None
        begin, end = outcome.validity.not_before, outcome.validity.not_after
        kind, key_id = self.lot.kind, self.issuer_key_id
        columns = zip(outcome.names, outcome.serials, outcome.ders, outcome.sha256s, strict=True)
        return (Entry(kind, name, serial, key_id, begin, end, der, sha256) for name, serial, der, sha256 in columns)

    def _drop_taken(self, outcomes: Sequence[Outcome]) -> int:
        """Leaves out what lives already: the same request, or its name, for another key. How many."""
        holders: dict[str, bytes] = {}
        dropped = 0
        for outcome in outcomes:
            done = self._book.issued_before(self.lot, outcome.requests)
            living = self.ledger.inventory.all_living(self.lot.kind, outcome.names, self.clock())
            left = []
            for place, (request, name) in enumerate(zip(outcome.requests, outcome.names, strict=True)):
                holder = holders.get(name.casefold())
                if request in done or holder == request:
                    outcome.repeated += 1
                elif name in living or holder is not None:
                    outcome.rejections.append(_taken(outcome, place, living.get(name)))
                else:
                    holders[name.casefold()] = request
                    left.append(place)
            dropped += len(outcome.names) - len(left)
            outcome.keep(left)
        self._left += dropped
        return dropped

    def _drop_beyond_quota(self, outcomes: Sequence[Outcome]) -> None:
        """Another station used up what was left here, or somebody closed the lot."""
        lot = self._book.get(self.lot.name)
        if lot.closed is not None:
            raise AccessDenied(f"the lot {lot.name!r} was closed meanwhile", hint="open another one for what is left")
        room, self._left = lot.left, 0
        for outcome in outcomes:
            kept = min(len(outcome.names), room)
            outcome.over += len(outcome.names) - kept
            outcome.keep(range(kept))
            room -= kept

    def _reject(self, rejections: Sequence[Rejection]) -> None:
        if rejections:
            self._book.reject(self.lot.name, rejections, self.clock())
            self._has_rejections = True
            self.sink.reject(rejections)
            self.progress.rejected += len(rejections)

    def _deliver(self, batch: Batch, made: Sequence[Made]) -> None:
        self.sink.deliver(self._proved(made) if self.proving else made)
        self._unsettled.append(batch.number)
        if time.monotonic() - self._settled > self.sink.seconds_unsettled:
            self._settle()

    def _proved(self, made: Sequence[Made]) -> list[Made]:
        """With their proofs, all in one checkpoint. Where the log cannot be signed, nothing is handed over."""
        proofs = self.ledger.log.proofs([one.log_index for one in made])
        return [replace(one, proof=str(proof)) for one, proof in zip(made, proofs, strict=True)]

    def _settle(self) -> None:
        self._settled = time.monotonic()
        if self._unsettled:
            self.sink.settle()
            self._book.delivered(self.lot.name, self._unsettled)
            self._unsettled = []


def _batches(items: Iterator[Item | None]) -> Iterator[list[Item]]:
    """Items by `BATCH`; fewer where they are large, or where no more come for now (then there may be none)."""
    batch: list[Item] = []
    size = 0
    for item in items:
        if item is None:
            yield batch
            batch, size = [], 0
            continue
        batch.append(item)
        size += len(item.data)
        if len(batch) >= BATCH or size >= _BATCH_OCTETS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _made(outcome: Outcome, places: Iterator[int]) -> Iterator[Made]:
    """What was recorded; `places` gives the index in the log of each."""
    columns = zip(outcome.names, outcome.serials, outcome.sha256s, outcome.ders, strict=True)
    return (Made(name, f"{serial:x}", sha256, der, next(places)) for name, serial, sha256, der in columns)


def _taken(outcome: Outcome, place: int, held: Issued | None) -> Rejection:
    error = held.in_use() if held is not None else in_use(outcome.names[place])
    return Rejection(outcome.inputs[place], outcome.names[place], outcome.sources[place], code_of(error), str(error))
