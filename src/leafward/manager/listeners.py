"""Every door of the manager: the two unix sockets of the home, what the settings add, and one a module where asked for.

run/workload.sock      0666    whoever reaches it; who it is decides what it gets
run/management.sock    0600    this user and root (0660 where the hub is another user's)
run/mnt/NAME.sock      0666    `[manager] module_sockets`
workload_uri, management_uri   beside them: another unix path, or TCP on the loopback address
"""

import asyncio
import contextlib
from collections.abc import Sequence

from leafward.manager.admission import Admission
from leafward.manager.callers import Callers
from leafward.manager.door import Door, tcp_hosts
from leafward.manager.fair_turns import FairTurns
from leafward.manager.http_routes import Route
from leafward.manager.http_server import HttpServer
from leafward.manager.listen_address import MANAGEMENT, WORKLOAD, ListenAddress, announce
from leafward.manager.management_server import ManagementApi
from leafward.manager.module_secrets import MASTER_KEY, MasterKey
from leafward.manager.module_sockets import ModuleSockets
from leafward.manager.operator_token import OperatorToken
from leafward.manager.request_counts import RequestCounts
from leafward.manager.start import Standing
from leafward.manager.tcp_socket import listen_on_loopback
from leafward.manager.unix_socket import WORKLOAD_MODE, identity_of, listen, make_way, remove
from leafward.manager.workload_server import WorkloadApi
from leafward.store.home import Home
from leafward.wire.iotedge_config.values import ApiUri


class Listeners:
    """Opens all of them, and closes them again. For the loop's thread."""

    def __init__(
        self,
        home: Home,
        standing: Standing,
        callers: Callers,
        *,
        management_mode: int,
        management_routes: Sequence[Route] = (),
        workload_routes: Sequence[Route] = (),
        requests: RequestCounts | None = None,
    ) -> None:
        """`management_routes` and `workload_routes` are served beside the APIs' own; `requests` counts all answers."""
        counts = requests or RequestCounts()
        self._home = home
        self._settings = standing.settings.manager
        self._standing = standing
        self._mode = management_mode
        self._closing = contextlib.AsyncExitStack()
        self._turns = FairTurns()
        admission = Admission(callers)
        master = MasterKey(home.manager / MASTER_KEY)
        self.workload = HttpServer(
            WorkloadApi(standing, admission, master).routes(workload_routes), self._turns, count=counts.of(WORKLOAD)
        )
        self.sockets = ModuleSockets(home, self._settings, self.workload.at) if self._settings.module_sockets else None
        self._operator = operator = OperatorToken(home)
        management = ManagementApi(home, standing, admission, self.sockets, operator)
        self.management = HttpServer(management.routes(management_routes), self._turns, count=counts.of(MANAGEMENT))

    async def open(self) -> None:
        """Listens everywhere. Raises `StoreError` with the place named; `close` it then too."""
        self._home.make_socket_folder()
        self._closing.callback(self._turns.close)
        for server in (self.management, self.workload):
            self._closing.push_async_callback(server.close)
        await self._at_unix(self.management, ListenAddress(self._home.management_socket), self._mode)
        if self._settings.management_uri is not None and self._settings.management_uri.scheme == "http":
            self._operator.value()  # there for the operator to read, before anything asks for it
        await self._also(MANAGEMENT, self.management, self._settings.management_uri, self._mode)
        if self.sockets is not None:
            self._closing.callback(self.sockets.close)
            await self.sockets.put_right(one.module_id or "" for one in self._standing.modules.all())
        await self._also(WORKLOAD, self.workload, self._settings.workload_uri, WORKLOAD_MODE)
        await self._at_unix(self.workload, ListenAddress(self._home.workload_socket), WORKLOAD_MODE)

    async def close(self) -> None:
        """Listens no more, lets running requests end. May be repeated."""
        await self._closing.aclose()

    async def _also(self, api: str, server: HttpServer, uri: ApiUri | None, mode: int) -> None:
        if uri is None:
            return
        address = ListenAddress.of(uri)
        if address.path is None:
            await self._at_tcp(api, server, address)
        elif address.path not in (self._home.workload_socket, self._home.management_socket):
            make_way(address.path)
            await self._at_unix(server, address, mode)

    async def _at_unix(self, server: HttpServer, address: ListenAddress, mode: int) -> None:
        path = address.path
        assert path is not None
        listening = await listen(path, mode, server.at(Door(str(path))))
        self._closing.callback(remove, path, identity_of(path))
        self._closing.callback(listening.close)

    async def _at_tcp(self, api: str, server: HttpServer, address: ListenAddress) -> None:
        listening, bound = listen_on_loopback(address)
        served = await asyncio.get_running_loop().create_server(
            server.at(Door(bound.uri, hosts=tcp_hosts(bound.host, bound.port))), sock=listening
        )
        self._closing.callback(served.close)
        path = announce(self._home.sockets, api, bound.uri)
        self._closing.callback(path.unlink, missing_ok=True)
