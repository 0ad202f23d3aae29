"""Answering OCSP: an answer is signed when it is first asked for, or ahead for all, and kept until half of its time.

    question -> certificate in the inventory -> its kept answer, else: sign -> record in the ledger -> keep -> hand out

Only for what was issued here and has not ended: who asks for anything else gets an unsigned "unauthorized", so that
nobody can make the authority sign, and log, at will.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from leafward.authority.authorities import Authority
from leafward.authority.crl_shards import key_id_of
from leafward.authority.issuance import Issuance
from leafward.authority.ledger import Entry
from leafward.authority.ocsp_responder import Responders
from leafward.errors import Busy, NotFound
from leafward.pki.ocsp import (
    ALGORITHMS,
    IssuerIds,
    Question,
    Responder,
    Revocation,
    SignedAnswer,
    read_question,
    sign_answer,
)
from leafward.store.revocations import Answer, Answers, Asked
from leafward.store.revocations.answers import keep
from leafward.store.revocations.lists import clock_behind

# The digest that clients use unless they are told otherwise (RFC 5019 2.1.1).
USUAL = ALGORITHMS[0]
_TRIES = 3
_BATCH = 500
# The folder of the authorities is not read for each question.
_LOOK_AGAIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Signed:
    """An answer that is signed, and neither recorded nor kept yet."""

    answer: Answer
    entry: Entry


class OcspAnswers:
    """The answers of a maker's CAs. One thread at a time. `now` is aware UTC."""

    def __init__(self, issuance: Issuance) -> None:
        self._issuance = issuance
        self._kept = Answers(issuance.ledger.engine)
        self._responders = Responders(issuance)
        self._authorities: dict[IssuerIds, Authority] = {}
        self._looked: datetime | None = None

    def answer(self, request: bytes, now: datetime) -> SignedAnswer:
        """The answer to an OCSPRequest, durable in the ledger.

        Raises `EncodingError` for what is no request, `NotFound` for a certificate that is not answered for,
        `KeyUnavailable` or `RuleViolation` while none can be signed, `StoreError`.
        """
        question = read_question(request)
        authority = self._authority(question.issuer, now)
        for left in reversed(range(_TRIES)):
            asked = self._kept.find(key_id_of(authority.chain.leaf), question.serial, question.issuer.algorithm)
            if asked is None or asked.not_after < now:
                raise NotFound("no such certificate is answered for")
            if asked.der is not None and not asked.is_due(now):
                return _as_kept(asked, asked.der)
            try:
                return self._sign_one(authority, question, asked, now)
            except Busy:
                if not left:
                    raise
            except Exception:
                if asked.der is None or asked.until is None or asked.until <= now:
                    raise
                return _as_kept(asked, asked.der)  # half of its time is left, and it is true
        raise AssertionError  # the last try returns or raises

    def sign_ahead(
        self, authority: Authority, now: datetime, *, everything: bool = False, algorithm: str = USUAL
    ) -> Iterator[int]:
        """Signs the answers that are due for all certificates of a CA; how many, batch after batch.

        Raises as `answer`; what was signed until then is kept.
        """
        ids, key_id, after = IssuerIds.of(authority.chain.leaf, algorithm), key_id_of(authority.chain.leaf), -1
        while living := self._kept.living(key_id, algorithm, now, after=after, limit=_BATCH):
            after = living[-1].log_index
            wanted = [one for one in living if everything or one.is_due(now)]
            if wanted:
                responder = self._responders.get(authority, now)
                signed = [self._sign(responder, key_id, Question(ids, one.serial), one, now) for one in wanted]
                yield self._keep_all(signed)

    def _sign_one(self, authority: Authority, question: Question, asked: Asked, now: datetime) -> SignedAnswer:
        responder = self._responders.get(authority, now)
        signed = self._sign(responder, key_id_of(authority.chain.leaf), question, asked, now)
        self._keep([signed])
        made = signed.answer
        return SignedAnswer(made.der, made.this_update, made.next_update)

    def _sign(self, responder: Responder, key_id: str, question: Question, asked: Asked, now: datetime) -> _Signed:
        if asked.last is not None and now < asked.last:
            raise clock_behind(asked.last, now)
        revoked = None if asked.revoked is None else Revocation(asked.revoked, asked.reason or "")
        made = sign_answer(responder, question, revoked, now=now, lifetime=self._issuance.publishing.ocsp_lifetime)
        entry = Entry(
            kind="ocsp",
            name=None,
            serial=question.serial,
            issuer_key_id=key_id,
            not_before=made.this_update,
            not_after=made.next_update,
            der=made.der,
            sha256=hashlib.sha256(made.der).hexdigest(),
        )
        answer = Answer(asked, question.issuer.algorithm, made.this_update, made.next_update, made.der)
        return _Signed(answer, entry)

    def _keep_all(self, signed: list[_Signed]) -> int:
        """Keeps a batch; where the standing of one changed meanwhile, the others one by one."""
        try:
            self._keep(signed)
        except Busy:
            if len(signed) == 1:
                return 0
            return sum(self._keep_all([one]) for one in signed)
        return len(signed)

    def _keep(self, signed: list[_Signed]) -> None:
        def also(connection: sa.Connection) -> None:
            for one in signed:
                keep(connection, one.answer)

        self._issuance.ledger.record([one.entry for one in signed], also=also)

    def _authority(self, ids: IssuerIds, now: datetime) -> Authority:
        if self._looked is None or not timedelta(0) <= now - self._looked < _LOOK_AGAIN:
            self._looked = now
            able = [authority for authority in self._issuance.authorities if authority.key is not None]
            self._authorities = {IssuerIds.of(one.chain.leaf, digest): one for one in able for digest in ALGORITHMS}
        if ids not in self._authorities:
            raise NotFound("no such CA is answered for")
        return self._authorities[ids]


def _as_kept(asked: Asked, der: bytes) -> SignedAnswer:
    assert asked.last is not None
    assert asked.until is not None
    return SignedAnswer(der, asked.last, asked.until)
