"""The Management API: how the operator's commands register modules and start programs as them, on `management.sock`.

For this user and root only, and for no process of a module: a module that could attach processes could be any other.
`attach` binds the process that calls it, so nobody can make another process a module behind its back.

NOTE: a module of this same user that cuts itself off from its parents is no module any more, and may call here like
any of the user's programs. Between processes of one user there is no wall; a module that is not trusted runs as another
user, or in a container.
"""

import platform
from collections.abc import Iterable

from leafward import __version__
from leafward.errors import AccessDenied
from leafward.manager.admission import Admission
from leafward.manager.event_stream import management_events
from leafward.manager.http_edge import Answer, refusal
from leafward.manager.http_routes import Call, Route, Routes
from leafward.manager.hub_user import hub_uid
from leafward.manager.module_list import details, environment, list_modules
from leafward.manager.module_runs import ModuleRuns
from leafward.manager.module_sockets import ModuleSockets
from leafward.manager.operator_token import OperatorToken
from leafward.manager.operators import Operators
from leafward.manager.server_names import HUB
from leafward.manager.start import Standing
from leafward.manager.status import status_of
from leafward.manager.system_resources import system_resources
from leafward.store.home import Home
from leafward.store.identity import Identity
from leafward.wire import management_api as api
from leafward.wire.api_fields import to_json


class ManagementApi:
    """The answers, one method a route. For one thread: the manager's loop."""

    def __init__(
        self,
        home: Home,
        standing: Standing,
        admission: Admission,
        sockets: ModuleSockets | None,
        token: OperatorToken,
    ) -> None:
        self._home = home
        self._standing = standing
        self._admission = admission
        self._callers = admission.callers
        self._sockets = sockets
        self._operators = Operators(self._callers, token, hub_uid(standing.settings.manager.hub_user))
        self._runs = ModuleRuns(standing.modules, self._callers)

    def routes(self, further: Iterable[Route] = ()) -> Routes:
        """Every endpoint of IoT Edge's Management API, leafward's own three, and `further` ones."""
        routes = (*self._modules_routes(), *self._identity_routes(), *self._device_routes(), *further)
        return Routes(routes, self._operators.admit, owner=self._admission.owner, body_limit=api.MAX_REQUEST_BODY)

    def _modules_routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", api.MODULES, self._list),
            Route("POST", api.MODULES, self._create_module, status=201, manner="later"),
            Route("GET", api.MODULE, self._module),
            Route("PUT", api.MODULE, self._update_module, status=201),
            Route("DELETE", api.MODULE, self._remove, status=204, manner="later"),
            Route("POST", api.ATTACH, self._attach, admit=self._operators.admit_attach, manner="later"),
            Route("POST", api.START, self._runs.start),
            Route("POST", api.STOP, self._runs.stop, manner="later"),
            Route("POST", api.RESTART, self._runs.restart),
            Route("POST", api.PREPARE_UPDATE, self._runs.prepare_update),
            Route("GET", api.LOGS, self._runs.logs),
        )

    def _identity_routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", api.IDENTITIES, self._identities),
            Route("POST", api.IDENTITIES, self._create_identity, manner="later"),
            Route("PUT", api.IDENTITY, self._update_identity),
            Route("DELETE", api.IDENTITY, self._remove, status=204, manner="later"),
        )

    def _device_routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", api.SYSTEM_INFO, self._system_info),
            Route("GET", api.RESOURCES, self._resources, since="2019-11-05"),
            Route("GET", api.SUPPORT_BUNDLE, _no_support_bundle, since="2020-07-07"),
            Route("POST", api.REPROVISION, _no_reprovisioning, since="2019-10-22"),
            Route("GET", api.STATUS, self._status),
            management_events(self._standing.events, self._admission, self._operators.admit),
        )

    def _list(self, _call: Call) -> bytes:
        return list_modules(self._standing.modules, self._callers)

    def _module(self, call: Call) -> bytes:
        return to_json(details(self._standing.modules.get(call.module_id), self._callers).fields())

    async def _create_module(self, call: Call) -> bytes:
        identity = await self._add(api.CreateModule.parse(call.body).name)
        shown = details(identity, self._callers).fields()
        return to_json(shown | self._environment(identity).fields())

    def _update_module(self, call: Call) -> bytes:
        """A module's image and settings are not ours to change, so all that remains is to say what it is."""
        api.CreateModule.parse(call.body)
        return self._module(call)

    async def _remove(self, call: Call) -> bytes:
        if call.module_id == HUB:
            raise AccessDenied("the hub's own identity is not removed", hint="leafward manager wipe removes everything")
        self._standing.modules.remove(call.module_id)
        self._callers.detach_module(call.module_id)
        self._standing.held.forget(call.module_id)
        self._standing.events.publish("module", module=call.module_id, change="removed")
        await self._put_sockets_right()
        return b""

    async def _attach(self, call: Call) -> bytes:
        identity = self._standing.modules.get(call.module_id)
        if not call.door.by_token:
            now = self._standing.time.now()
            self._callers.attach_peer(call.peer, call.module_id, identity.generation_id, now=now)
        await self._put_sockets_right()
        return self._environment(identity).to_json()

    def _identities(self, _call: Call) -> bytes:
        return api.identities_to_json([_identity(one) for one in self._standing.modules.all()])

    async def _create_identity(self, call: Call) -> bytes:
        return _identity(await self._add(api.CreateIdentity.parse(call.body).module_id)).to_json()

    def _update_identity(self, call: Call) -> bytes:
        """Keys and generation stay: nothing of a module's identity can be changed but by making it anew."""
        return _identity(self._standing.modules.get(call.module_id)).to_json()

    def _system_info(self, _call: Call) -> bytes:
        name = str(self._standing.settings.hostname)
        return api.SystemInfo(platform.system().lower(), platform.machine(), __version__, name).to_json()

    def _resources(self, _call: Call) -> bytes:
        return to_json(system_resources(self._home))

    def _status(self, _call: Call) -> bytes:
        return to_json(status_of(self._standing))

    async def _add(self, module_id: str) -> Identity:
        self._standing.names.refuse_module(module_id)
        identity = self._standing.modules.add(module_id)
        self._standing.events.publish("module", module=module_id, change="added")
        await self._put_sockets_right()
        return identity

    async def _put_sockets_right(self) -> None:
        """The commands change the registry too, so what is there is asked each time."""
        if self._sockets is not None:
            await self._sockets.put_right(one.module_id or "" for one in self._standing.modules.all())

    def _environment(self, identity: Identity) -> api.ModuleEnvironment:
        variables = environment(identity, self._standing.settings, self._home)
        return api.ModuleEnvironment(identity.module_id or "", variables)


def _identity(identity: Identity) -> api.ModuleIdentity:
    return api.ModuleIdentity(identity.module_id or "", identity.generation_id)


def _no_support_bundle(_call: Call) -> Answer:
    return refusal(501, "there is no support bundle: leafward doctor and leafward manager status say how things stand")


def _no_reprovisioning(_call: Call) -> Answer:
    return refusal(501, "this device is its own registry: there is nothing to be provisioned from")
