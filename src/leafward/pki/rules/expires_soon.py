"""Rule 4: nobody is surprised by an end. A certificate is renewed before a fifth of its lifetime is left.

A manager renews at 80 % and tries again each 4 %: less than 20 % left means that it did not work, or that nobody does
it. Years are capped: a month's notice for an end-entity, three for a CA.
"""

from collections.abc import Iterator
from datetime import timedelta

from cryptography import x509

from leafward.pki.extension import says_ca
from leafward.pki.rule import Context, Finding, Rule, Step

SHARE = 5  # one part in five of the lifetime
MOST_FOR_A_CA, MOST_FOR_AN_END_ENTITY = timedelta(days=90), timedelta(days=30)
ALWAYS_SOON = timedelta(days=2)
SHORT_LIVED = timedelta(hours=25)  # a day, back-dated by an hour: such a one is made anew, not renewed


def notice(certificate: x509.Certificate) -> timedelta:
    """How long before its end a certificate counts as ending soon."""
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    most = MOST_FOR_A_CA if says_ca(certificate) else MOST_FOR_AN_END_ENTITY
    least = ALWAYS_SOON if lifetime > SHORT_LIVED else timedelta(0)
    return max(least, min(most, lifetime / SHARE))


def check(context: Context) -> Iterator[Finding]:
    """Each certificate of the path that is valid and ends soon."""
    for certificate in context.path:
        left = certificate.not_valid_after_utc - context.now
        begun = certificate.not_valid_before_utc <= context.now
        if begun and timedelta(0) <= left < notice(certificate):
            yield RULE.finding(
                "warning",
                certificate,
                got=f"ends at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}, in {_words(left)}",
                expected=f"renewed {_words(notice(certificate))} before its end",
                who=context.who(certificate),
                fix=f"Renew it now: {context.reissue(certificate)}",
            )


def _words(span: timedelta) -> str:
    """The largest whole unit: "5 days", "7 hours", "12 minutes"."""
    if span >= timedelta(days=2):
        return f"{span.days} days"
    hours, minutes = span // timedelta(hours=1), span // timedelta(minutes=1)
    return f"{hours} hours" if hours >= 2 else f"{minutes} minutes"


RULE = Rule(
    code="expires-soon",
    title="a certificate ends soon",
    clause="RFC 5280 4.1.2.5; renewal at 80 % of the lifetime",
    step=Step.ADVICE,
    check=check,
    at_issue=False,
)
