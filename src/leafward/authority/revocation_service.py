"""Revocation as the authority's server tells it: publishes what is due by itself, and answers on HTTP.

All of it happens on one thread beside the event loop: keys and disks take their time. A key that cannot be reached is
not asked again for a while, because each try could be one of the few that a token allows for its PIN.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

from leafward.authority.crl_publication import Unpublished
from leafward.authority.issuance import Issuance
from leafward.authority.ocsp_answers import OcspAnswers
from leafward.authority.revocation import Revocation
from leafward.authority.revocation_routes import routes
from leafward.authority.serve_routes import Route
from leafward.errors import KeyUnavailable, LeafwardError
from leafward.pki.ocsp import SignedAnswer

logger = logging.getLogger(__name__)

PUBLISH_SECONDS = 60.0
TRY_KEY_AGAIN = timedelta(minutes=15)

Found = TypeVar("Found")


class RevocationService:
    """Works while it is entered. `clock` gives aware UTC times."""

    def __init__(self, issuance: Issuance, clock: Callable[[], datetime]) -> None:
        self._issuance = issuance
        self._clock = clock
        self._revocation = Revocation(issuance)
        self._answers = OcspAnswers(issuance)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="revocation")
        self._unreachable: dict[str, datetime] = {}
        self._tending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._tending = asyncio.create_task(self._tend())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._tending is not None:
            self._tending.cancel()
        await asyncio.to_thread(self._worker.shutdown)

    def routes(self) -> list[Route]:
        """What is served over HTTP."""
        return routes(self, self._issuance.publishing, self._clock)

    async def revocation_list(self, issuer_key_id: str, partition: int) -> bytes | None:
        """The list that was signed last; None where there is none. Raises `StoreError`."""
        return await self._run(lambda: self._revocation.publication.lists.der(issuer_key_id, partition))

    async def answer(self, request: bytes) -> SignedAnswer:
        """As `OcspAnswers.answer`."""
        return await self._run(lambda: self._answers.answer(request, self._clock()))

    async def publish(self) -> int:
        """Signs every list that is due. How many."""
        return await self._run(self._publish)

    async def _tend(self) -> None:
        while True:
            try:
                await self.publish()
            except LeafwardError as error:
                logger.warning("the revocation lists could not be looked after: %s", error)
            except Exception:
                # Whatever goes wrong here must not end a server that serves.
                logger.exception("publishing revocation lists failed")
            await asyncio.sleep(PUBLISH_SECONDS)

    def _publish(self) -> int:
        now, signed = self._clock(), 0
        for authority in self._issuance.authorities:
            failed = self._unreachable.get(authority.name)
            if failed is not None and timedelta(0) <= now - failed < TRY_KEY_AGAIN:
                continue
            for one in self._revocation.publish_due(now=now, authority=authority) if authority.key else ():
                if isinstance(one, Unpublished):
                    self._note(authority.name, one, now)
                    break
                signed += 1
        return signed

    def _note(self, name: str, failed: Unpublished, now: datetime) -> None:
        logger.warning("the revocation lists of %r are due and were not signed: %s", name, failed.reason)
        if isinstance(failed.reason, KeyUnavailable):
            self._unreachable[name] = now
            self._revocation.forget_keys()

    async def _run(self, work: Callable[[], Found]) -> Found:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)
