"""Which module a call comes from, and who pays for it: by its process at a unix socket, by its token at a TCP one."""

from dataclasses import dataclass

from leafward.manager.callers import Callers
from leafward.manager.http_routes import Call
from leafward.manager.module_tokens import generation, shows_token
from leafward.store.identity import Identity


@dataclass(frozen=True)
class Who:
    """A module, of one generation."""

    module_id: str
    generation_id: str


class Admission:
    """Looks callers up. For the loop's thread."""

    def __init__(self, callers: Callers) -> None:
        self.callers = callers

    def who(self, call: Call, identity: Identity | None) -> Who | None:
        """The module that calls; None for a caller that is none. `identity` is the one that the call's path names, as
        registered: a token can only be that one's.

        Through a module's own socket nobody is another module.
        """
        if call.door.by_token:
            if identity is None or not shows_token(call, identity):
                return None
            return Who(call.module_id, generation(call) or identity.generation_id)
        attachment = self.callers.attachment_of(call.peer)
        if attachment is None or call.door.module_id not in (None, attachment.module_id):
            return None
        return Who(attachment.module_id, attachment.generation_id)

    def owner(self, call: Call) -> str:
        """Who pays: a module with all of its processes, a user for what is no module, all of TCP's callers together."""
        if call.door.by_token:
            return f"tcp {call.module_id}"
        module_id = self.callers.module_of(call.peer)
        return f"user {call.peer.uid}" if module_id is None else f"module {module_id}"
