"""The tests' own helpers, where they have something to say to a person."""

import errno
import os
import socket
from typing import Any

import pytest

from tests import edge


def test_no_address_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody listens on all addresses: said so, and not tried for ever."""

    class Taken(socket.socket):
        def bind(self, _address: Any) -> None:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    assert edge.free_address().startswith("127.")
    monkeypatch.setattr(edge.socket, "socket", Taken)
    with pytest.raises(RuntimeError, match=r"Address already in use.*0\.0\.0\.0:8883"):
        edge.free_address()
