"""One batch of a lot: requests in, signed certificates and refusals out. This is what a signing process does.

Nothing is written here. What comes back is recorded by who asked, in one transaction, and only then handed over.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from leafward.authority.lot_sources import Item
from leafward.errors import (
    AlreadyExists,
    EncodingError,
    LeafwardError,
    NameFormatError,
    NotFound,
    RequestError,
    RuleViolation,
)
from leafward.keys.serial import new_serials
from leafward.pki.bulk import CHECKED_ONE_IN, BulkIssuer
from leafward.pki.bulk_request import BulkRequest, RequestReader
from leafward.pki.issuer import Issuer
from leafward.pki.pointers import NO_POINTERS, Pointers
from leafward.pki.profile import Profile
from leafward.pki.validity import Validity
from leafward.store.lots import Rejection

Clock = Callable[[], datetime]
# Certificates of one minute share their window of time; a lot may run for hours.
_SAME_TIME = timedelta(minutes=1)
# Seconds a certificate. A key that takes longer is in a device, and verifying all it signs costs little beside it.
_SLOW = 0.0005
# Of a digest: enough to tell requests apart.
_KEY_OCTETS = 16
# An item, its request, the name that its certificate gets, and what tells the two from others.
_Read: TypeAlias = tuple[Item, BulkRequest, str, bytes]


@dataclass(frozen=True, slots=True)
class Task:
    """Requests to be worked on, of which `allowance` may be issued: what the quota leaves."""

    items: Sequence[Item]
    allowance: int
    pointers: Pointers = NO_POINTERS


@dataclass(slots=True)
class Outcome:
    """What came of a task, as columns: certificate n is the n-th of each list. They pass between processes cheaply.

    `requests` tell a request for a name from others, `inputs` what was handed in apart; `sha256s` are hexadecimal.
    `repeated` had their certificate before, `over` found the quota used up.
    """

    requests: list[bytes] = field(default_factory=list)
    inputs: list[bytes] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    serials: list[int] = field(default_factory=list)
    ders: list[bytes] = field(default_factory=list)
    sha256s: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    validity: Validity | None = None
    repeated: int = 0
    over: int = 0
    allowance: int = 0

    def keep(self, places: Sequence[int]) -> None:
        """Drops all certificates but those at `places`: they leave nowhere."""
        for name in ("requests", "inputs", "names", "serials", "ders", "sha256s", "sources"):
            column = getattr(self, name)
            setattr(self, name, [column[place] for place in places])


class BatchMaker:
    """Makes batches with one issuer. `known` gives those among requests that have their certificate already."""

    def __init__(
        self,
        issuer: Issuer,
        profile: Profile,
        lifetime: timedelta | None,
        *,
        known: Callable[[Sequence[bytes]], set[bytes]],
        clock: Clock,
    ) -> None:
        self._issuer, self._profile, self._lifetime = issuer, profile, lifetime
        self._known, self._clock = known, clock
        self._reader = RequestReader()
        self._checked_one_in = CHECKED_ONE_IN
        self._bulk: BulkIssuer | None = None
        self._pointers = NO_POINTERS
        self._made_at = datetime.min.replace(tzinfo=UTC)

    def make(self, task: Task) -> Outcome:
        """Signs what may be signed. Raises where the issuer cannot sign (key, clock): nothing of the task is used."""
        bulk = self._bulk_issuer(task.pointers)
        outcome = Outcome(validity=bulk.validity, allowance=task.allowance)
        waiting = self._new_ones(self._read(task.items, outcome), outcome)
        while waiting and (left := task.allowance - len(outcome.names)):
            self._sign(bulk, waiting[:left], outcome)
            waiting = waiting[left:]
        outcome.over = len(waiting)
        return outcome

    def _bulk_issuer(self, pointers: Pointers) -> BulkIssuer:
        now = self._clock()
        stands = self._bulk is not None and pointers == self._pointers
        if not stands or not timedelta(0) <= now - self._made_at < _SAME_TIME:
            self._bulk = BulkIssuer(
                self._issuer,
                self._profile,
                now=now,
                lifetime=self._lifetime,
                checked_one_in=self._checked_one_in,
                pointers=pointers,
            )
            self._made_at, self._pointers = now, pointers
        assert self._bulk is not None
        return self._bulk

    def _read(self, items: Sequence[Item], outcome: Outcome) -> list[_Read]:
        found = []
        for item, request in zip(items, self._reader.read_all([item.data for item in items]), strict=True):
            if isinstance(request, LeafwardError):
                outcome.rejections.append(rejection(item, request))
                continue
            name = item.name or request.common_name or item.fallback
            if name is None:
                outcome.rejections.append(rejection(item, _NAMELESS, code="name-missing"))
                continue
            key = hashlib.sha256(request.spki + name.encode("utf-8", "surrogatepass")).digest()[:_KEY_OCTETS]
            found.append((item, request, name, key))
        return found

    def _new_ones(self, found: list[_Read], outcome: Outcome) -> list[_Read]:
        """Those that have no certificate yet, each request and each name once."""
        known = self._known([key for _, _, _, key in found])
        holders: dict[str, bytes] = {}
        new = []
        for one in found:
            item, _, name, key = one
            holder = holders.get(name.casefold())
            if key in known or holder == key:
                outcome.repeated += 1
            elif holder is not None:
                outcome.rejections.append(rejection(item, in_use(name), name=name))
            else:
                holders[name.casefold()] = key
                new.append(one)
        return new

    def _sign(self, bulk: BulkIssuer, chosen: list[_Read], outcome: Outcome) -> None:
        begin = time.perf_counter()
        serials = new_serials(len(chosen))
        asked = [(request, name, serial) for (_, request, name, _), serial in zip(chosen, serials, strict=True)]
        made = bulk.issue_batch(asked)
        for (item, _, name, key), serial, der in zip(chosen, serials, made, strict=True):
            if isinstance(der, LeafwardError):
                outcome.rejections.append(rejection(item, der, name=name))
                continue
            outcome.requests.append(key)
            outcome.inputs.append(input_digest(item))
            outcome.names.append(name)
            outcome.serials.append(serial)
            outcome.ders.append(der)
            outcome.sha256s.append(hashlib.sha256(der).hexdigest())
            outcome.sources.append(item.where)
        self._see_how_slow(time.perf_counter() - begin, len(asked))

    def _see_how_slow(self, seconds: float, count: int) -> None:
        checked = 1 if seconds > _SLOW * count else CHECKED_ONE_IN
        if count and checked < self._checked_one_in:
            self._checked_one_in, self._bulk = checked, None


_NAMELESS = NameFormatError("the request names nobody", hint="give each request a common name")


def input_digest(item: Item) -> bytes:
    """Tells what was handed in from anything else: the same octets under the same name are the same."""
    name = item.name or item.fallback or ""
    return hashlib.sha256(b"%b\0%b" % (name.encode("utf-8", "surrogatepass"), item.data)).digest()


def rejection(item: Item, error: LeafwardError, *, name: str | None = None, code: str | None = None) -> Rejection:
    """Why an item got no certificate, as the lot's book keeps it."""
    return Rejection(
        input=input_digest(item),
        name=name or item.name or item.fallback,
        source=item.where,
        code=code or code_of(error),
        reason=str(error),
    )


def in_use(name: str) -> AlreadyExists:
    """The refusal of a name that another key has."""
    return AlreadyExists(f"the name {name!r} is in use", why="another request has it", hint="give it another name")


def code_of(error: LeafwardError) -> str:
    """A stable word for a refusal: a rule's code, or the kind of error."""
    if isinstance(error, RuleViolation):
        return error.code
    return next((code for kind, code in _CODES if isinstance(error, kind)), "refused")


_CODES: tuple[tuple[type[LeafwardError], str], ...] = (
    (EncodingError, "malformed"),
    (RequestError, "request-refused"),
    (NameFormatError, "name-invalid"),
    (AlreadyExists, "name-in-use"),
    (NotFound, "file-missing"),
)
