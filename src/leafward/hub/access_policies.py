"""The gateway's shared access policies: who of the services may come in, and for what. There are none until somebody
makes one.

    hub/policies.json    0600, written anew at each change; nobody is told of a change before it is durable

A token is judged as a device's is: what it names, who signed it, what it is for, until when. A name that nobody has
costs as much work as a wrong key.
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from leafward import disk
from leafward.errors import AccessDenied, AlreadyExists, Damaged, InputError, LeafwardError, NotFound
from leafward.hub.refusals import Refusal
from leafward.wire import sas
from leafward.wire.access_policy import Permission, check_whole_hub, parse_permission, parse_policy_name
from leafward.wire.base64_text import decode_base64, encode_base64
from leafward.wire.sas import SasToken

POLICIES_FILE = "policies.json"
MOST_POLICIES = 64
_KEY_SIZE = 32
_FORMAT = 1
_NOBODYS_KEYS = (bytes(_KEY_SIZE), bytes(_KEY_SIZE))


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """A policy; `created` is UTC."""

    name: str
    permissions: frozenset[Permission]
    created: datetime
    primary_key: bytes = field(repr=False)
    secondary_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Service:
    """A service that has proved which policy's key it holds; the proof ends at `until` (UTC)."""

    policy: AccessPolicy
    until: datetime

    @property
    def label(self) -> str:
        """As it stands in logs and counts: no device has such a name."""
        return f"policy:{self.policy.name}"

    def may(self, permission: Permission) -> bool:
        """Whether the policy allows it."""
        return permission in self.policy.permissions


class AccessPolicies:
    """The policies of one hub. `changed` are called after each change. For the loop's thread.

    `hosts`: the names that a token may be for, lower-case.
    """

    def __init__(self, path: Path, hosts: Iterable[str], clock: Callable[[], datetime]) -> None:
        """Raises `Damaged` for a file that does not read back: who is let in is nothing to guess."""
        self._path = path
        self._hosts = frozenset(hosts)
        self._clock = clock
        self._policies = _read(path)
        self._changing = asyncio.Lock()
        self.changed: list[Callable[[], None]] = []

    def all(self) -> list[AccessPolicy]:
        """Every policy, by name."""
        return [self._policies[name] for name in sorted(self._policies)]

    def get(self, name: str) -> AccessPolicy:
        """Raises `NotFound`."""
        found = self._policies.get(name)
        if found is None:
            raise NotFound(f"no policy {name!r}", hint="leafward hub policy list")
        return found

    def stands(self, service: Service) -> bool:
        """Whether what a service has proved still holds: the policy is as it was."""
        return self._policies.get(service.policy.name) == service.policy

    def admit(self, text: str, *, claimed: str | None = None) -> Service | Refusal:
        """Judges a token. `claimed`: the policy that the login names, where it names one beside the token."""
        now = self._clock()
        try:
            token = SasToken.parse(text)
        except LeafwardError as error:
            return Refusal("sas-malformed", str(error))
        policy = self._policies.get(token.key_name or "")
        keys = _NOBODYS_KEYS if policy is None else (policy.primary_key, policy.secondary_key)
        why = _wrong(token, keys, now)
        if policy is None or claimed not in (None, policy.name):
            return Refusal("policy-unknown", f"no policy {(token.key_name or '')[:64]!r}")
        if why is not None:
            code = "sas-expired" if token.expiry <= now.timestamp() else "sas-signature-wrong"
            return Refusal(code, why)
        try:
            check_whole_hub(token, self._hosts)
        except AccessDenied as error:
            return Refusal("sas-audience-wrong", str(error))
        return Service(policy, datetime.fromtimestamp(token.expiry, UTC))

    async def create(self, name: str, permissions: Iterable[str]) -> AccessPolicy:
        """Makes a policy; durable on return. Raises `InputError`, `AlreadyExists`, `StoreError`."""
        parse_policy_name(name)
        allowed = frozenset(parse_permission(text) for text in permissions)
        if not allowed:
            raise InputError("the policy would allow nothing", hint="give it a permission")
        async with self._changing:
            if name in self._policies:
                raise AlreadyExists(f"there is a policy {name!r}", hint=f"leafward hub policy rotate {name}")
            if len(self._policies) >= MOST_POLICIES:
                raise InputError("there are too many policies", why=f"at most {MOST_POLICIES} are kept")
            policy = AccessPolicy(name, allowed, self._clock().replace(microsecond=0), _fresh(), _fresh())
            await self._keep({**self._policies, name: policy})
        return policy

    async def rotate(self, name: str, *, secondary: bool) -> AccessPolicy:
        """Another primary or secondary key; durable on return. Raises `NotFound`, `StoreError`."""
        async with self._changing:
            old = self.get(name)
            new = replace(old, secondary_key=_fresh()) if secondary else replace(old, primary_key=_fresh())
            await self._keep({**self._policies, name: new})
        return new

    async def delete(self, name: str) -> None:
        """Away with it; durable on return. Raises `NotFound`, `StoreError`."""
        async with self._changing:
            self.get(name)
            await self._keep({key: one for key, one in self._policies.items() if key != name})

    async def _keep(self, policies: dict[str, AccessPolicy]) -> None:
        data = json.dumps({"format": _FORMAT, "policies": [_as_json(one) for one in policies.values()]}).encode()
        await asyncio.to_thread(disk.write_file, self._path, data, mode=disk.PRIVATE)
        self._policies = policies
        for told in self.changed:
            told()


def _wrong(token: SasToken, keys: Iterable[bytes], now: datetime) -> str | None:
    """Why the token is not signed with one of these keys, or late; None where it is good. Tries every key."""
    whys: list[str | None] = []
    for key in keys:
        try:
            sas.verify(token, key, now)
        except AccessDenied as error:
            whys.append(str(error))
        else:
            whys.append(None)
    return None if None in whys else whys[0]


def _fresh() -> bytes:
    return secrets.token_bytes(_KEY_SIZE)


def _as_json(policy: AccessPolicy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "permissions": sorted(one.value for one in policy.permissions),
        "created": policy.created.isoformat(),
        "primary_key": encode_base64(policy.primary_key),
        "secondary_key": encode_base64(policy.secondary_key),
    }


def _read(path: Path) -> dict[str, AccessPolicy]:
    data = b""
    with contextlib.suppress(NotFound):
        data = disk.read_file(path)
    if not data:
        return {}
    try:
        value = json.loads(data)
        if value["format"] != _FORMAT:
            raise ValueError(f"format {value['format']!r}")
        return {one["name"]: _from_json(one) for one in value["policies"]}
    except (LeafwardError, ValueError, KeyError, TypeError) as error:
        hint = "restore it, or move it away: then there are no policies"
        raise Damaged(f"{path} does not read back", why=type(error).__name__, hint=hint) from None


def _from_json(value: Any) -> AccessPolicy:
    return AccessPolicy(
        parse_policy_name(value["name"]),
        frozenset(parse_permission(text) for text in value["permissions"]),
        datetime.fromisoformat(value["created"]),
        decode_base64(value["primary_key"], "primary_key"),
        decode_base64(value["secondary_key"], "secondary_key"),
    )
