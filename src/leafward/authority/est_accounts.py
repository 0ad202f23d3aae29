"""Accounts for a first enrolment: made with a password that is shown once, judged slowly and in constant time.

A password is hashed with scrypt (RFC 7914), which costs 16 MiB and some 40 ms. An unknown name costs the same as a
wrong password, so that the time tells nobody which names exist. Who guesses is slowed by address, never the account:
otherwise a stranger could lock out a device.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from leafward.errors import AccessDenied, InputError, NameFormatError
from leafward.store.accounts import Account, Accounts
from leafward.wire.basic import BasicCredentials

DEFAULT_LIFETIME = timedelta(days=30)
SHORTEST_PASSWORD = 12
_PASSWORD_BYTES = 24
_SALT_BYTES = 16
_DIGEST_BYTES = 32
_COST, _BLOCK, _PARALLEL = 1 << 14, 8, 1  # 16 MiB; RFC 7914 section 2 for interactive use
# Hashes at the same time: a crowd of bootstrapping devices must not take all memory and both cores.
_AT_ONCE = 2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_DEVICES = re.compile(r"[^*\s]*\*?[^*\s]*")

FREE_ATTEMPTS = 3
LONGEST_WAIT = timedelta(seconds=60)
FORGOTTEN_AFTER = timedelta(minutes=15)
MAX_SOURCES = 10_000


def new_account(
    name: str,
    *,
    now: datetime,
    labels: Sequence[str],
    devices: str | None = None,
    once: bool = False,
    lifetime: timedelta = DEFAULT_LIFETIME,
    password: str | None = None,
) -> tuple[Account, str]:
    """A new account and its password, made here unless one is given. `devices` None: the device of the same name.

    Raises `NameFormatError` for a name or pattern that cannot be one, `InputError` for a password that is too short.
    """
    if not _NAME.fullmatch(name):
        why = "expected 1 to 64 letters, digits, and . _ @ -"
        raise NameFormatError(f"{name!r} cannot be an account's name", why=why)
    pattern = name if devices is None else devices
    if not pattern.strip("*") or not _DEVICES.fullmatch(pattern):
        why = "expected a device name, or one with a single * in it that leaves some of the name fixed"
        raise NameFormatError(f"{pattern!r} says not which devices", why=why, hint="for example pump-*")
    if password is not None and len(password) < SHORTEST_PASSWORD:
        why = f"got {len(password)} characters, expected at least {SHORTEST_PASSWORD}"
        raise InputError("the password is too short", why=why, hint="leave it out, and one is made")
    chosen, salt = password or secrets.token_urlsafe(_PASSWORD_BYTES), secrets.token_bytes(_SALT_BYTES)
    account = Account(name, salt, _digest(chosen, salt), pattern, tuple(labels), once, now, now + lifetime)
    return account, chosen


class AccountDoor:
    """Judges names and passwords. On an event loop; the hashing is done beside it."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._nobody = secrets.token_bytes(_SALT_BYTES)
        self.slowdown = Slowdown()

    async def admit(self, credentials: BasicCredentials, source: str, now: datetime) -> Account | timedelta:
        """The account, when the password is right and it has not expired; a spent one too. `source` is an IP address.

        A time: how long this address is not listened to, because it guessed too often. Raises `AccessDenied`, the same
        whatever was wrong.
        """
        async with self._slots:
            # Asked here and not before the queue: of a thousand guesses sent at once only the first ones are judged.
            if (wait := self.slowdown.wait(source, now)) > timedelta(0):
                return wait
            account = await asyncio.to_thread(self._judge, credentials)
            if account is not None and now <= account.not_after:
                return account
            self.slowdown.failed(source, now)
        raise AccessDenied("the name or the password is wrong, or the account has expired", hint=_ASK)

    def _judge(self, credentials: BasicCredentials) -> Account | None:
        account = self._accounts.get(credentials.name)
        digest = _digest(credentials.password, account.salt if account else self._nobody)
        right = hmac.compare_digest(digest, account.digest if account else bytes(_DIGEST_BYTES))
        return account if right else None


@dataclass(slots=True)
class _Attempts:
    failures: int
    last: datetime


class Slowdown:
    """How often each address failed lately: after `FREE_ATTEMPTS` each failure doubles the wait, up to a minute.

    Bounded memory: the address that failed longest ago is forgotten first. IPv6 addresses count by their /64, which is
    what one customer has.
    """

    def __init__(self) -> None:
        self._sources: OrderedDict[str, _Attempts] = OrderedDict()

    def wait(self, source: str, now: datetime) -> timedelta:
        """How long this address has to wait; zero where it may try."""
        found = self._sources.get(_network(source))
        if found is None or found.failures < FREE_ATTEMPTS:
            return timedelta(0)
        pause = min(timedelta(seconds=1 << min(found.failures - FREE_ATTEMPTS, 10)), LONGEST_WAIT)
        return max(found.last + pause - now, timedelta(0))

    def failed(self, source: str, now: datetime) -> None:
        """One more wrong attempt. Right ones take nothing back: an account of one's own must not buy guesses."""
        network = _network(source)
        found = self._sources.pop(network, None)
        if found is None or now - found.last > FORGOTTEN_AFTER:
            found = _Attempts(0, now)
        found.failures, found.last = found.failures + 1, now
        self._sources[network] = found
        if len(self._sources) > MAX_SOURCES:
            self._sources.popitem(last=False)


def _network(source: str) -> str:
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source
    if isinstance(address, ipaddress.IPv6Address):
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, dklen=_DIGEST_BYTES
    )


_ASK = "ask the maker for an account: leafward ca account add"
