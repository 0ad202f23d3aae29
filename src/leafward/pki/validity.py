"""A window of time: back-dated for wrong clocks, inclusive at both ends, nested in the issuer's.

Times are aware UTC, in whole seconds, as certificates hold them (RFC 5280 4.1.2.5).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509

from leafward.errors import RuleViolation

BACKDATE = timedelta(hours=1)  # a leaf device whose clock is behind by less still accepts a new certificate
NO_EXPIRY = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # "no well-defined expiration date", RFC 5280 4.1.2.5
FOREVER = timedelta.max  # as a lifetime: until NO_EXPIRY
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Validity:
    """From `not_before` to `not_after`, both included."""

    not_before: datetime
    not_after: datetime

    def __post_init__(self) -> None:
        for name in ("not_before", "not_after"):
            object.__setattr__(self, name, in_whole_seconds(getattr(self, name)))
        if self.not_after < self.not_before:
            raise ValueError(f"a validity that ends ({self.not_after}) before it begins ({self.not_before})")

    @classmethod
    def starting(cls, now: datetime, lifetime: timedelta | None, within: Self | None) -> Self:
        """A window from an hour before `now` until `lifetime` after it, inside `within` (the issuer's).

        A lifetime of None, or one past the year 9999, gives NO_EXPIRY. Raises `RuleViolation` where `within` does not
        contain `now` ("certificate-expired", "certificate-not-yet-valid") or the lifetime is not positive.
        """
        if lifetime is not None and lifetime <= timedelta(0):
            raise RuleViolation("lifetime-invalid", "a lifetime must be positive", why=f"got {lifetime}")
        if within is not None:
            _require_open(within, now)
        endless = lifetime is None or lifetime > NO_EXPIRY - now
        not_before, not_after = now - BACKDATE, NO_EXPIRY if endless or lifetime is None else now + lifetime
        if within is not None:
            not_before, not_after = max(not_before, within.not_before), min(not_after, within.not_after)
        return cls(not_before, not_after)

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Self:
        """A certificate's window. Raises `RuleViolation` where it ends before it begins."""
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if not_after < not_before:
            why = f"from {not_before:%Y-%m-%dT%H:%M:%SZ} to {not_after:%Y-%m-%dT%H:%M:%SZ}"
            raise RuleViolation("certificate-expired", "a certificate that ends before it begins", why=why)
        return cls(not_before, not_after)

    @property
    def lifetime(self) -> timedelta:
        """The length of the window, both ends counted."""
        return self.not_after - self.not_before + _SECOND if self.not_after < NO_EXPIRY else FOREVER

    def contains(self, at: datetime) -> bool:
        """True at both ends and between; parts of a second do not count."""
        return self.not_before <= in_whole_seconds(at) <= self.not_after

    def encloses(self, other: Self) -> bool:
        """True where `other` neither begins before this window nor ends after it."""
        return self.not_before <= other.not_before and other.not_after <= self.not_after


def in_whole_seconds(at: datetime) -> datetime:
    """The time in UTC without its fraction. Raises ValueError for a time without a zone: that is a mistake of ours."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone; expected UTC")
    return at.astimezone(UTC).replace(microsecond=0)


def _require_open(issuer: Validity, now: datetime) -> None:
    if issuer.contains(now):
        return
    at = f"now is {now:%Y-%m-%dT%H:%M:%SZ}"
    if now < issuer.not_before:
        why = f"it begins at {issuer.not_before:%Y-%m-%dT%H:%M:%SZ}, {at}"
        hint = "check this machine's clock"
        raise RuleViolation("certificate-not-yet-valid", "the issuer is not valid yet", why=why, hint=hint)
    why = f"it ended at {issuer.not_after:%Y-%m-%dT%H:%M:%SZ}, {at}"
    raise RuleViolation("certificate-expired", "the issuer has expired", why=why, hint="renew the issuer first")
