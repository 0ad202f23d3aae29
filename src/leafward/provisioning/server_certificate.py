"""The server certificate of a service that listens itself: files that somebody else renews.

They are judged before they are served, by the rules that judge any server certificate; at the start what is wrong ends
the start. Later they are looked at every few seconds, and at SIGHUP: new ones count from the next connection on, and
what cannot be used is told while the old one goes on. Certificate and key are two files, which nobody can change at
once: a pair that does not fit is looked at again as soon as the other one has come.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from leafward import disk
from leafward.errors import LeafwardError, SettingsError
from leafward.pki.chain import Chain
from leafward.pki.encoding import load_certificates, load_private_key
from leafward.pki.extension import says_ca
from leafward.pki.renewal import Renew, RenewalPolicy
from leafward.pki.rule import Context
from leafward.pki.rules import check
from leafward.provisioning.settings import ListenTable
from leafward.wire.tls.context import TlsContext

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
_TABLE = "provisioning.listen"
_HINT = f'[{_TABLE}] certificate = "server.pem", key = "server.key"'


class ServerCertificate:
    """The chain and key of the settings, and the `context` that presents them. `clock` gives aware UTC times."""

    def __init__(self, folder: Path, settings: ListenTable, clock: Callable[[], datetime]) -> None:
        """`folder`: what the settings' names are relative to. Raises `SettingsError` for what cannot be served."""
        if settings.certificate is None or settings.key is None:
            raise SettingsError("a service that listens needs a certificate and its key", why="none is set", hint=_HINT)
        names = {"certificate": settings.certificate, "key": settings.key, "chain": settings.chain}
        self._files = {name: folder / file for name, file in names.items() if file is not None}
        self._clock = clock
        self._policy = RenewalPolicy.parse()
        self._told_due: Chain | None = None
        self._seen = self._look()
        chain, key = self._read()
        try:
            self.context = TlsContext.server(chain, key, client_certificates=True)
        except LeafwardError as error:
            raise self._unusable("certificate", str(error), error.hint) from error
        self._tell_if_due()

    async def run(self, reload: asyncio.Event | None = None) -> None:
        """Never returns. `reload`, when it is set, has the files read at once."""
        told = reload or asyncio.Event()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await told.wait()
            if (seen := self._look()) != self._seen or told.is_set():
                self._seen = seen
                self._take()
            told.clear()
            self._tell_if_due()

    def _take(self) -> None:
        try:
            self.context.replace(*self._read())
        except LeafwardError as error:
            logger.error("the new certificate cannot be used, the old one is served: %s", error)
            return
        logger.info("serving the certificate until %s", self.context.chain.leaf.not_valid_after_utc)

    def _read(self) -> tuple[Chain, Any]:
        """Raises `SettingsError` naming the file."""
        leaf, *issuers = self._load("certificate", load_certificates)
        if "chain" in self._files:
            issuers += self._load("chain", load_certificates)
        key = self._load("key", load_private_key)
        if key.public_key() != leaf.public_key():
            hint = "the first certificate of the file is the server's own; name the key that it was issued for"
            raise self._unusable("key", f"it is not the key of {self._files['certificate']}", hint)
        try:
            chain = Chain.ordered([leaf, *issuers])
        except LeafwardError as error:
            name = "chain" if "chain" in self._files else "certificate"
            hint = error.hint or "give the server's own certificate first, and none but its issuers with it"
            raise self._unusable(name, str(error), hint) from error
        self._judge(chain)
        return chain, key

    def _judge(self, chain: Chain) -> None:
        """Role, dates, names and signatures, as of any server certificate; which root devices trust, they know."""
        if says_ca(chain.leaf):
            hint = "give a certificate that this CA has issued to the server, and its key"
            raise self._unusable("certificate", "it is a CA's (end-entity-is-a-ca)", hint)
        for finding in check(Context(chain=chain, now=self._clock(), purpose="server")):
            if finding.severity == "error":
                raise self._unusable("certificate", f"{finding.reason} ({finding.code})", finding.fix)

    def _load(self, name: str, load: Callable[[bytes], Any]) -> Any:
        try:
            return load(disk.read_file(self._files[name]))
        except LeafwardError as error:
            raise self._unusable(name, str(error), error.hint or _HINT) from error

    def _unusable(self, name: str, why: str, hint: str | None) -> SettingsError:
        return SettingsError(f"{_TABLE}.{name}: {self._files[name]} cannot be used", why=why, hint=hint)

    def _tell_if_due(self) -> None:
        """Once for each chain: nobody else sees that the files are not renewed."""
        chain = self.context.chain
        decision = self._policy.decide(chain.leaf, self._clock())
        if isinstance(decision, Renew) and self._told_due != chain:
            self._told_due = chain
            logger.warning("the server certificate is due and not renewed yet: %s", decision.reason)

    def _look(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_status(file) for file in self._files.values())


def _status(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
