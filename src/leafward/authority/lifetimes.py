"""Lifetimes that a person asks for: beyond the issuer's own end they are refused, and not quietly cut.

A profile's lifetime is a default, which the issuer's end caps. Who writes a number of days counts on it.
"""

from datetime import datetime, timedelta

from leafward.authority.authority import Authority
from leafward.errors import RuleViolation
from leafward.pki.validity import FOREVER, NO_EXPIRY

_DAY = timedelta(days=1)


def refuse_beyond(issuer: Authority, lifetime: timedelta | None, *, now: datetime) -> None:
    """Raises `RuleViolation` ("outlives-issuer") where a lifetime ends after the first certificate of the issuer's
    chain does. None, the profile's own, is never refused. `now` is aware UTC.
    """
    end = min(certificate.not_valid_after_utc for certificate in issuer.chain)
    if lifetime is None or end == NO_EXPIRY or (lifetime != FOREVER and lifetime <= end - now):
        return
    left = max((end - now) // _DAY, 0)
    asked = "without an end" if lifetime == FOREVER else f"{lifetime // _DAY} days"
    raise RuleViolation(
        "outlives-issuer",
        f"the certificate would outlive its issuer {issuer.name!r}",
        why=f"got {asked}, expected at most {left} days: the issuer's chain ends at {end:%Y-%m-%dT%H:%M:%SZ}",
        hint=f"ask for {left} days or fewer, leave the lifetime out, or choose an issuer that lives longer",
    )
