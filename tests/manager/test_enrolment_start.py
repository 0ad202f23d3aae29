"""The first start: no server, then one; told to stop while it waits. And the pure parts: waits, addresses, dates."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import Damaged, LeafwardError, NotFound, SettingsError
from leafward.manager.backoff import SLOWLY, SOON
from leafward.manager.device_ca import DeviceCaFiles
from leafward.manager.enrolment_start import first_enrolment
from leafward.manager.settings import ManagerSettings, RenewalSettings, settings_from
from leafward.wire.est.answers import LONGEST_RETRY_AFTER, EstAnswer, read_certificates, retry_after
from leafward.wire.est.server_url import ServerUrl
from leafward.wire.est.targets import Operation
from tests.authority.est_world import Maker
from tests.manager.enrolment_world import Gateway, maker_here, url_of

NOWHERE = "https://localhost:1/.well-known/est/device_ca"
NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[Maker]:
    yield from maker_here(tmp_path)


@pytest.fixture
def gateway(maker: Maker, tmp_path: Path) -> Gateway:
    made = Gateway(tmp_path, maker)
    made.with_identity()
    return made


def settings_of(gateway: Gateway, url: str) -> ManagerSettings:
    return ManagerSettings.model_construct(
        device=gateway.device, enrolment=gateway.settings(url), renewal=RenewalSettings()
    )


class Waits:
    """Waits no time, and keeps how long it should have been."""

    def __init__(self) -> None:
        self.all: list[timedelta] = []
        self.reached = asyncio.Event()

    async def __call__(self, duration: timedelta) -> None:
        self.all.append(duration)
        self.reached.set()
        await asyncio.sleep(0)


async def test_nobody_there_then_somebody(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    """Refused connections, each wait longer than the one before; then the server comes, and the start goes on."""
    waits = Waits()
    async with gateway.maker.serving() as server:
        url = NOWHERE
        chosen = settings_of(gateway, url)

        async def wait(duration: timedelta) -> None:
            await waits(duration)
            if len(waits.all) == 5:
                object.__setattr__(enrolment, "_url", ServerUrl.parse(url_of(server)))

        enrolment = gateway.enrolment(url)
        with caplog.at_level(logging.WARNING):
            await first_enrolment(gateway.home, chosen, gateway.maker.now, wait=wait, enrolment=enrolment)
    assert waits.all == sorted(waits.all)
    assert waits.all[0] == timedelta(seconds=7.5)
    assert "there is no device CA yet, asking again in 0:00:08" in caplog.text
    assert enrolment.current() == DeviceCaFiles.of(gateway.device, gateway.home, chosen.enrolment)
    assert enrolment.needed() is None


async def test_told_to_stop_while_it_waits(gateway: Gateway) -> None:
    started = asyncio.Event()

    async def wait(_: timedelta) -> None:
        started.set()
        await asyncio.Event().wait()

    running = asyncio.create_task(
        first_enrolment(gateway.home, settings_of(gateway, NOWHERE), gateway.maker.now, wait=wait)
    )
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(NotFound, match="no device CA"):
        DeviceCaFiles.of(gateway.device, gateway.home, gateway.settings(NOWHERE))


async def test_a_mistake_in_the_settings_is_told_at_once(gateway: Gateway) -> None:
    """An operator stands beside a first start: a missing file ends it, with the file's name."""
    gateway.values["identity_certificate"].unlink()
    with pytest.raises(NotFound, match="device identity"):
        await first_enrolment(gateway.home, settings_of(gateway, NOWHERE), gateway.maker.now, wait=Waits())


async def test_two_sources_of_a_device_ca(gateway: Gateway) -> None:
    gateway.device_values["device_ca_certificate"] = gateway.trust
    with pytest.raises(SettingsError, match="not clear where"):
        gateway.enrolment(NOWHERE)


async def test_one_that_has_ended_is_asked_for_anew(gateway: Gateway) -> None:
    """Minutes before its end it is no device CA any more: a start asks first."""
    async with gateway.maker.serving() as server:
        enrolment = gateway.enrolment(url_of(server))
        await asyncio.to_thread(enrolment.enrol)
        assert enrolment.needed() is None
        present = enrolment._present()
        assert present is not None
        gateway.maker.offset = present.not_valid_after_utc - gateway.maker.now() - timedelta(minutes=4)
        assert "ends at" in str(enrolment.needed())


@pytest.mark.parametrize("name", ["certificate.pem", "key", "../active"])
async def test_a_damaged_slot_is_named_and_not_replaced(gateway: Gateway, name: str) -> None:
    """A device CA is never issued anew behind the operator's back."""
    async with gateway.maker.serving() as server:
        enrolment = gateway.enrolment(url_of(server))
        files = await asyncio.to_thread(enrolment.enrol)
        (files.certificate.parent / name).write_bytes(b"")
        with pytest.raises(Damaged) as told:
            await first_enrolment(gateway.home, settings_of(gateway, url_of(server)), gateway.maker.now, wait=Waits())
    assert str(gateway.folder_of_slots) in str(told.value)
    assert told.value.hint


@given(failures=st.integers(min_value=0, max_value=10**9), draw=st.floats(min_value=0, max_value=1, exclude_max=True))
@settings(max_examples=40)
def test_waits_grow_and_have_a_bound(failures: int, draw: float) -> None:
    for backoff in (SOON, SLOWLY):
        wait = backoff.delay(failures, lambda: draw)
        assert backoff.first / 2 <= wait <= backoff.longest
        assert backoff.step(failures) <= backoff.step(failures + 1)


def test_an_address_says_where_and_which_label() -> None:
    url = ServerUrl.parse("https://[2001:db8::1]:9443/.well-known/est/device_ca/")
    assert (str(url.host), url.port, url.label) == ("2001:db8::1", 9443, "device_ca")
    assert url.path(Operation.CA_CERTIFICATES) == "/.well-known/est/device_ca/cacerts"
    assert str(ServerUrl.parse("https://Est.Example")) == "https://est.example:443/.well-known/est"


@given(text=st.text(max_size=40))
@settings(max_examples=60)
def test_an_address_is_one_or_is_refused(text: str) -> None:
    for tried in (text, f"https://{text}", f"https://est.example/{text}"):
        try:
            url = ServerUrl.parse(tried)
        except SettingsError:
            continue
        assert ServerUrl.parse(str(url)) == url


@given(
    status=st.integers(100, 999),
    body=st.binary(max_size=60),
    kind=st.sampled_from(
        ["application/pkcs7-mime", "text/plain", "text/html", "", "application/pkcs7-mime; smime-type=x"]
    ),
    after=st.text(max_size=12),
)
@settings(max_examples=60)
def test_any_answer_is_an_error_of_ours(status: int, body: bytes, kind: str, after: str) -> None:
    answer = EstAnswer(status, {"content-type": kind, "retry-after": after, "location": after}, body)
    with pytest.raises(LeafwardError) as told:
        read_certificates(answer, "est.example")
    assert str(told.value).isprintable()
    wait = retry_after(answer, NOW)
    assert wait is None or timedelta(0) <= wait <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("99999999999999999999", 86400),
        (format_datetime(NOW + timedelta(minutes=5), usegmt=True), 300),
        (format_datetime(NOW - timedelta(minutes=5), usegmt=True), 0),
        ("soon", None),
        ("-5", None),
        ("²", None),
        ("", None),
    ],
)
def test_when_to_come_again(text: str, seconds: int | None) -> None:
    found = retry_after(EstAnswer(503, {"retry-after": text}), NOW)
    assert found == (None if seconds is None else timedelta(seconds=seconds))


def test_the_table_of_the_settings(tmp_path: Path) -> None:
    tables = {
        "device": {"hostname": "gw.local"},
        "enrolment": {"url": "https://e", "identity_url": "https://e", "serial_number": "47*11"},
    }
    with pytest.raises(SettingsError, match="serial_number"):
        settings_from(tables, source=tmp_path / "leafward.toml")
