"""The one error tree. It knows no protocol: the edges map it to exit codes, HTTP statuses and MQTT return codes.

LeafwardError                 what happened, why, what to do next
├── UsageError                the command was used wrongly                          (exit code 2)
├── InputError                bytes or text from outside that cannot be understood
│   ├── EncodingError         PEM, DER, PKCS#12, base64, JSON
│   ├── NameFormatError       a host name, device id, module id or common name
│   ├── RequestError          a certificate request that proves nothing or asks for too much
│   ├── SettingsError         a settings file, a route, a connection string
│   └── ProtocolError         a peer that breaks the protocol it speaks
├── RuleViolation             understood, and refused by a rule; carries the rule's code
├── AccessDenied              who asks is unknown, or may not
├── NotFound                  the thing named does not exist
├── AlreadyExists             the name is taken
├── KeyUnavailable            a private key cannot be reached or used
├── StoreError                a disk or a database
│   ├── Damaged               what was stored does not read back
│   └── Busy                  another process holds it
└── PeerUnavailable           another part, or another machine, does not answer        (retryable)
"""

from collections.abc import Sequence
from dataclasses import dataclass


class LeafwardError(Exception):
    """Something a person can act on.

    `what` says what happened, `why` the cause with got and expected, `hint` what to do next: sentences without a
    trailing full stop. `retryable` is True where the same call may succeed later without anybody's help.

    >>> str(NotFound("no device 'pump-7'", hint="leafward device list"))
    "no device 'pump-7'"
    """

    exit_code = 3
    retryable = False

    def __init__(self, what: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what if why is None else f"{what}: {why}")
        self.what = what
        self.why = why
        self.hint = hint


class UsageError(LeafwardError):
    """The command line was used wrongly."""

    exit_code = 2


class InputError(LeafwardError):
    """Bytes or text from outside that cannot be understood."""


class EncodingError(InputError):
    """PEM, DER, PKCS#12, base64 or JSON that does not decode."""


class NameFormatError(InputError):
    """A host name, device id, module id or common name that is not one."""


class RequestError(InputError):
    """A certificate request that is not signed by its own key, or asks for what its profile does not give."""


class SettingsError(InputError):
    """A settings file, a route or a connection string that does not say what is needed.

    `faults` has each fault with its place where a whole file was judged; empty otherwise.
    """

    def __init__(
        self, what: str, *, why: str | None = None, hint: str | None = None, faults: "Sequence[Fault]" = ()
    ) -> None:
        super().__init__(what, why=why, hint=hint)
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a settings file, at its place; a file is judged whole, so there are several at once.

    `line` counts from 1, None where nothing of it stands in the file. `key` is dotted. `got` is None where there is
    nothing, or what stands there may be a secret. `nearest` is the known key that an unknown one may be meant to be.

    >>> print(Fault("leafward.toml", 2, "device.hostnam", "not known, did you mean 'hostname'?"))
    leafward.toml:2: device.hostnam: not known, did you mean 'hostname'?
    """

    file: str
    line: int | None
    key: str
    message: str
    expected: str | None = None
    got: str | None = None
    nearest: str | None = None

    @property
    def sentence(self) -> str:
        """The fault without its file, as it stands in a list of them."""
        line = "" if self.line is None else f"line {self.line}: "
        return f"{line}{self.key}: {self.message}" if self.key else f"{line}{self.message}"

    def __str__(self) -> str:
        line = "" if self.line is None else f":{self.line}"
        return f"{self.file}{line}: {self.key}: {self.message}" if self.key else f"{self.file}{line}: {self.message}"


class ProtocolError(InputError):
    """A peer broke the protocol it speaks."""


class RuleViolation(LeafwardError):
    """Understood, and refused by a rule. `code` is the rule's stable code, as in `docs/rules/`."""

    def __init__(self, code: str, what: str, *, why: str | None = None, hint: str | None = None) -> None:
        super().__init__(what, why=why, hint=hint)
        self.code = code


class AccessDenied(LeafwardError):
    """Who asks is unknown, or may not do this. The message never says which of the two to a peer."""


class NotFound(LeafwardError):
    """The thing named does not exist."""


class AlreadyExists(LeafwardError):
    """The name is taken; nothing was changed."""


class KeyUnavailable(LeafwardError):
    """A private key cannot be reached or used."""


class StoreError(LeafwardError):
    """A disk or a database refused."""


class Damaged(StoreError):
    """What was stored does not read back as what was written."""


class Busy(StoreError):
    """Another process holds it."""


class PeerUnavailable(LeafwardError):
    """Another part, or another machine, does not answer."""

    retryable = True
