"""Paths and methods of EST: what a request asks for, and below which label (RFC 7030 section 3.2.2).

/.well-known/est/simpleenroll                     the default label
/.well-known/est/device_ca/simpleenroll           the label device_ca
"""

import re
from dataclasses import dataclass
from enum import Enum

from leafward.errors import NotFound, SettingsError

PREFIX = "/.well-known/est"
# A label is one segment of a path; these characters need no escape in it (RFC 3986 2.3).
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}")


class Operation(Enum):
    """What is asked for; the value is the last segment of the path."""

    CA_CERTIFICATES = "cacerts"
    SIMPLE_ENROLL = "simpleenroll"
    SIMPLE_REENROLL = "simplereenroll"
    SERVER_KEY_GENERATION = "serverkeygen"
    CSR_ATTRIBUTES = "csrattrs"
    FULL_CMC = "fullcmc"

    @property
    def method(self) -> str:
        """The one HTTP method: GET to ask, POST to hand in."""
        return "GET" if self in (Operation.CA_CERTIFICATES, Operation.CSR_ATTRIBUTES) else "POST"


@dataclass(frozen=True, slots=True)
class Target:
    """An operation and its label; None is the default one."""

    operation: Operation
    label: str | None = None


_OPERATIONS = {operation.value: operation for operation in Operation}


def parse_target(path: str) -> Target:
    """What a path (percent-decoded, without the query) asks for. Raises `NotFound` for anything else.

    >>> parse_target("/.well-known/est/device_ca/cacerts").label
    'device_ca'
    """
    label, slash, name = path.removeprefix(f"{PREFIX}/").rpartition("/")
    operation = _OPERATIONS.get(name)
    if not path.startswith(f"{PREFIX}/") or operation is None or (slash and not is_label(label)):
        operations = ", ".join(_OPERATIONS)
        raise NotFound("there is nothing at this path", hint=f"{PREFIX}/[LABEL/]OPERATION; operations: {operations}")
    return Target(operation, label or None)


def target_path(operation: Operation, label: str | None = None) -> str:
    """The path of an operation, the client's side of `parse_target`."""
    return f"{PREFIX}/{label}/{operation.value}" if label else f"{PREFIX}/{operation.value}"


def is_label(text: str) -> bool:
    """True for a text that can be a label: one segment, and not the name of an operation (RFC 7030 3.2.2)."""
    return bool(_LABEL.fullmatch(text)) and text not in _OPERATIONS


def parse_label(text: str) -> str:
    """A label from a settings file. Raises `SettingsError`."""
    if not is_label(text):
        why = "expected 1 to 64 letters, digits, and . _ ~ -, and not the name of an operation"
        raise SettingsError(f"{text!r} cannot be an EST label", why=why, hint="for example device_ca")
    return text
