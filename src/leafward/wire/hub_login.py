"""What an MQTT user name of IoT Hub says: who connects, to which hub, by which API version, through whom.

`{hub}/{device}[/{module}]/?api-version=…&DeviceClientType=…`; older SDKs write no '?' and may part the query by '/'.
A claim only: the password or the client certificate proves it.
"""

from dataclasses import dataclass
from urllib.parse import unquote

from leafward.errors import AccessDenied, InputError, ProtocolError
from leafward.pki.names import parse_device_id, parse_module_id

MAX_USERNAME = 4096  # characters
MAX_AUTH_CHAIN = 8  # hubs between a nested leaf device and this one

_FORM = "{hub}/{device}/?api-version=… or {hub}/{device}/{module}/?api-version=…"


@dataclass(frozen=True, slots=True)
class Login:
    """A user name and client id that agree with each other.

    `host` is as the client wrote it, unchecked. `auth_chain`: for a device behind nested hubs the ids from the target
    to the acting edge device, else empty.
    """

    host: str
    device_id: str
    module_id: str | None
    api_version: str
    auth_chain: tuple[str, ...] = ()
    client_type: str | None = None
    model_id: str | None = None

    @property
    def client_id(self) -> str:
        """The one MQTT client id of this identity."""
        return self.device_id if self.module_id is None else f"{self.device_id}/{self.module_id}"

    @classmethod
    def parse(cls, username: str, client_id: str) -> "Login":
        """Raises `ProtocolError` for a user name of another form, `AccessDenied` when `client_id` is another id.

        >>> Login.parse("hub.example/leaf1/?api-version=2019-10-01", "leaf1").device_id
        'leaf1'
        """
        segments, query = _split(username)
        if len(segments) not in (2, 3) or not segments[0]:
            raise _malformed(f"it has {len(segments)} parts before its api-version, expected 2 or 3")
        fields = _query(query)
        if not fields.get("api-version"):
            raise _malformed("it has no api-version")
        device_id, module_id = _ids(segments)
        login = cls(
            host=segments[0],
            device_id=device_id,
            module_id=module_id,
            api_version=fields["api-version"],
            auth_chain=_auth_chain(fields.get("auth-chain")),
            client_type=fields.get("DeviceClientType"),
            model_id=fields.get("model-id"),
        )
        if client_id != login.client_id:
            # Exactly, case included: the client id is the key of the session, and two spellings would be two sessions.
            raise AccessDenied(
                "the client id is not the identity's",
                why=f"got {client_id[:300]!r}, expected {login.client_id!r}",
                hint="use the device id, or deviceId/moduleId, as MQTT client id",
            )
        return login


def _split(username: str) -> tuple[list[str], str]:
    """(host and ids, query). The query starts at the first segment with '?' in front or an api-version in it."""
    if len(username) > MAX_USERNAME:
        raise _malformed(f"it has {len(username)} characters, at most {MAX_USERNAME} are taken")
    segments = username.split("/")
    for number, segment in enumerate(segments):
        if segment.startswith("?"):
            return segments[:number], "/".join(segments[number:])[1:]
        if segment.startswith("api-version=") or "&api-version=" in segment:
            # The oldest form parts its fields by '/': {hub}/{device}/api-version=…/DeviceClientType=…
            return segments[:number], "/".join(segments[number:]).replace("/DeviceClientType=", "&DeviceClientType=")
    raise _malformed("it has no api-version")


def _query(text: str) -> dict[str, str]:
    """The fields of the query, decoded. Fields we do not know are left alone: newer SDKs add some."""
    fields: dict[str, str] = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name in fields:
            raise _malformed(f"it has the field {name[:64]!r} twice")
        fields[name] = unquote(value)
    return fields


def _ids(segments: list[str]) -> tuple[str, str | None]:
    try:
        return parse_device_id(segments[1]), parse_module_id(segments[2]) if len(segments) == 3 else None
    except InputError as error:
        raise _malformed(str(error)) from error


def _auth_chain(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    names = tuple(text.split(";"))
    if not all(names) or len(names) > MAX_AUTH_CHAIN:
        raise _malformed(f"its auth-chain is not 1 to {MAX_AUTH_CHAIN} ids parted by ';'")
    return names


def _malformed(why: str) -> ProtocolError:
    return ProtocolError("the user name is not one of IoT Hub's", why=why, hint=f"expected {_FORM}")
