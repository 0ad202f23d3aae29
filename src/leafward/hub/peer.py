"""Who is at the other end of an admitted connection or request."""

from dataclasses import dataclass, field
from datetime import datetime

from leafward.store.registry import Identity


@dataclass(frozen=True, slots=True)
class Peer:
    """A device or module whose credential was accepted.

    `until` (UTC) is when that credential ends: a connection does not outlive it. `rests_on` are the registry entries
    that the decision was made by; when one of them changes, the decision is void. They hold keys: never shown.
    `proved`: of the client certificate and the CAs above it, up to the anchor, the issuer and serial number: when one
    of them is revoked, the decision is void too. Empty for who came with a token.
    """

    device_id: str
    module_id: str | None
    until: datetime
    rests_on: tuple[Identity, ...] = field(repr=False)
    proved: tuple[tuple[bytes, int], ...] = field(default=(), repr=False)

    @property
    def client_id(self) -> str:
        """The MQTT client id: `device` or `device/module`."""
        return self.device_id if self.module_id is None else f"{self.device_id}/{self.module_id}"

    @property
    def generation_id(self) -> str:
        """Tells this registration from an earlier one of the same name."""
        return self.rests_on[0].generation_id
