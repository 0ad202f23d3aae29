"""What can be done to a module's process: it can be stopped. It cannot be started, since nobody told us how.

A module is a program that the operator (or a service manager) starts with `leafward module run`; the manager knows its
processes and no command line. So `stop` is what it is in IoT Edge: SIGTERM, and SIGKILL for what is still there after
ten seconds. `start` of a module that runs is done already, as in IoT Edge; everything else is 501 with what to do
instead. `prepareupdate` fetches an image there; there is none, so nothing has to be done.
"""

import asyncio
import signal

from leafward.manager.callers import Callers
from leafward.manager.http_edge import Answer, refusal
from leafward.manager.http_routes import Call
from leafward.manager.modules import Modules

# As `docker stop` waits.
STOP_SECONDS = 10.0
_LOOK_AGAIN = 0.02
_DONE = Answer(204)


class ModuleRuns:
    """The answers to `start`, `stop`, `restart`, `prepareupdate` and `logs`. Each raises `NotFound` for no module."""

    def __init__(self, modules: Modules, callers: Callers) -> None:
        self._modules = modules
        self._callers = callers

    async def stop(self, call: Call) -> Answer:
        """204 when nothing of it runs any more. Raises `AccessDenied` for processes of a user we may not signal."""
        self._modules.get(call.module_id)
        if self._callers.signal(call.module_id, signal.SIGTERM) and not await self._ended(call.module_id):
            self._callers.signal(call.module_id, signal.SIGKILL)
            await self._ended(call.module_id)
        return _DONE

    def start(self, call: Call) -> Answer:
        """204 where it runs."""
        self._modules.get(call.module_id)
        if self._callers.processes_of(call.module_id):
            return _DONE
        return _not_here(f"start it with its own command: leafward module run {call.module_id} -- COMMAND")

    def restart(self, call: Call) -> Answer:
        """501."""
        self._modules.get(call.module_id)
        return _not_here("stop it, and let its service start it again, as systemd does with Restart=always")

    def logs(self, call: Call) -> Answer:
        """501."""
        self._modules.get(call.module_id)
        return _not_here("a module writes to where its own service lets it, as journalctl -u SERVICE shows")

    def prepare_update(self, call: Call) -> Answer:
        """204."""
        self._modules.get(call.module_id)
        return _DONE

    async def _ended(self, module_id: str) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + STOP_SECONDS
        while self._callers.processes_of(module_id):
            if loop.time() > until:
                return False
            await asyncio.sleep(_LOOK_AGAIN)
        return True


def _not_here(instead: str) -> Answer:
    return refusal(501, f"modules are programs here, not containers: {instead}")
