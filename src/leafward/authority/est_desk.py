"""Where EST requests become certificates: one thread that reads, judges, signs, records, and only then answers.

    connections -> queue -> desk: read, rule, sign each -> Ledger.record all in one transaction -> answers

A lone request is not delayed. While a transaction waits for the disk, others queue, and the next transaction takes them
all: the batch grows with the load by itself. One that the ledger refuses must not spoil the others: then each is
recorded alone. Signing happens here, not on the event loop, because a token takes its time.
"""

import asyncio
import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Self

import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.authority.est_clients import MAX_REMEMBERED, AccountClient, CertificateClient, refuse_revoked
from leafward.authority.est_requests import (
    Enrolment,
    Ruling,
    check_renewal,
    has_key,
    renewed_by,
    request_for,
    rule,
)
from leafward.authority.est_signers import GivePointers, Issued, Signer, Signers, no_pointers
from leafward.authority.ledger import Ledger
from leafward.errors import AccessDenied, AlreadyExists, Busy, KeyUnavailable, LeafwardError
from leafward.keys.serial import new_serial
from leafward.pki.bulk_request import RequestReader
from leafward.store.accounts import spend

logger = logging.getLogger(__name__)

MAX_BATCH = 64
MAX_WAITING = 1000


# Called once in the loop's thread, with the certificate in DER or why there is none.
Done = Callable[["bytes | Exception"], None]


@dataclass(slots=True, eq=False)
class _Job:
    asked: Enrolment
    done: Done


@dataclass(slots=True, eq=False)
class _Ruled:
    """Read and allowed; waits for its signature."""

    job: _Job
    ruling: Ruling
    signer: Signer
    serial: int


@dataclass(slots=True, eq=False)
class _Made:
    """Signed; waits to be recorded."""

    job: _Job
    ruling: Ruling
    issued: Issued


Answers = list[tuple[_Job, "bytes | Exception"]]


class Desk:
    """Start it on the event loop that asks; `close` it when nobody asks any more."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], pointers: GivePointers = no_pointers) -> None:
        self._ledger = ledger
        self._clock = clock
        self._signers = Signers(pointers)
        self._reader = RequestReader()
        self._given: OrderedDict[str, bytes] = OrderedDict()
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="est-desk", daemon=True)

    def start(self) -> Self:
        """Begins to work."""
        self._thread.start()
        return self

    def submit(self, asked: Enrolment, done: Done) -> None:
        """Calls `done` with the certificate, durable in the ledger, or with why there is none.

        That is an `InputError` for the request, `AccessDenied` where the client may not have it, `AlreadyExists` for a
        name in use, `RuleViolation`, `KeyUnavailable` while the authority cannot sign, `StoreError`. Raises `Busy` for
        a crowd.
        """
        if self._waiting >= MAX_WAITING:
            raise Busy("too many devices are waiting", why=f"got {self._waiting}", hint="try again later")
        self._waiting += 1
        self._queue.put(_Job(asked, done))

    async def enrol(self, asked: Enrolment) -> bytes:
        """The same, awaited: the certificate in DER. Raises what `submit` tells."""
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self.submit(asked, partial(_set, answer))
        return await answer

    async def close(self) -> None:
        """Finishes what is waiting, then ends the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    # ---- on the desk's own thread

    def _work(self) -> None:
        ended = False
        while not ended and (first := self._queue.get()) is not None:
            batch, ended = self._more(first)
            answers: Answers = []
            ruled = [one for job in batch if (one := self._rule(job, answers)) is not None]
            answers += self._record(self._sign(ruled, answers))
            self._loop.call_soon_threadsafe(self._settle, answers)

    def _more(self, first: _Job) -> tuple[list[_Job], bool]:
        """Whoever else waits already, and whether the end was among them."""
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                job = self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _rule(self, job: _Job, answers: Answers) -> _Ruled | None:
        """What a job may have; None where it is answered already: refused, or given what it was given before."""
        try:
            done = self._read(job)
        except Exception as error:
            answers.append((job, _noted(error)))
            return None
        if isinstance(done, bytes):
            answers.append((job, done))
            return None
        return done

    def _read(self, job: _Job) -> "_Ruled | bytes":
        asked, now = job.asked, self._clock()
        request = self._reader.read(asked.der) if asked.made_key is None else request_for(asked.made_key, asked.der)
        ruling = rule(asked, request)
        if asked.renewal:
            check_renewal(asked, renewed_by(asked) or self._living(asked, ruling.name, now))
        if (issued := self._issued_before(asked, ruling, now)) is not None:
            return issued.public_bytes(Encoding.DER)
        signer = self._signers.get(asked.label, now)
        if ruling.replaces and not signer.has_seen(ruling.name):
            self._refuse_other_spelling(asked, ruling.name, now)
            signer.see(ruling.name)
        return _Ruled(job, ruling, signer, new_serial())

    def _sign(self, ruled: Sequence[_Ruled], answers: Answers) -> list[_Made]:
        """Signs what was allowed, label by label; the others of a label whose key does not answer are told so."""
        made = []
        for signer in dict.fromkeys(one.signer for one in ruled):
            ours = [one for one in ruled if one.signer is signer]
            try:
                signed = signer.issue([(one.ruling.request, one.ruling.name, one.serial) for one in ours])
            except Exception as error:
                if isinstance(error, KeyUnavailable):
                    self._signers.lose(signer.label, error, self._clock())
                answers += [(one.job, _noted(error)) for one in ours]
                continue
            for one, issued in zip(ours, signed, strict=True):
                if isinstance(issued, Issued):
                    made.append(_Made(one.job, one.ruling, issued))
                else:
                    answers.append((one.job, issued))
        return made

    def _issued_before(self, asked: Enrolment, ruling: Ruling, now: datetime) -> x509.Certificate | None:
        """The same request again: the device did not get the answer, and its credential is used up by it.

        Raises `AccessDenied` for a spent account that asks for anything else.
        """
        client = asked.client
        spent = client.account.spent_on if isinstance(client, AccountClient) else None
        if isinstance(client, CertificateClient):
            if not client.replaced or self._given.get(client.sha256, ruling.request.spki) != ruling.request.spki:
                return None
        elif spent is None:
            return None
        living = self._living(asked, ruling.name, now)
        if living is not None and has_key(living, ruling.request):
            return living
        if spent is not None:
            hint = "ask the maker for another account"
            raise AccessDenied("this account was for one certificate, and it was issued", hint=hint)
        return None

    def _refuse_other_spelling(self, asked: Enrolment, name: str, now: datetime) -> None:
        """Names are in use without regard to case, credentials are not: 'Pump' must not take the place of 'pump'."""
        held = self._ledger.inventory.living(asked.label.profile.kind, name, now)
        if held is not None and held.name != name:
            why = f"it is in use as {held.name!r}"
            raise AlreadyExists(f"the name {name!r} is in use", why=why, hint="give the device another name")

    def _living(self, asked: Enrolment, name: str, now: datetime) -> x509.Certificate | None:
        held = self._ledger.inventory.living(asked.label.profile.kind, name, now)
        return None if held is None else x509.load_der_x509_certificate(self._ledger.inventory.der(held.sha256))

    def _record(self, made: Sequence[_Made]) -> Answers:
        if not made:
            return []
        try:
            self._write(made)
        except Exception as error:
            if len(made) > 1:
                return [answer for one in made for answer in self._record([one])]
            return [(made[0].job, self._explain(made[0], error))]
        for one in made:
            self._remember(one)
            logger.info("issued %s %r, %s", one.issued.entry.kind, one.issued.entry.name, one.issued.entry.sha256)
        return [(one.job, one.issued.entry.der) for one in made]

    def _remember(self, one: _Made) -> None:
        """For which key this client was given a certificate: the next request of one that is replaced is seldom a
        repetition, and most need not be looked up.
        """
        client = one.job.asked.client
        if isinstance(client, CertificateClient):
            self._given[client.sha256] = one.ruling.request.spki
            if len(self._given) > MAX_REMEMBERED:
                self._given.popitem(last=False)

    def _write(self, made: Sequence[_Made]) -> None:
        entries = [one.issued.entry for one in made]
        # None: whoever lives under the name, because an answer may have been lost since the device looked.
        replacing = {one.issued.entry.sha256: None for one in made if one.ruling.replaces}

        def also(connection: sa.Connection) -> None:
            for one in made:
                _settle_account(connection, one)

        self._ledger.record(entries, replacing=replacing, also=also)

    def _explain(self, one: _Made, error: Exception) -> "bytes | Exception":
        """What to answer where the ledger refused one: for the same request again, what it was given before."""
        if not isinstance(error, AlreadyExists):
            return _noted(error)
        try:
            living = self._living(one.job.asked, one.ruling.name, self._clock())
        except LeafwardError:
            return error
        return living.public_bytes(Encoding.DER) if living and has_key(living, one.ruling.request) else error

    # ---- on the loop's thread

    def _settle(self, answers: Answers) -> None:
        self._waiting -= len(answers)
        for job, answer in answers:
            job.done(answer)


def _noted(error: Exception) -> Exception:
    """A fault of ours ends neither the thread nor the other requests; it is logged."""
    if not isinstance(error, LeafwardError):
        logger.error("a request could not be answered", exc_info=error)
    return error


def _settle_account(connection: sa.Connection, one: _Made) -> None:
    """Inside the transaction: who asks must still be one who may."""
    client = one.job.asked.client
    if isinstance(client, CertificateClient):
        refuse_revoked(connection, client.sha256)
    elif client.account.once:
        spend(connection, client.account.name, one.issued.entry.sha256)


def _set(waiting: "asyncio.Future[bytes]", answer: "bytes | Exception") -> None:
    if waiting.done():  # nobody waits any more
        return
    if isinstance(answer, Exception):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)
