"""Which names a module may have in a server certificate: its own, and nobody else's.

Whoever holds a server certificate for the gateway's name is the gateway to every leaf device. So the hub's names, a
parent gateway's name, addresses and wildcards are refused to every module but `$edgeHub`, and to that one too where the
settings do not name them. An ordinary module gets the name it is registered under.
"""

from leafward.errors import AccessDenied, NameFormatError
from leafward.manager.settings import DeviceSettings
from leafward.pki.names import Host, HostName, module_dns_name, parse_host

HUB = "$edgeHub"


class ServerNames:
    """The names of one gateway's modules."""

    def __init__(self, device: DeviceSettings) -> None:
        self._hostname = device.hostname
        self._hub = _unique(device.hostname, *device.names)
        parent = () if device.parent_hostname is None else (device.parent_hostname,)
        self._reserved = {*self._hub, *parent, *own_names(HUB)}

    @property
    def hub(self) -> tuple[Host, ...]:
        """The hub's names and addresses: the hostname first, then the further ones of the settings."""
        return self._hub

    def granted(self, module_id: str, wanted: str) -> tuple[Host, ...]:
        """The names for a certificate that `module_id` wants as `wanted` (the `commonName` of its request).

        Raises `NameFormatError` for what is no name, `AccessDenied` for a name that is not the module's. The hub gets
        all of its names, whichever of them it asks for.
        """
        host = parse_host(_without_dollar(wanted))
        if module_id == HUB:
            if host not in {*self._hub, *own_names(HUB)}:
                raise _denied(module_id, wanted, self._hub)
            return self._hub
        own = own_names(module_id) - self._reserved
        if host not in own:
            raise _denied(module_id, wanted, sorted(own, key=str))
        return (host,)

    def refuse_module(self, module_id: str) -> None:
        """Raises `AccessDenied` for a module id whose own name would be the hub's or the parent's."""
        taken = own_names(module_id) & self._reserved
        if module_id != HUB and taken:
            raise AccessDenied(
                f"no module can be called {module_id!r}",
                why=f"{min(map(str, taken))!r} is a name of the hub or of the parent gateway",
                hint="choose another name",
            )


def own_names(module_id: str) -> set[Host]:
    """The host names that a module's id stands for: the id itself where it is one, and the DNS name made of it.

    An address is never a module's own.
    """
    own: set[Host] = set()
    for text in (_without_dollar(module_id), module_dns_name(module_id)):
        try:
            host = parse_host(text or "")
        except NameFormatError:
            continue
        if isinstance(host, HostName):
            own.add(host)
    return own


def _without_dollar(text: str) -> str:
    return text.removeprefix("$")


def _unique(*hosts: Host) -> tuple[Host, ...]:
    return tuple(dict.fromkeys(hosts))


def _denied(module_id: str, wanted: str, own: object) -> AccessDenied:
    names = ", ".join(repr(str(name)) for name in own) if isinstance(own, (list, tuple)) else ""
    return AccessDenied(
        f"the module {module_id!r} gets no server certificate for {wanted!r}",
        why=f"its names are {names}" if names else "its id is no host name",
        hint="ask for the module's own name",
    )
