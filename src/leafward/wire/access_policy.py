"""Shared access policies: how a service, which is no device, proves to an IoT hub what it may.

A policy has a name, two keys and permissions. A service signs a token with one of the keys; the token names the policy
(`skn`) and is for the whole hub: `sr={host}`. IoT Hub also takes tokens for a part of it (`{host}/devices`); here such
a token is refused, since nothing that we serve is a part.
"""

import enum
import re
from collections.abc import Collection

from leafward.errors import AccessDenied, EncodingError, NameFormatError
from leafward.wire.base64_text import encode_base64
from leafward.wire.sas import SasToken

MAX_NAME = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Permission(enum.Enum):
    """What a policy may allow, in IoT Hub's words.

    `ServiceConnect`: send to devices, hear what became of it, twins and direct methods. `RegistryRead`: who is
    registered, without keys. The hub has nothing for IoT Hub's other two, and takes none of them.
    """

    SERVICE_CONNECT = "ServiceConnect"
    REGISTRY_READ = "RegistryRead"


def parse_permission(text: str) -> Permission:
    """Reads a permission in any case. Raises `EncodingError` listing what there is."""
    for permission in Permission:
        if permission.value.lower() == text.lower():
            return permission
    known = ", ".join(one.value for one in Permission)
    raise EncodingError("no such permission", why=f"got {text[:64]!r}", hint=f"there are {known}")


def parse_policy_name(text: str) -> str:
    """A policy's name as it is. Raises `NameFormatError`."""
    if not (len(text) <= MAX_NAME and _NAME.fullmatch(text)):
        hint = f"letters, digits and - _ . beginning with a letter or digit, at most {MAX_NAME}"
        raise NameFormatError("this is no name of a policy", why=f"got {text[:MAX_NAME]!r}", hint=hint)
    return text


def service_connection_string(host: str, name: str, key: bytes) -> str:
    """What a service client is configured with, the key in it: show it to its owner only."""
    return f"HostName={host};SharedAccessKeyName={name};SharedAccessKey={encode_base64(key)}"


def is_for_policy(token: SasToken) -> bool:
    """Whether the token is a policy's, and no device's: devices name a policy at most beside their own resource."""
    return token.key_name is not None and "/" not in token.resource.strip("/")


def check_whole_hub(token: SasToken, hosts: Collection[str]) -> None:
    """The token is for one of `hosts` (lower-case names), the whole of it. Raises `AccessDenied`."""
    host = token.resource.strip("/").lower()
    if host not in hosts:
        raise AccessDenied(
            "the shared access signature is for something else",
            why=f"it is for {token.resource[:400]!r}, expected {' or '.join(sorted(hosts))!r}",
            hint="make the token for the host name that the client connects to",
        )
