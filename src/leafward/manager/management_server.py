"""The Management API: how the operator's commands register modules and start programs as them, on `management.sock`.

For this user and root only, and for no process of a module: a module that could attach processes could be any other.
`attach` binds the process that calls it, so nobody can make another process a module behind its back.

NOTE: a module of this same user that cuts itself off from its parents is no module any more, and may call here like
any of the user's programs. Between processes of one user there is no wall; a module that is not trusted runs as another
user, or in a container.
"""

import os
import platform

from aiohttp import web

from leafward import __version__
from leafward.errors import AccessDenied
from leafward.manager.callers import Callers
from leafward.manager.http_routes import Call, Route, application
from leafward.manager.module_list import details, environment, list_modules
from leafward.manager.server_names import HUB
from leafward.manager.start import Standing
from leafward.manager.status import status_of
from leafward.store.home import Home
from leafward.store.identity import Identity
from leafward.wire import management_api as api
from leafward.wire.api_fields import to_json


class ManagementApi:
    """The answers, one method a route. For one thread: the manager's loop."""

    def __init__(self, home: Home, standing: Standing, callers: Callers) -> None:
        self._home = home
        self._standing = standing
        self._callers = callers
        self._users = {0, os.geteuid()}

    def application(self) -> web.Application:
        """The routes of wire.md's second section that leafward has, and its own two."""
        routes = (
            Route("GET", api.MODULES, self._list),
            Route("POST", api.MODULES, self._create_module, status=201),
            Route("GET", api.MODULE, self._module),
            Route("DELETE", api.MODULE, self._remove, status=204),
            Route("POST", api.ATTACH, self._attach, admit=self._admit_attach),
            Route("GET", api.IDENTITIES, self._identities),
            Route("POST", api.IDENTITIES, self._create_identity),
            Route("PUT", api.IDENTITY, self._update_identity),
            Route("DELETE", api.IDENTITY, self._remove, status=204),
            Route("GET", api.SYSTEM_INFO, self._system_info),
            Route("GET", api.STATUS, self._status),
        )
        return application(routes, self._admit, body_limit=api.MAX_REQUEST_BODY)

    def _admit(self, call: Call) -> None:
        self._refuse_unless(call, None)

    def _admit_attach(self, call: Call) -> None:
        """A module may say again that it is itself: it learns its generation after it was registered anew."""
        self._refuse_unless(call, None, call.module_id)

    def _refuse_unless(self, call: Call, *modules: str | None) -> None:
        peer = call.peer
        if peer.uid not in self._users or self._callers.module_of(peer) not in modules or not peer.alive:
            raise AccessDenied("forbidden")

    def _list(self, _call: Call) -> bytes:
        return list_modules(self._standing.modules, self._callers)

    def _module(self, call: Call) -> bytes:
        return to_json(details(self._standing.modules.get(call.module_id), self._callers).fields())

    def _create_module(self, call: Call) -> bytes:
        return self._environment(self._add(api.CreateModule.parse(call.body).name))

    def _remove(self, call: Call) -> bytes:
        if call.module_id == HUB:
            raise AccessDenied("the hub's own identity is not removed", hint="leafward manager wipe removes everything")
        self._standing.modules.remove(call.module_id)
        self._callers.detach_module(call.module_id)
        return b""

    def _attach(self, call: Call) -> bytes:
        identity = self._standing.modules.get(call.module_id)
        self._callers.attach_peer(call.peer, call.module_id, identity.generation_id, now=self._standing.time.now())
        return self._environment(identity)

    def _identities(self, _call: Call) -> bytes:
        return api.identities_to_json([_identity(one) for one in self._standing.modules.all()])

    def _create_identity(self, call: Call) -> bytes:
        return _identity(self._add(api.CreateIdentity.parse(call.body).module_id)).to_json()

    def _update_identity(self, call: Call) -> bytes:
        """Keys and generation stay: nothing of a module's identity can be changed but by making it anew."""
        return _identity(self._standing.modules.get(call.module_id)).to_json()

    def _system_info(self, _call: Call) -> bytes:
        name = str(self._standing.settings.hostname)
        return api.SystemInfo(platform.system().lower(), platform.machine(), __version__, name).to_json()

    def _status(self, _call: Call) -> bytes:
        return to_json(status_of(self._standing))

    def _add(self, module_id: str) -> Identity:
        self._standing.names.refuse_module(module_id)
        return self._standing.modules.add(module_id)

    def _environment(self, identity: Identity) -> bytes:
        variables = environment(identity, self._standing.settings, self._home)
        return api.ModuleEnvironment(identity.module_id or "", variables).to_json()


def _identity(identity: Identity) -> api.ModuleIdentity:
    return api.ModuleIdentity(identity.module_id or "", identity.generation_id)
