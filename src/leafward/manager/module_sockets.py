"""One Workload API socket a module (`[manager] module_sockets`), as IoT Edge has since 1.2.4: `mnt/NAME.sock`.

They lie in the home's socket folder; where `workload_uri` names a socket that modules of other users reach, beside it.

Each has its own line of waiting connections and its own limits, so a module meets no other one at the door; and into a
container only the module's own socket is mounted. Whoever comes through it must still be a process of that module.
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import quote

from leafward import disk
from leafward.manager.door import Door
from leafward.manager.listen_address import ListenAddress
from leafward.manager.settings import DaemonSettings
from leafward.manager.unix_socket import WORKLOAD_MODE, identity_of, listen, make_way, refuse_foreign, remove
from leafward.store.home import LONGEST_SOCKET_PATH, Home

FOLDER = "mnt"
# Passed through, not listed: which modules there are is asked of the API.
_FOLDER_MODE = 0o711


def module_socket(home: Home, settings: DaemonSettings, module_id: str) -> Path:
    """The socket's path: the module's name without its dollar sign, or a digest of it where the path would be too long
    for the kernel.
    """
    folder = _folder(home, settings)
    path = folder / f"{quote(module_id.removeprefix('$'), safe='')}.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    return folder / f"{hashlib.sha256(module_id.encode()).hexdigest()[:16]}.sock"


class ModuleSockets:
    """The sockets of the modules that are registered. For the loop's thread. `protocol` makes what serves a door."""

    def __init__(
        self, home: Home, settings: DaemonSettings, protocol: Callable[[Door], Callable[[], asyncio.Protocol]]
    ) -> None:
        self._home = home
        self._settings = settings
        self._protocol = protocol
        self._open: dict[str, tuple[asyncio.AbstractServer, Path, tuple[int, int] | None]] = {}
        self._guard = asyncio.Lock()

    async def put_right(self, module_ids: Iterable[str]) -> None:
        """Opens what is missing, and closes what belongs to no module any more. Raises `StoreError`."""
        wanted = set(module_ids)
        async with self._guard:
            for module_id in set(self._open) - wanted:
                self._close(module_id)
            for module_id in wanted - set(self._open):
                await self._listen(module_id)

    def close(self) -> None:
        """Closes every socket."""
        for module_id in list(self._open):
            self._close(module_id)
        with contextlib.suppress(OSError):
            _folder(self._home, self._settings).rmdir()

    async def _listen(self, module_id: str) -> None:
        path = module_socket(self._home, self._settings, module_id)
        make_way(path.parent)
        disk.make_folder(path.parent, _FOLDER_MODE)
        refuse_foreign(path.parent)
        server = await listen(path, WORKLOAD_MODE, self._protocol(Door(str(path), module_id)))
        self._open[module_id] = server, path, identity_of(path)

    def _close(self, module_id: str) -> None:
        server, path, identity = self._open.pop(module_id)
        server.close()
        remove(path, identity)


def _folder(home: Home, settings: DaemonSettings) -> Path:
    uri = settings.workload_uri
    outside = None if uri is None else ListenAddress.of(uri).path
    return (home.sockets if outside is None else outside.parent) / FOLDER
