"""Connection strings: all that a leaf device needs to know, in one line.

`HostName=…;DeviceId=…[;ModuleId=…];SharedAccessKey=…[;GatewayHostName=…]`, or `…;x509=true` in place of the key. Names
of fields are case-sensitive, as in the SDKs. Host names are kept as they were written: whether a gateway's name is
lower-case is the doctor's question.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from leafward.errors import InputError, SettingsError
from leafward.pki.names import parse_device_id, parse_host, parse_module_id
from leafward.wire.base64_text import decode_base64, encode_base64

MAX_LENGTH = 4096  # characters

_FIELDS = ("HostName", "DeviceId", "ModuleId", "SharedAccessKey", "GatewayHostName", "x509")
_FOREIGN: Mapping[str, str] = MappingProxyType(
    {
        "SharedAccessKeyName": "it is a service's connection string; use the one of the device",
        "SharedAccessSignature": "give the device its key; a signature in a connection string expires",
    }
)


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """A device's or module's connection string. `shared_access_key` is decoded; x509 and a key exclude each other.

    Neither of the two may be there at all: then there is nothing to prove who one is, and `has_credential` is False.
    """

    host_name: str
    device_id: str
    module_id: str | None = None
    shared_access_key: bytes | None = field(default=None, repr=False)
    gateway_host_name: str | None = None
    x509: bool = False

    @classmethod
    def parse(cls, text: str) -> "ConnectionString":
        """Reads the one-line form. Raises `SettingsError` that names the field, never its secret.

        >>> ConnectionString.parse("HostName=hub.example;DeviceId=pump-7;x509=true").device_id
        'pump-7'
        """
        fields = _fields(text)
        missing = [name for name in ("HostName", "DeviceId") if name not in fields]
        if missing:
            raise _malformed(f"it has no {' and no '.join(missing)}")
        if fields.get("x509", "true").lower() not in ("true", "false"):
            raise _malformed("x509 is neither 'true' nor 'false'")
        found = cls(
            host_name=fields["HostName"],
            device_id=fields["DeviceId"],
            module_id=fields.get("ModuleId"),
            shared_access_key=_key(fields.get("SharedAccessKey")),
            gateway_host_name=fields.get("GatewayHostName"),
            x509=fields.get("x509", "false").lower() == "true",
        )
        found._check()
        return found

    @property
    def has_credential(self) -> bool:
        """Whether it says how the identity is proved: a key, or a certificate."""
        return self.x509 or self.shared_access_key is not None

    @property
    def connects_to(self) -> str:
        """The host that the client opens its connection to."""
        return self.gateway_host_name or self.host_name

    def text(self) -> str:
        """The one-line form, the key in it: show it to its owner only."""
        parts = [f"HostName={self.host_name}", f"DeviceId={self.device_id}"]
        if self.module_id is not None:
            parts.append(f"ModuleId={self.module_id}")
        if self.shared_access_key is not None:
            parts.append(f"SharedAccessKey={encode_base64(self.shared_access_key)}")
        if self.gateway_host_name is not None:
            parts.append(f"GatewayHostName={self.gateway_host_name}")
        if self.x509:
            parts.append("x509=true")
        return ";".join(parts)

    def _check(self) -> None:
        if self.x509 and self.shared_access_key is not None:
            raise _malformed(
                "it has both SharedAccessKey and x509=true", hint="keep the one the device is registered with"
            )
        try:
            parse_host(self.host_name)
            parse_device_id(self.device_id)
            if self.module_id is not None:
                parse_module_id(self.module_id)
            if self.gateway_host_name is not None:
                parse_host(self.gateway_host_name)
        except InputError as error:
            raise SettingsError("the connection string is malformed", why=str(error), hint=error.hint) from error


def _fields(text: str) -> dict[str, str]:
    if len(text) > MAX_LENGTH:
        raise _malformed(f"it has {len(text)} characters, at most {MAX_LENGTH} are taken")
    fields: dict[str, str] = {}
    for part in text.strip().removesuffix(";").split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            # The name alone is repeated: what stands after it may be a key.
            raise _malformed(f"a part ({name[:20]!r}) is not NAME=VALUE" if equals else "a part is not NAME=VALUE")
        if name in _FOREIGN:
            raise _malformed(f"it has the field '{name}'", hint=_FOREIGN[name])
        if name not in _FIELDS:
            raise _malformed(_unknown(name))
        if name in fields:
            raise _malformed(f"it has the field '{name}' twice")
        fields[name] = value
    return fields


def _unknown(name: str) -> str:
    meant = [known for known in _FIELDS if known.lower() == name.lower()]
    if meant:
        return f"got the field '{name}', expected '{meant[0]}'"
    return f"it has a field other than {', '.join(_FIELDS)}"


def _key(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        return decode_base64(text, "SharedAccessKey")
    except InputError as error:
        raise SettingsError("the connection string is malformed", why=str(error), hint=error.hint) from None


def _malformed(why: str, *, hint: str | None = None) -> SettingsError:
    expected = "expected 'HostName=…;DeviceId=…;SharedAccessKey=…;GatewayHostName=…'"
    return SettingsError("the connection string is malformed", why=why, hint=hint or expected)
