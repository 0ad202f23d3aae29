"""The server certificate of a service that listens itself, from files that are looked at each minute."""

import asyncio
import logging
from pathlib import Path
from typing import Any

from leafward import disk
from leafward.errors import EncodingError, LeafwardError, SettingsError
from leafward.pki.chain import Chain
from leafward.pki.encoding import load_private_key
from leafward.provisioning.settings import ProvisioningTable
from leafward.wire.tls.context import TlsContext

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0


class ServerCertificate:
    """The chain and key of the settings, and the context that presents them."""

    def __init__(self, settings_file: Path, settings: ProvisioningTable) -> None:
        if settings.listen.certificate is None or settings.listen.key is None:
            hint = '[provisioning.listen] certificate = "server.pem", key = "server.key"'
            raise SettingsError("a service that listens needs a certificate", why="none is set", hint=hint)
        folder = settings_file.parent
        self._files = (folder / settings.listen.certificate, folder / settings.listen.key)
        self._seen = self._look()
        chain, key = self._read()
        self.context = TlsContext.server(chain, key, client_certificates=True)

    async def run(self) -> None:
        """Never returns. What cannot be used is told, and the old one goes on."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if (seen := self._look()) != self._seen:
                self._seen = seen
                try:
                    self.context.replace(*self._read())
                except LeafwardError as error:
                    logger.error("the new certificate cannot be used, the old one is served: %s", error)

    def _read(self) -> tuple[Chain, Any]:
        certificate, key = self._files
        try:
            return Chain.from_pem(disk.read_file(certificate)), load_private_key(disk.read_file(key))
        except EncodingError as error:
            what = f"provisioning.listen: {certificate} and {key} cannot be used"
            raise SettingsError(what, why=str(error), hint=error.hint) from error

    def _look(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_status(file) for file in self._files)


def _status(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
