"""Who has proved what on one connection: services by a policy's token, devices and modules by theirs or a certificate.

Tokens come with PLAIN, or by `$cbs` as often as the peer likes; each is for one service, device or module and ends at
its own time. A device's token is judged when it comes, and once more when its first link is opened: what is let in is
what holds then, and from there on the broker has it and whoever watches the registry sees it.
"""

from dataclasses import dataclass, field
from datetime import datetime

from leafward.errors import LeafwardError
from leafward.hub.access_policies import Service
from leafward.hub.amqp.links import NOT_ALLOWED, RESOURCE_LIMIT, UNAUTHORIZED, LinkRefused
from leafward.hub.amqp.parts import AmqpParts, Host
from leafward.hub.amqp.seats import Seat
from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal
from leafward.hub.service_callers import identity_of
from leafward.wire.access_policy import Permission, is_for_policy
from leafward.wire.sas import SasToken


@dataclass(frozen=True, slots=True)
class _Token:
    """What a device has put, and until when it is good."""

    device_id: str
    module_id: str | None
    until: datetime
    text: str = field(repr=False)


class Claims:
    """The claims of one connection."""

    def __init__(self, parts: AmqpParts, host: Host) -> None:
        self._parts = parts
        self._host = host
        self._services: dict[str, Service] = {}
        self._tokens: dict[str, _Token] = {}
        self._seats: dict[str, Seat] = {}

    def __bool__(self) -> bool:
        """Whether anybody has proved anything that holds."""
        return bool(self._services or self._tokens or self._seats)

    def plain(self, username: str, password: str) -> float | None:
        """PLAIN: `{policy}@sas.root.{hub}` or `{device}[/{module}]@sas.{hub}`, the token as password.

        None where it is let in, else how many seconds the answer must wait.
        """
        name, _, place = username.rpartition("@")
        if place.startswith("sas.root."):
            return self._service(password, name)
        device_id, _, module_id = name.partition("/")
        if not (device_id and place.startswith("sas.")):
            return self._host.refusal(Refusal("login-malformed", "the user name is none of IoT Hub's"), username)
        return self._device(device_id, module_id or None, password)

    def put(self, text: str) -> float | None:
        """A token by `$cbs`. None where it is good, else how many seconds the answer must wait."""
        try:
            token = SasToken.parse(text)
        except LeafwardError as error:
            return self._host.refusal(Refusal("sas-malformed", str(error)), "$cbs")
        if is_for_policy(token):
            return self._service(text, None)
        named = identity_of(token.resource)
        if named is None:
            why = f"the token is for no device, no module and no policy: {token.resource[:200]!r}"
            return self._host.refusal(Refusal("sas-audience-wrong", why), "$cbs")
        return self._device(*named, text)

    def check_service(self, permission: Permission) -> Service:
        """The service that may do this. Raises `LinkRefused`."""
        for service in self._services.values():
            if service.may(permission):
                return service
        if self._services:
            (name, *_) = self._services
            self._host.refusal(Refusal("service-not-allowed", f"without {permission.value}"), f"policy:{name}")
        raise LinkRefused(UNAUTHORIZED, f"a policy with {permission.value} is needed")

    def seat(self, device_id: str, module_id: str | None) -> Seat:
        """The seat of a device or module that has proved to be it. Raises `LinkRefused`."""
        label = device_id if module_id is None else f"{device_id}/{module_id}"
        if (seat := self._seats.get(label)) is not None:
            return seat
        if len(self._seats) >= self._parts.terms.identities:
            raise LinkRefused(RESOURCE_LIMIT, f"at most {self._parts.terms.identities} share a connection")
        peer = self._judged(device_id, module_id, label)
        seat = self._seats[label] = Seat(self._parts, self._host, peer, lambda: self._left(label))
        self._host.claims_changed()
        return seat

    def ends(self) -> datetime | None:
        """When the first of them ends, None where there is none."""
        times = [one.until for one in self._services.values()] + [one.until for one in self._tokens.values()]
        return min([*times, *(seat.until for seat in self._seats.values())], default=None)

    def look(self, now: datetime) -> None:
        """Forgets what does not hold any more; who sits on it has to go."""
        stands = self._parts.policies.stands
        services = {n: one for n, one in self._services.items() if one.until > now and stands(one)}
        gone, self._services = len(self._services) - len(services), services
        self._tokens = {label: one for label, one in self._tokens.items() if one.until > now}
        for seat in [seat for seat in self._seats.values() if seat.until <= now]:
            seat.end("credential-expired", "the credential has expired")
        if gone:
            # Links of a service are not told apart by policy: it connects anew with what holds.
            self._host.end("credential-expired", "the policy's token has expired, or the policy has changed")
        elif not self:
            self._host.end("credential-expired", "nobody's credential holds any more")

    def over(self) -> None:
        """The connection is over."""
        for seat in list(self._seats.values()):
            seat.leave()
        self._services.clear()
        self._tokens.clear()

    def _service(self, text: str, claimed: str | None) -> float | None:
        judged = self._parts.policies.admit(text, claimed=claimed)
        if isinstance(judged, Refusal):
            return self._host.refusal(judged, f"policy:{claimed or _key_name(text)}")
        self._services[judged.policy.name] = judged
        self._host.claims_changed()
        return None

    def _device(self, device_id: str, module_id: str | None, text: str) -> float | None:
        label = device_id if module_id is None else f"{device_id}/{module_id}"
        if label not in self._tokens and len(self._tokens) >= self._parts.terms.identities:
            return self._host.refusal(Refusal("too-many-identities", "on one connection"), label)
        judged = self._credential(device_id, module_id, text)
        if isinstance(judged, Refusal):
            return self._host.refusal(judged, label)
        self._tokens[label] = _Token(device_id, module_id, judged.until, text)
        if (seat := self._seats.get(label)) is not None:
            seat.renewed(judged)
        self._host.claims_changed()
        return None

    def _judged(self, device_id: str, module_id: str | None, label: str) -> Peer:
        token = self._tokens.get(label)
        judged = self._credential(device_id, module_id, None if token is None else token.text)
        if isinstance(judged, Refusal):
            if judged.code == "credential-missing" and self:
                # Somebody else's address, by one who is let in for himself.
                raise LinkRefused(NOT_ALLOWED, f"nobody here is {label}", seconds=self._host.refusal(judged, label))
            raise LinkRefused(UNAUTHORIZED, "not admitted", seconds=self._host.refusal(judged, label))
        return judged

    def _credential(self, device_id: str, module_id: str | None, text: str | None) -> Peer | Refusal:
        hub = self._parts.hub
        return hub.authenticator.credential(device_id, module_id, text, self._host.presented, hub.clock())

    def _left(self, label: str) -> None:
        self._seats.pop(label, None)
        self._tokens.pop(label, None)


def _key_name(text: str) -> str:
    """Of a token that reads."""
    try:
        return SasToken.parse(text).key_name or "?"
    except LeafwardError:
        return "?"
