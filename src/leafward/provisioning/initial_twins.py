"""Initial twins: given to this gateway's hub over its own socket, once the device is registered.

The hub keeps twins, and it may be down: what it has not got yet stays in the registration's row until it has.
"""

import asyncio
import logging
from urllib.parse import quote

import aiohttp

from leafward.errors import LeafwardError
from leafward.provisioning.in_thread import in_thread
from leafward.store.enrolments import Registration, RegistrationBook
from leafward.store.home import Home
from leafward.wire.service_api import VERSION

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 30.0
TIMEOUT_SECONDS = 10.0


class InitialTwins:
    """`run` as a task; `soon` when a twin is due."""

    def __init__(self, home: Home, book: RegistrationBook, hub: str) -> None:
        self._socket = str(home.hub_socket)
        self._book = book
        self._hub = hub
        self._due = asyncio.Event()
        self._due.set()  # what an earlier run left

    def soon(self) -> None:
        """There is one to give."""
        self._due.set()

    async def run(self) -> None:
        """Never returns."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                done = await self._give_all()
            except (LeafwardError, aiohttp.ClientError, OSError, TimeoutError) as error:
                logger.info("initial twins wait for the hub: %s", error)
                done = False
            if not done:
                self._due.set()
                await asyncio.sleep(PAUSE_SECONDS)

    async def _give_all(self) -> bool:
        """Whether nothing is left to give."""
        connector = aiohttp.UnixConnector(path=self._socket)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            while rows := await in_thread(self._book.twins_due, self._hub):
                given = [row for row in rows if await _give(session, row)]
                for row in given:
                    await in_thread(self._book.twin_given, row)
                if len(given) < len(rows):
                    return False
        return True


async def _give(session: aiohttp.ClientSession, row: Registration) -> bool:
    url = f"http://hub/twins/{quote(row.device_id, safe='')}?api-version={VERSION}"
    async with session.patch(url, data=(row.twin or "{}").encode()) as answer:
        if answer.status >= 300:
            logger.warning("the hub did not take the initial twin of %s: status %d", row.device_id, answer.status)
        return answer.status < 300
