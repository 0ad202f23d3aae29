"""An edge with rules for plain topics, for clients that are nobody's SDK: who they are and what is their password."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from leafward.wire import sas
from leafward.wire.connection_string import ConnectionString
from tests.edge import Edge, Edges

_HOUR = 3600


@dataclass
class Plant:
    """The edge, and devices that are registered as tests ask for them."""

    edge: Edge
    passwords: dict[str, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def started(cls, home: Path, settings: str) -> Iterator[Self]:
        """One whose `leafward.toml` is `settings`, at "localhost" and a port that the system chose."""
        home.mkdir()
        (home / "leafward.toml").write_text(settings)
        with Edges() as start:
            yield cls(start(home, "--mqtt-port", "0", "--https-port", "0", address="127.0.0.1"))

    @property
    def port(self) -> int:
        return int(self.edge.ready["mqtts"]["port"])

    def add(self, device_id: str) -> str:
        """A device with a key; its password, which is a token."""
        if device_id not in self.passwords:
            added = self.edge.json("device", "add", device_id)
            parsed = ConnectionString.parse(added["connection_string"])
            resource = sas.resource_of(parsed.host_name, device_id, None)
            assert parsed.shared_access_key is not None
            self.passwords[device_id] = sas.sign(resource, parsed.shared_access_key, int(time.time()) + _HOUR)
        return self.passwords[device_id]
