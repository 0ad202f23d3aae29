"""Who a client says it is that does not know IoT Hub's user names: mosquitto_pub, paho, a PLC.

    user name = the device id (or device/module), password = a SAS token
    no user name, a client certificate: the client id is the device id
    no user name and no client id, a client certificate: its common name is the device id

A client id that is left out is given by the hub: it is the identity's own, as everybody's is. A claim only; the
credential proves it.
"""

from dataclasses import dataclass

from leafward.errors import AccessDenied
from leafward.hub.authenticator import Certificates
from leafward.pki.names import common_name, parse_device_id, parse_module_id


@dataclass(frozen=True, slots=True)
class PlainLogin:
    """A device, or a module of it. `assigned`: the client left its client id to the hub."""

    device_id: str
    module_id: str | None
    assigned: bool

    @property
    def client_id(self) -> str:
        """The one MQTT client id of this identity."""
        return self.device_id if self.module_id is None else f"{self.device_id}/{self.module_id}"


def is_plain_login(username: str | None) -> bool:
    """Whether a user name is not of IoT Hub's form, which always has an api-version.

    >>> is_plain_login("leaf1"), is_plain_login("edge/filter"), is_plain_login("hub/leaf1/?api-version=2021-04-12")
    (True, True, False)
    """
    return not username or (username.count("/") <= 1 and "api-version" not in username)


def claimed(username: str | None, client_id: str, certificates: Certificates) -> PlainLogin:
    """Reads the claim. Raises `NameFormatError` for ids that are none, `AccessDenied` where two disagree or none is
    given, and `EncodingError` for a certificate that does not read."""
    name = username or client_id or _common_name(certificates)
    device, slash, module = name.partition("/")
    login = PlainLogin(parse_device_id(device), parse_module_id(module) if slash else None, assigned=not client_id)
    if client_id and client_id != login.client_id:
        raise AccessDenied(
            "the client id is not the identity's",
            why=f"got {client_id[:300]!r}, expected {login.client_id!r}",
            hint="use the device id, or deviceId/moduleId, as MQTT client id",
        )
    return login


def _common_name(certificates: Certificates) -> str:
    presented = certificates()
    name = common_name(presented[0].subject) if presented else None
    if not name:
        raise AccessDenied("the client does not say who it is", hint="give the device id as user name")
    return name
