"""When to renew a certificate: a pure question with two answers, renew now or wait until a time.

Policies are written as IoT Edge writes them: "80%" of the lifetime used up, or "10day", "30min" of it left.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self, TypeAlias

from cryptography import x509

from leafward.errors import SettingsError

DEFAULT_THRESHOLD = "80%"
DEFAULT_RETRY = "4%"

# Certificates count in whole seconds (RFC 5280 4.1.2.5), and a retry in less would be a loop.
SHORTEST_RETRY = timedelta(seconds=1)

# Days before an end that only a person can put off: time to order, to hurry, to travel.
WARN_DAYS = (30, 7, 1)

_TEXT = re.compile(r"([0-9]{1,6})(%|day|min)")
_ACCEPTED = 'a percentage ("80%"), days ("10day") or minutes ("30min"), as whole numbers'


@dataclass(frozen=True, slots=True)
class Renew:
    """Renew now. `reason` is a sentence for the log."""

    reason: str


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Nothing to do before `at` (aware UTC, never later than the certificate's notAfter). Ask again then."""

    at: datetime


Decision: TypeAlias = Renew | WaitUntil


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a certificate's lifetime, in percent, 1 to 99."""

    percent: int

    def __str__(self) -> str:
        return f"{self.percent}%"

    def of(self, lifetime: timedelta) -> timedelta:
        """That part of a lifetime, in whole seconds, rounded down."""
        return timedelta(seconds=int(lifetime.total_seconds()) * self.percent // 100)


@dataclass(frozen=True, slots=True)
class Span:
    """A fixed time, more than nothing."""

    time: timedelta
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class RenewalPolicy:
    """When a certificate is due (`threshold`), and how long to wait after a failed attempt (`retry`).

    >>> str(RenewalPolicy.parse("10day", retry="30min").threshold)
    '10day'
    """

    threshold: Share | Span
    retry: Share | Span

    @classmethod
    def parse(cls, threshold: str = DEFAULT_THRESHOLD, retry: str = DEFAULT_RETRY) -> Self:
        """A policy from its texts. Raises `SettingsError` that lists the accepted forms."""
        return cls(_parse(threshold, "renewal threshold"), _parse(retry, "renewal retry"))

    def due(self, certificate: x509.Certificate) -> datetime:
        """The time from which the certificate is to be renewed, aware UTC; between its notBefore and notAfter.

        A percentage counts from notBefore. A fixed time counts back from notAfter; where the whole lifetime is no
        longer than that, four fifths of it stand in, because a certificate due at birth would be renewed for ever.
        """
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        lifetime = max(end - start, timedelta(0))
        if isinstance(self.threshold, Share):
            return start + self.threshold.of(lifetime)
        if self.threshold.time >= lifetime:
            return start + Share(80).of(lifetime)
        return end - self.threshold.time

    def decide(self, certificate: x509.Certificate, now: datetime) -> Decision:
        """Renew, or the time to ask again. `now` is aware UTC.

        A clock before notBefore is a wrong clock, not a reason to renew: each certificate made by it would be as
        wrong, so the answer is to wait.
        """
        due, end = self.due(certificate), certificate.not_valid_after_utc
        if now > end:
            return Renew(f"expired at {_text(end)}")
        if now < certificate.not_valid_before_utc or now < due:
            return WaitUntil(due)
        return Renew(f"due since {_text(due)} ({self.threshold}), expires at {_text(end)}")

    def retry_delay(self, certificate: x509.Certificate) -> timedelta:
        """How long to wait after a failed renewal: at least a second, at most half of what is left once it is due.

        The bound keeps a "10day" retry on a certificate due six days before its end from sleeping past that end.
        """
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        wanted = self.retry.of(end - start) if isinstance(self.retry, Share) else self.retry.time
        return max(min(wanted, (end - self.due(certificate)) / 2), SHORTEST_RETRY)


def warning_days(end: datetime, now: datetime) -> int | None:
    """The smallest of `WARN_DAYS` that `end` is within; None while it is further away. Both are aware UTC.

    >>> warning_days(datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 1, 26, tzinfo=UTC))
    7
    """
    return min((days for days in WARN_DAYS if end - now <= timedelta(days=days)), default=None)


def _parse(text: str, what: str) -> Share | Span:
    match = _TEXT.fullmatch(text)
    if match is None:
        raise SettingsError(f"{text!r} is no {what}", why=f"expected {_ACCEPTED}", hint='for example "80%"')
    number, unit = int(match[1]), match[2]
    if unit == "%":
        if not 1 <= number <= 99:
            raise SettingsError(f"{text!r} is no {what}", why=f"expected 1% to 99%, got {number}%")
        return Share(number)
    if number == 0:
        raise SettingsError(f"{text!r} is no {what}", why="expected more than nothing", hint='for example "10day"')
    return Span(timedelta(days=number) if unit == "day" else timedelta(minutes=number), text)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
