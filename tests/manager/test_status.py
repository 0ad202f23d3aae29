"""How the manager stands: what comes next, until when it is safe offline, and the same as metrics."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from leafward.cli.commands.manager.status import lines
from leafward.errors import StoreError
from leafward.manager.daemon import Manager
from leafward.manager.enrolment_report import EnrolmentReport
from leafward.manager.metrics import RequestCounts, exposition
from leafward.manager.metrics_address import parse_metrics_address
from leafward.manager.metrics_server import MetricsServer
from leafward.manager.settings import EnrolmentSettings, read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.status import status_of
from leafward.manager.time_floor import TimeFloor
from leafward.pki.chain import fingerprint
from leafward.store.home import Home
from leafward.wire.api_fields import moment


@pytest.fixture
def stand(home: Home, install: Any, clock: Any) -> Callable[..., Standing]:
    """A manager's half below a device CA with so many days left."""

    def made(days: int = 800) -> Standing:
        install(not_after=clock() + timedelta(days=days))
        standing = bring_up(home, read_settings(home.settings), TimeFloor(home.manager / LAST_SEEN, clock))
        standing.modules.close()
        return standing

    return made


def metrics_of(standing: Standing) -> dict[str, float]:
    text = exposition(standing, RequestCounts()).decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_what_comes_next_is_the_first_of_everything(stand: Callable[..., Standing], clock: Any) -> None:
    """The hub's 30 days are due after 24; a module's certificate of a shorter life comes before."""
    standing = stand()
    due = standing.settings.renewal.policy.due(standing.hub.certificate)
    assert status_of(standing)["next_event"] == {"at": moment(due), "what": "renew", "name": "hub_server"}
    standing.held.record("modA", standing.hub.certificate)
    clock.forward(timedelta(days=25))
    standing.hub.renew()
    following = status_of(standing)["next_event"]
    assert following == {"at": moment(due), "what": "module-due", "name": "modA"}
    standing.held.take_due(clock())
    assert status_of(standing)["next_event"]["what"] == "renew"


def test_safe_offline_until_the_first_end_of_what_cannot_be_renewed_here(
    stand: Callable[..., Standing], clock: Any
) -> None:
    """root -> intermediate -> device CA: the device CA ends first; workload CA and hub are this machine's own."""
    standing = stand(800)
    end = status_of(standing)["safe_offline_until"]
    assert end == {
        "at": moment(clock() + timedelta(days=800)),
        "role": "device_ca",
        "common_name": "iotgateway.ca",
        "sha256": fingerprint(standing.device_ca.chain.leaf),
    }


@pytest.mark.parametrize(("days", "said"), [(40, None), (29, "30 days"), (6, "7 days"), (1, "1 day:")])
def test_warnings_before_that(stand: Callable[..., Standing], days: int, said: str | None) -> None:
    warned = status_of(stand(days))["warnings"]
    assert len(warned) == (said is not None)
    assert said is None or said in warned[0]


def test_where_all_below_ends_with_the_device_ca_that_is_what_comes_next(
    stand: Callable[..., Standing], clock: Any
) -> None:
    standing = stand(10)
    clock.forward(timedelta(days=9))
    coming = status_of(standing)["next_event"]
    assert (coming["what"], coming["at"]) == ("ends", moment(clock() + timedelta(days=1)))


def test_failures_are_told_with_their_reason_and_the_next_try(stand: Callable[..., Standing], clock: Any) -> None:
    standing = stand()
    standing.journal.failed("hub_server", "the disk is full", clock())
    standing.journal.postpone("hub_server", clock(), timedelta(days=27))
    status = status_of(standing)
    assert status["renewals"]["hub_server"] == {
        "done": 0,
        "failed": 1,
        "last_failure": {"at": moment(clock()), "reason": "the disk is full"},
        "next_try": moment(clock() + timedelta(days=27)),
    }
    assert status["next_event"]["at"] == moment(clock() + timedelta(days=27))
    assert "the disk is full" in status["warnings"][0]


def test_the_status_as_a_person_reads_it(stand: Callable[..., Standing]) -> None:
    standing = stand()
    standing.journal.succeeded("hub_server")
    text = "\n".join(lines(status_of(standing)))
    assert "iotedgegw.local (edge-device)\n" in text
    assert "renewed 1, failed 0" in text
    assert "safe offline until 2028-08-09 12:00: then the device CA iotgateway.ca ends" in text
    assert "next: 2026-06-25 11:48 hub server renews" in text


def test_what_is_known_of_the_clock(stand: Callable[..., Standing], clock: Any) -> None:
    """The clock falls back by ten years: the time is counted on, and both are told."""
    standing = stand()
    known = clock()
    assert status_of(standing)["time"] == {
        "now": moment(known),
        "system": moment(known),
        "hard_floor": moment(standing.time.facts()["hard_floor"]),
        "seen": moment(known),
        "vouched_for": False,
        "floor_in_use": False,
    }
    clock.forward(timedelta(days=-3650))
    status = status_of(standing)
    assert (status["time"]["floor_in_use"], status["time"]["system"]) == (True, moment(clock()))
    text = "\n".join(lines(status))
    assert "clock: 2026-06-01 12:00 is used, the system says 2016-06-03 12:00" in text
    assert "nobody vouched for it" in text


def test_a_module_and_another_owner_as_a_person_reads_it(stand: Callable[..., Standing], clock: Any) -> None:
    standing = replace(stand(), owner_epoch=2)
    standing.held.record("modA", standing.hub.certificate)
    clock.forward(timedelta(days=20))
    standing.hub.renew()
    text = "\n".join(lines(status_of(standing)))
    assert "owner 2 of this device" in text
    assert "the module modA is told to ask for its next certificate" in text


@dataclass
class Asks:
    """An enrolment that stands as it is told to."""

    told: EnrolmentReport

    def report(self) -> EnrolmentReport:
        return self.told


def enrolled(standing: Standing, report: EnrolmentReport) -> Standing:
    enrolment = EnrolmentSettings(url="https://est.example/.well-known/est/device_ca")
    standing.source.enrolment = Asks(report)  # type: ignore[assignment]
    return replace(standing, settings=standing.settings.model_copy(update={"enrolment": enrolment}))


def test_an_enrolment_is_told_of(stand: Callable[..., Standing], clock: Any) -> None:
    assert status_of(stand())["enrolment"] is None
    failed = EnrolmentReport(failures=2, last_error="no answer", refused=False, last_attempt=clock())
    standing = enrolled(stand(), failed)
    due = standing.settings.renewal.policy.due(standing.device_ca.chain.leaf)
    assert status_of(standing)["enrolment"]["next_attempt"] == moment(due)
    standing.journal.postpone("device_identity", clock(), timedelta(minutes=20))
    status = status_of(standing)
    assert status["enrolment"] == {
        "url": "https://est.example/.well-known/est/device_ca",
        "state": "failing",
        "failures": 2,
        "last_attempt": moment(clock()),
        "last_success": None,
        "last_error": "no answer",
        "next_attempt": moment(clock() + timedelta(minutes=20)),
    }
    text = "\n".join(lines(status))
    assert "2 failures, last at 2026-06-01 12:00: no answer" in text
    assert "asked again at 2026-06-01 12:20" in text


@pytest.mark.parametrize(
    ("failures", "refused", "attempted", "state", "said"),
    [
        (0, False, False, "idle", "not asked since the start"),
        (0, False, True, "good", "last answer at 2026-06-01 12:00"),
        (1, True, True, "refused", "somebody has to act first"),
    ],
)
def test_the_states_of_an_enrolment(
    *, stand: Callable[..., Standing], clock: Any, failures: int, refused: bool, attempted: bool, state: str, said: str
) -> None:
    at = clock() if attempted else None
    report = EnrolmentReport(failures, "no" if failures else None, refused, at, None if failures else at)
    status = status_of(enrolled(stand(), report))
    assert status["enrolment"]["state"] == state
    assert said in "\n".join(lines(status))


def test_metrics_say_the_same(stand: Callable[..., Standing], clock: Any) -> None:
    standing = stand()
    standing.journal.failed("hub_server", "the disk is full", clock())
    found = metrics_of(standing)
    ends = {name: value for name, value in found.items() if "certificate_not_after" in name}
    assert len(ends) == 5
    label = "leafward_manager_certificate_not_after_seconds"
    assert ends[f'{label}{{certificate="hub_server"}}'] == standing.hub.certificate.not_valid_after_utc.timestamp()
    assert ends[f'{label}{{certificate="root_ca"}}'] == standing.device_ca.root.not_valid_after_utc.timestamp()
    safe = (clock() + timedelta(days=800)).timestamp()
    assert found["leafward_manager_safe_offline_until_seconds"] == safe
    assert found["leafward_manager_time_floor_in_use"] == 0
    assert found['leafward_manager_renewals_failed_total{certificate="hub_server"}'] == 1
    assert found["leafward_manager_subscribers"] == 0


async def test_metrics_over_http_and_on_the_management_socket(
    home: Home, clock: Any, install: Any, program: Any
) -> None:
    install()
    home.settings.write_text(home.settings.read_text() + '[manager]\nmetrics = "0"\n')
    async with Manager(home, clock=clock) as manager:
        assert manager.metrics is not None
        operator = await program()
        await operator.management("GET", "/modules/nobody")
        answered = await operator.management("GET", "/metrics")
        assert answered.status == 200
        counted = 'leafward_manager_requests_total{api="management",endpoint="/modules/{name}",status="404"} 1.0'
        assert counted in answered.text.splitlines()
        scraped = await scrape(manager.metrics.port, "GET /metrics HTTP/1.1")
        assert scraped.startswith("HTTP/1.1 200 OK")
        assert counted in scraped.splitlines()
        assert (await scrape(manager.metrics.port, "GET / HTTP/1.1")).startswith("HTTP/1.1 404")
        assert (await scrape(manager.metrics.port, "POST /metrics HTTP/1.1")).startswith("HTTP/1.1 405")
        assert (await scrape(manager.metrics.port, "nonsense")).startswith("HTTP/1.1 400")
        taken = MetricsServer(("127.0.0.1", manager.metrics.port), bytes)
        with pytest.raises(StoreError, match="cannot serve metrics"):
            await taken.open()


async def scrape(port: int, request: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{request}\r\nHost: x\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer.decode()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9601", ("127.0.0.1", 9601)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:9", ("::1", 9)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
    ],
)
def test_metrics_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_metrics_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "host:1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:-1", ":1", "1:2:3"])
def test_what_is_no_metrics_address(text: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        parse_metrics_address(text)
