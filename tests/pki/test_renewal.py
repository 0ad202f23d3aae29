"""When to renew: policies as IoT Edge writes them, and two properties that keep a fleet calm."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import SettingsError
from leafward.pki.renewal import Renew, RenewalPolicy, WaitUntil
from tests.pki.chain_forge import NOW, edge, server

DAY = timedelta(days=1)
TEXTS = ["1%", "50%", "80%", "99%", "1min", "30min", "10day", "400day"]


def certificate(start: datetime, lifetime: timedelta) -> SimpleNamespace:
    """The two fields that a policy reads."""
    return SimpleNamespace(not_valid_before_utc=start, not_valid_after_utc=start + lifetime)


THIRTY_DAYS = certificate(NOW, 30 * DAY)


@pytest.mark.parametrize(
    ("threshold", "due"),
    [("80%", 24 * DAY), ("1%", timedelta(hours=7, minutes=12)), ("10day", 20 * DAY), ("30min", 30 * DAY - DAY / 48)],
)
def test_due(threshold, due):
    """A percentage of the lifetime used up, or a time left."""
    policy = RenewalPolicy.parse(threshold)
    assert policy.decide(THIRTY_DAYS, NOW) == WaitUntil(NOW + due)
    assert policy.decide(THIRTY_DAYS, NOW + due - timedelta(seconds=1)) == WaitUntil(NOW + due)
    assert isinstance(policy.decide(THIRTY_DAYS, NOW + due), Renew)


def test_the_default_is_80_and_4_percent():
    assert RenewalPolicy.parse() == RenewalPolicy.parse("80%", retry="4%")
    assert RenewalPolicy.parse().retry_delay(THIRTY_DAYS) == 1.2 * DAY


def test_a_real_certificate():
    hub = server(edge().workload_ca, not_before=NOW - 24 * DAY, not_after=NOW + 6 * DAY).certificate
    decision = RenewalPolicy.parse().decide(hub, NOW)
    assert isinstance(decision, Renew)
    assert "80%" in decision.reason
    assert "2026-06-07" in decision.reason


def test_expired():
    decision = RenewalPolicy.parse("1min").decide(THIRTY_DAYS, NOW + 31 * DAY)
    assert decision == Renew("expired at 2026-07-01T12:00:00Z")


def test_a_clock_before_the_beginning_waits():
    """The clock is wrong: a renewal by it would make another certificate as wrong, and so on."""
    for threshold in TEXTS:
        decision = RenewalPolicy.parse(threshold).decide(THIRTY_DAYS, NOW - 400 * DAY)
        assert isinstance(decision, WaitUntil)
        assert decision.at >= NOW


def test_a_threshold_longer_than_the_lifetime():
    """ "10day" for a module certificate of two hours: four fifths, or it would be renewed for ever."""
    short = certificate(NOW, timedelta(hours=2))
    assert RenewalPolicy.parse("10day").decide(short, NOW) == WaitUntil(NOW + timedelta(minutes=96))


def test_a_certificate_for_ever():
    """80 % of the time to the year 9999: nobody will be there to see it, and nothing overflows."""
    for_ever = certificate(NOW, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - NOW)
    assert isinstance(RenewalPolicy.parse().decide(for_ever, NOW), WaitUntil)


def test_a_retry_comes_in_time():
    """A retry of ten days on a certificate that is due six days before its end: after three."""
    assert RenewalPolicy.parse("80%", retry="10day").retry_delay(THIRTY_DAYS) == 3 * DAY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "80",
        "80 %",
        "%",
        "0%",
        "100%",
        "-1%",
        "8.5%",
        "10days",
        "0day",
        "0min",
        "10 day",
        "10DAY",
        "٣%",
        "9999999day",
    ],
)
def test_texts_that_are_none(text):
    with pytest.raises(SettingsError, match="renewal threshold"):
        RenewalPolicy.parse(text)
    with pytest.raises(SettingsError, match="renewal retry") as caught:
        RenewalPolicy.parse(retry=text)
    assert caught.value.why


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back(text):
    policy = RenewalPolicy.parse(text, retry=text)
    assert (str(policy.threshold), str(policy.retry)) == (text, text)


LIFETIMES = st.integers(0, 400 * 86400).map(lambda seconds: timedelta(seconds=seconds))
MOMENTS = st.integers(-1000 * 86400, 1000 * 86400).map(lambda seconds: NOW + timedelta(seconds=seconds))


@given(st.sampled_from(TEXTS), LIFETIMES, MOMENTS, MOMENTS)
def test_decisions(threshold, lifetime, one, other):
    """A wait ends by notAfter and after now; once the answer is renew, it stays renew."""
    policy, leaf = RenewalPolicy.parse(threshold), certificate(NOW, lifetime)
    earlier, later = policy.decide(leaf, min(one, other)), policy.decide(leaf, max(one, other))
    if isinstance(earlier, WaitUntil):
        assert min(one, other) < earlier.at <= leaf.not_valid_after_utc
    else:
        assert isinstance(later, Renew)
    if isinstance(later, WaitUntil):
        assert earlier == later


@given(st.sampled_from(TEXTS), st.sampled_from(TEXTS), LIFETIMES)
def test_a_retry_is_never_a_storm_nor_too_late(threshold, retry, lifetime):
    policy, leaf = RenewalPolicy.parse(threshold, retry=retry), certificate(NOW, lifetime)
    delay = policy.retry_delay(leaf)
    assert delay >= timedelta(seconds=1)
    assert delay == timedelta(seconds=1) or policy.due(leaf) + delay <= leaf.not_valid_after_utc
