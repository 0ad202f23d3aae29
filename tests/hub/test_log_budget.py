"""The log is not the peers' to fill: lines are rationed, cut and counted."""

import asyncio
import logging

import pytest
from aiohttp.http_exceptions import BadHttpMessage

from leafward.hub.endings import Endings
from leafward.hub.log_budget import LogBudget, LogBudgets, bounded_logger
from leafward.hub.metrics import HubMetrics
from leafward.hub.refusals import Refusal, Refusals
from tests.hub.conftest import StartHub
from tests.hub.hub_clients import HOST, NOW, PATIENCE


class Time:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def refusals(time: Time) -> Refusals:
    return Refusals(HubMetrics(), budgets=LogBudgets(monotonic=time))


def refuse(
    refusals: Refusals, code: str = "device-unknown", why: str = "not in the registry", claimed: str = "x"
) -> None:
    refusals.record(Refusal(code, why), claimed=claimed, address="192.0.2.1:5", at=NOW)


def test_a_bucket_empties_and_refills_slowly(time: Time) -> None:
    """Three at once, then one each ten seconds, and never more than three."""
    budget = LogBudget(3, 10.0, monotonic=time)
    assert [budget.take() for _ in range(5)] == [True, True, True, False, False]
    time.now += 10.0
    assert [budget.take() for _ in range(2)] == [True, False]
    time.now += 1000.0
    assert [budget.take() for _ in range(4)] == [True, True, True, False]


def test_one_kind_does_not_use_up_all(time: Time) -> None:
    """A flood of one kind leaves room for others; all together have their own end."""
    budgets = LogBudgets(monotonic=time)
    assert sum(budgets.take("flood") for _ in range(1000)) == 10
    assert budgets.take("other")
    assert sum(budgets.take(f"kind {number}") for number in range(1000)) == 19
    assert budgets.suppressed()["flood"] == 990
    assert budgets.suppressed() == {}


def test_a_flood_of_refusals(refusals: Refusals, time: Time, caplog: pytest.LogCaptureFixture) -> None:
    """100,000 in half a second: some lines, and one that says how many more; every one is counted."""
    for _ in range(1000):
        time.now += 0.0006
        for _ in range(100):
            refuse(refusals)
    assert len(caplog.records) == 10
    caplog.clear()
    refusals.tell_suppressed()
    assert [record.getMessage() for record in caplog.records] == [
        "99990 more refusals were not logged (device-unknown)"
    ]
    caplog.clear()
    refusals.tell_suppressed()
    assert caplog.records == []


def test_connections_that_end(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    """Ten lines of a kind at once, then one each two seconds, which says how many there were between; none unasked."""
    endings = Endings(LogBudgets(monotonic=time))
    for _ in range(100):
        endings.tell("MQTT", "192.0.2.1:5", "peer-closed", None)
    assert caplog.records == []
    with caplog.at_level(logging.INFO):
        for number in range(100):
            endings.tell("MQTT", "192.0.2.1:5", "peer-closed", f"{number}")
        time.now += 2.0
        endings.tell("AMQP", "192.0.2.2:5", "peer-closed", None)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 11
    assert said[0] == "MQTT connection from 192.0.2.1:5 ends: peer-closed (0)"
    assert said[10] == "AMQP connection from 192.0.2.2:5 ends: peer-closed; 90 more were not logged"


@pytest.mark.parametrize("character", ["\x01", "\U0001f600", "\n", "'", "\\"])
def test_a_line_is_cut(refusals: Refusals, caplog: pytest.LogCaptureFixture, character: str) -> None:
    """After it is made printable: U+0001 becomes four characters. Nothing of it can pass for another line."""
    refuse(refusals, why=character * 10_000, claimed=character * 10_000)
    (record,) = caplog.records
    line = record.getMessage()
    assert len(line) < 650
    assert line.isprintable()
    newest = refusals.newest()
    assert newest is not None
    assert len(newest.why) <= 400


def test_a_library_s_tracebacks(time: Time, caplog: pytest.LogCaptureFixture) -> None:
    """What a peer caused is one line within the budget; a fault of ours keeps its traceback."""
    bounded = bounded_logger(logging.getLogger("leafward.hub.test"), BadHttpMessage, monotonic=time)
    for _ in range(100):
        try:
            raise BadHttpMessage("x" * 10_000)
        except BadHttpMessage:
            bounded.exception("Error handling request from %s", "192.0.2.1")
    assert len(caplog.records) == 10
    assert all(record.exc_info is None and len(record.getMessage()) < 300 for record in caplog.records)
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    time.now += 2.0
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        bounded.exception("Error handling request")
    assert caplog.records[-1].exc_info is not None
    assert caplog.records[-1].levelno == logging.ERROR
    assert "90 more were not logged" in caplog.records[-1].getMessage()


@pytest.mark.parametrize(
    "request_",
    [
        "POST /devices/" + "%01" * 128 + "/messages/events?api-version=1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHo st: a\r\n\r\n",
    ],
    ids=["refused", "malformed"],
)
async def test_a_stranger_s_flood_over_https(
    make_hub: StartHub, caplog: pytest.LogCaptureFixture, request_: str
) -> None:
    """Sixty requests, answered at once for once: at most a dozen short lines."""
    hub = await (await make_hub("[hub.limits]\nlogin_delay = 0.001\n")).start()
    for _ in range(60):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", hub.at.https_port, ssl=hub.trusting(), server_hostname=HOST
        )
        writer.write(request_.encode())
        assert await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.transport.abort()
    said = "".join(caplog.text.splitlines(keepends=True))
    assert 0 < len(caplog.records) <= 14
    assert len(said) < 10_000
