"""Further certificates of the hub, for clients that ask for another of its names (SNI).

    [[hub.certificates]]
    chain = "public.pem"        # leaf first; for a name that the manager's certificate does not have
    key = "public.key"

The operator brings them, from a public CA as a rule, and renews them: the files are looked at each ten seconds, and a
pair that fits together is served to new connections from then on. The manager's own certificate is shown to everybody
else, and to clients that ask for no name.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from leafward import disk
from leafward.errors import LeafwardError, SettingsError
from leafward.hub.security_settings import NamedCertificate
from leafward.hub.settings import HubTable
from leafward.pki.chain import Chain
from leafward.pki.encoding import load_private_key
from leafward.wire.tls.presented import Served, names_of

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Presentation:
    """What is shown beside the manager's certificate, and how. As `TlsContext.server` has it."""

    present_root: bool = True
    others: tuple[Served, ...] = ()
    refuse_unknown_names: bool = False


class NamedCertificates:
    """The pairs that the settings name. `table` is `[hub]`; paths are relative to `folder`."""

    def __init__(self, table: HubTable, folder: Path, clock: Callable[[], datetime]) -> None:
        self._table = table
        self._folder = folder
        self._clock = clock
        self._seen: Sequence[object] = ()

    def presentation(self) -> Presentation:
        """What to begin with. Raises `SettingsError` for a pair that cannot be served."""
        self._seen = self._files()
        others = tuple(self._load(one) for one in self._table.certificates)
        return Presentation(self._table.present_root, others, self._table.unknown_names == "refuse")

    async def run(self, present: Callable[[Sequence[Served]], None]) -> None:
        """Gives `present` the pairs whenever a file has changed. Never returns."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            self.look(present)

    def look(self, present: Callable[[Sequence[Served]], None]) -> None:
        """One look. A pair that does not fit, as one that is half written, leaves what is served as it is."""
        seen = self._files()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            present([self._load(one) for one in self._table.certificates])
        except LeafwardError as error:
            logger.error("the certificates of before are served: %s", error)
        else:
            logger.info("the certificates for further names were read again")

    def _load(self, named: NamedCertificate) -> Served:
        chain_file, key_file = self._folder / named.chain, self._folder / named.key
        try:
            chain = Chain.from_pem(disk.read_file(chain_file))
            served = Served(chain, load_private_key(disk.read_file(key_file)))
        except LeafwardError as error:
            raise SettingsError(f"hub.certificates: {chain_file} cannot be served", why=str(error)) from error
        if served.key.public_key() != chain.leaf.public_key():
            hint = "the chain file holds the server's certificate first, and the key belongs to that"
            raise SettingsError(f"hub.certificates: {key_file} is not the key of {chain_file}", hint=hint)
        if not names_of(chain.leaf):
            raise SettingsError(f"hub.certificates: {chain_file} has no DNS name", hint="no client could ask for it")
        if not chain.leaf.not_valid_before_utc <= self._clock() <= chain.leaf.not_valid_after_utc:
            logger.warning("%s is out of its time, and served all the same", chain_file)
        return served

    def _files(self) -> Sequence[object]:
        paths = (self._folder / name for one in self._table.certificates for name in (one.chain, one.key))
        return [_look_at(path) for path in paths]


def _look_at(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
