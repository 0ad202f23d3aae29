"""Who may use the Management API: this user and root, the hub's user for the hub, and no process of a module.

Over TCP no kernel says whose a process is: there the operator's token is asked for.
"""

import os
from collections.abc import Set

from leafward.errors import AccessDenied
from leafward.manager.callers import Callers
from leafward.manager.http_routes import Call
from leafward.manager.operator_token import OperatorToken
from leafward.manager.server_names import HUB


class Operators:
    """Refuses everybody else. `hub_uid` is the user of a hub that runs as another one, who may attach it only."""

    def __init__(self, callers: Callers, token: OperatorToken, hub_uid: int | None) -> None:
        self._callers = callers
        self._token = token
        self._users = {0, os.geteuid()} if hasattr(os, "geteuid") else set()
        self._hub_uid = hub_uid

    def admit(self, call: Call) -> None:
        """Raises `AccessDenied` for anybody else."""
        self._refuse_unless(call, None, users=self._users)

    def admit_attach(self, call: Call) -> None:
        """A module may say again that it is itself: it learns its generation after it was registered anew."""
        is_hub = call.module_id == HUB and call.peer.uid == self._hub_uid
        self._refuse_unless(call, None, call.module_id, users={call.peer.uid} if is_hub else self._users)

    def _refuse_unless(self, call: Call, *modules: str | None, users: Set[int]) -> None:
        if call.door.by_token:
            if not self._token.shown_by(call):
                raise AccessDenied("forbidden")
            return
        peer = call.peer
        if peer.uid not in users or self._callers.module_of(peer) not in modules or not peer.alive:
            raise AccessDenied("forbidden")
