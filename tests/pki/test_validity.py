"""Windows of time: back-dated, inclusive, nested."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import RuleViolation
from leafward.pki.validity import BACKDATE, FOREVER, NO_EXPIRY, Validity

NOW = datetime(2027, 3, 4, 5, 6, 7, 890, tzinfo=UTC)
SECOND = timedelta(seconds=1)
WIDE = Validity(datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))


def test_backdated_an_hour_and_in_whole_seconds() -> None:
    got = Validity.starting(NOW, timedelta(days=30), WIDE)
    assert got.not_before == datetime(2027, 3, 4, 4, 6, 7, tzinfo=UTC)
    assert got.not_after == datetime(2027, 4, 3, 5, 6, 7, tzinfo=UTC)


def test_never_before_nor_after_the_issuer() -> None:
    """issuer:      [now-5min ......... now+1h]
    certificate: [now-1h ................... now+30d]  ->  the issuer's own window"""
    issuer = Validity(NOW - timedelta(minutes=5), NOW + timedelta(hours=1))
    assert Validity.starting(NOW, timedelta(days=30), issuer) == issuer


def test_both_ends_are_inside() -> None:
    window = Validity(NOW, NOW + SECOND)
    assert window.contains(window.not_before)
    assert window.contains(window.not_after + timedelta(microseconds=999_999))
    assert not window.contains(window.not_before - SECOND)
    assert not window.contains(window.not_after + SECOND)
    assert window.lifetime == 2 * SECOND


def test_time_zones_are_compared_as_times() -> None:
    window = Validity(NOW, NOW)
    assert window.contains(NOW.astimezone(timezone(timedelta(hours=5))))
    with pytest.raises(ValueError, match="zone"):
        window.contains(datetime(2027, 3, 4))  # noqa: DTZ001 - the mistake under test


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (WIDE.not_before - SECOND, "certificate-not-yet-valid"),
        (WIDE.not_after + SECOND, "certificate-expired"),
    ],
)
def test_an_issuer_outside_of_its_own_window_signs_nothing(now: datetime, code: str) -> None:
    with pytest.raises(RuleViolation) as refused:
        Validity.starting(now, timedelta(days=1), WIDE)
    assert refused.value.code == code


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1)])
def test_a_lifetime_is_positive(lifetime: timedelta) -> None:
    with pytest.raises(RuleViolation) as refused:
        Validity.starting(NOW, lifetime, None)
    assert refused.value.code == "lifetime-invalid"


@pytest.mark.parametrize("lifetime", [None, FOREVER, timedelta(days=365 * 9000)])
def test_without_an_end(lifetime: timedelta | None) -> None:
    endless = Validity.starting(NOW, lifetime, None)
    assert endless.not_after == NO_EXPIRY
    assert endless.lifetime == FOREVER
    assert Validity.starting(NOW, lifetime, WIDE).not_after == WIDE.not_after


def test_it_does_not_end_before_it_begins() -> None:
    with pytest.raises(ValueError, match="before it begins"):
        Validity(NOW, NOW - SECOND)


@given(
    now=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    lifetime=st.timedeltas(SECOND, timedelta(days=365 * 100)),
)
def test_always_nested_and_never_empty(now: datetime, lifetime: timedelta) -> None:
    got = Validity.starting(now, lifetime, WIDE)
    assert WIDE.encloses(got)
    assert got.contains(now)
    assert got.not_before >= now.replace(microsecond=0) - BACKDATE


def test_of_a_certificate(gateway) -> None:
    certificate = gateway.root.chain.leaf
    assert Validity.of(certificate).not_after == certificate.not_valid_after_utc
    assert Validity.of(certificate).not_before == gateway.now - BACKDATE
