"""The device CA of a child gateway, signed by this gateway's own: nested edges, where only the top one met the maker.

    root -> intermediate -> this device CA -> child's device CA -> child's workload CA -> child's hub

The child is held to what this gateway is held to. Its path length is one less, it lives no longer, and the fence of
names is written into it again: a verifier applies every fence of a path, and whoever reads one certificate sees it too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network

from cryptography import x509

from leafward.errors import NameFormatError, RuleViolation
from leafward.keys.serial import new_serial
from leafward.manager.device_ca import DEPTH_BELOW, DeviceCa
from leafward.manager.pairs import first_end
from leafward.pki.chain import Chain
from leafward.pki.constraints import Network, fence, parse_permitted_dns, violation
from leafward.pki.extension import path_length, value
from leafward.pki.key_types import PublicKey
from leafward.pki.names import common_name, parse_common_name
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest

# A device CA like any other, but for who signs it and for the room below it.
PROFILE = replace(profile("device_ca"), signed_by=frozenset({"device_ca"}), path_length=None)


@dataclass(frozen=True)
class Fence:
    """Names that a child may certify; empty leaves it what its parent may."""

    permit_dns: tuple[str, ...] = ()
    permit_ip: tuple[Network, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return not self.permit_dns and not self.permit_ip


def sign_child(
    device_ca: DeviceCa,
    name: str,
    public_key: PublicKey,
    *,
    now: datetime,
    gateways_below: int = 0,
    lifetime: timedelta | None = None,
    asked: Fence = Fence(),
) -> Chain:
    """The chain of a child's device CA called `name`, leaf first up to the root.

    `gateways_below` is how many further gateways are to hang one below another under the child. `lifetime` None is the
    profile's, cut at the parent's end; a longer one that was asked for is refused. `now` is aware UTC.

    Raises `RuleViolation` where the device CA leaves no room or does not live so long, where the name is that of a CA
    above, or the fence would reach beyond its own; `NameFormatError` for a name that is none. Nothing is kept.
    """
    subject = parse_common_name(name)
    _refuse_name_above(device_ca.chain, subject)
    room = DEPTH_BELOW + gateways_below
    refuse_without_room(device_ca.chain.leaf, room)
    _refuse_beyond(device_ca.chain, lifetime, now)
    held_to = _fence(device_ca.chain, asked)
    request = CertificateRequest(
        public_key=public_key, common_name=subject, permit_dns=held_to.permit_dns, permit_ip=held_to.permit_ip
    )
    return device_ca.issuer.prepare(
        PROFILE, request, now=now, serial=new_serial(), lifetime=lifetime, path_length=room
    ).sign()


def refuse_without_room(certificate: x509.Certificate, room: int) -> None:
    """Raises `RuleViolation` ("path-length-exceeded") unless a CA with the path length `room` fits below this one."""
    found = path_length(certificate)
    if found is None or found > room:
        return
    raise RuleViolation(
        "path-length-exceeded",
        "this gateway's device CA leaves no room for a child gateway",
        why=f"got the path length {found}, expected at least {room + 1}: one more for each gateway below",
        hint="have the maker issue a device CA with that path length",
    )


def _refuse_name_above(chain: Chain, name: str) -> None:
    """A CA called like one above it looks self-signed to some verifiers."""
    for certificate in chain:
        if (common_name(certificate.subject) or "").casefold() == name.casefold():
            raise RuleViolation(
                "issuer-same-name-as-server",
                f"a child gateway's device CA cannot be called {name!r}",
                why="a CA above it is",
                hint="choose another name",
            )


def _refuse_beyond(chain: Chain, lifetime: timedelta | None, now: datetime) -> None:
    end = first_end(chain)
    if lifetime is not None and lifetime > end - now:
        raise RuleViolation(
            "outlives-issuer",
            "the child's device CA would outlive this gateway's",
            why=f"got {lifetime.days} days, expected at most {max((end - now).days, 0)}",
            hint="ask for fewer days, or leave them out",
        )


def _fence(chain: Chain, asked: Fence) -> Fence:
    """The names for the child's own extension: those asked for, which must be this gateway's; else this gateway's."""
    found = [held for one in chain if (held := value(one, x509.NameConstraints)) is not None]
    if asked.is_empty:
        return _repeated(found[0]) if found else asked
    names: list[x509.GeneralName] = [x509.DNSName(one) for one in asked.permit_dns]
    for constraints in found:
        _refuse_outside([*names, *_edges(asked.permit_ip)], constraints)
    return asked


def _repeated(constraints: x509.NameConstraints) -> Fence:
    """The nearest fence as ours can say it; none where it cannot, since half of a fence may shut out what the whole one
    lets in. It holds all the same, being in the path.
    """
    try:
        names = [one.value for one in constraints.permitted_subtrees or () if isinstance(one, x509.DNSName)]
        dns = tuple(map(parse_permitted_dns, names))
    except NameFormatError:
        return Fence()
    found = [one.value for one in constraints.permitted_subtrees or () if isinstance(one, x509.IPAddress)]
    ips = tuple(one for one in found if isinstance(one, IPv4Network | IPv6Network))
    same = fence(dns, ips)
    return Fence(dns, ips) if same is not None and _as_set(same) == _as_set(constraints) else Fence()


def _as_set(constraints: x509.NameConstraints) -> tuple[frozenset[x509.GeneralName], frozenset[x509.GeneralName]]:
    return frozenset(constraints.permitted_subtrees or ()), frozenset(constraints.excluded_subtrees or ())


def _edges(networks: Sequence[Network]) -> list[x509.GeneralName]:
    """The first and the last address: a network lies in another one where both do."""
    return [x509.IPAddress(address) for one in networks for address in (one.network_address, one.broadcast_address)]


def _refuse_outside(names: Sequence[x509.GeneralName], constraints: x509.NameConstraints) -> None:
    for name in names:
        expected = violation(name, constraints)
        if expected is not None:
            raise RuleViolation(
                "name-constraint-violated",
                "the child's fence would reach beyond this gateway's own",
                why=f"got {name.value}, expected {expected}",
                hint="permit names inside this gateway's fence, or none to give the child the same",
            )
