"""The list of who could not connect: counted, bounded, kept over a restart."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import Damaged
from leafward.hub import failures as room
from leafward.hub.failures import Failure, Failures, Kind
from leafward.hub.failures_file import FailuresFile, read_failures
from leafward.hub.failures_findings import _HANDSHAKES, _LOGINS, finding_of, is_login
from leafward.hub.failures_service import report
from leafward.hub.metrics import HubMetrics
from leafward.hub.refusals import Refusal, Refusals

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def failed(
    address: str = "192.0.2.1",
    who: str = "gw.local",
    symptom: str = "unknown_ca",
    kind: Kind = "handshake",
    at: int = 0,
) -> Failure:
    """A failure so many seconds after NOW."""
    when = NOW + timedelta(seconds=at)
    code = "root-not-trusted" if kind == "handshake" else symptom
    return Failure(kind, address, who, symptom, code, when, when, evidence={"n": at})


def listed() -> tuple[Failures, HubMetrics]:
    metrics = HubMetrics()
    return Failures(metrics, NOW), metrics


def test_one_line_for_one_device() -> None:
    """It tries each second: a count, the first and the last time, what the last looked like."""
    failures, metrics = listed()
    for second in range(100):
        failures.note(failed(at=second))
    (line,) = failures.all()
    assert (line.count, line.first, line.last) == (100, NOW, NOW + timedelta(seconds=99))
    assert line.evidence == {"n": 99}
    assert metrics.failures_listed == 1


def test_what_makes_another_line() -> None:
    """Another address, another name asked for, another alert, another kind; the latest stands first."""
    failures, _ = listed()
    for second, other in enumerate([{}, {"address": "192.0.2.9"}, {"who": "x"}, {"symptom": "y"}, {"kind": "login"}]):
        failures.note(failed(at=second, **other))  # type: ignore[arg-type]
    assert [line.last.second for line in failures.all()] == [4, 3, 2, 1, 0]


def test_a_flood_from_one_network_pushes_nobody_out() -> None:
    """Sixteen lines of one; the device that failed before stays."""
    failures, _ = listed()
    failures.note(failed("192.0.2.1"))
    for number in range(1000):
        failures.note(failed("198.51.100.1", who=f"name{number}", at=number))
    for number in range(1000):
        failures.note(failed(f"2001:db8::{number:x}", at=number))
    assert len(failures) == 1 + 2 * room.MOST_OF_ONE
    assert any(line.address == "192.0.2.1" for line in failures.all())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["handshake", "login"]),
            st.integers(0, 30),
            st.integers(0, 30),
            st.booleans(),
            st.booleans(),
        ),
        max_size=150,
    )
)
@settings(max_examples=40, deadline=None)
def test_bounds_hold_whatever_comes(events: list[tuple[Any, int, int, bool, bool]]) -> None:
    """Both tables, the index by network, and the count in the metrics agree."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "MOST", 20)
        patch.setattr(room, "MOST_OF_ONE", 4)
        failures, metrics = listed()
        for at, (kind, address, who, comes_in, clears) in enumerate(events):
            failures.note(failed(f"192.0.2.{address}", f"n{who}", kind=kind, at=at))
            if comes_in:
                failures.connected(f"192.0.2.{address}", f"n{who}", NOW)
            if clears and at % 7 == 0:
                failures.clear(NOW)
        for lines in failures._all.values():
            assert len(lines) <= 20
        assert sum(len(own) for own in failures._of_network.values()) == len(failures) == metrics.failures_listed
        assert all(0 < len(own) <= 4 for own in failures._of_network.values())


def test_who_has_come_in_since() -> None:
    """A handshake line is of the address; a login's of this identity alone."""
    failures, _ = listed()
    failures.note(failed("192.0.2.1"))
    failures.note(failed("192.0.2.1", who="pump-7", kind="login", symptom="sas-expired"))
    failures.note(failed("192.0.2.1", who="pump-8", kind="login", symptom="sas-expired"))
    failures.note(failed("192.0.2.2"))
    failures.connected("192.0.2.1", "pump-7", NOW)
    seen = {(line.address, line.who): line.connected for line in failures.all()}
    assert seen == {
        ("192.0.2.1", "gw.local"): NOW,
        ("192.0.2.1", "pump-7"): NOW,
        ("192.0.2.1", "pump-8"): None,
        ("192.0.2.2", "gw.local"): None,
    }


def test_which_device_it_is_likely_to_be() -> None:
    """The one that has come from there before; of several nobody is meant."""
    failures, _ = listed()
    failures.connected("192.0.2.1", "pump-7", NOW)
    assert failures.note(failed("192.0.2.1")).device == "pump-7"
    failures.connected("192.0.2.1", "pump-8", NOW)
    failures.connected("192.0.2.1", "pump-7", NOW)
    assert not failures.note(failed("192.0.2.1", who="other")).device


async def test_over_a_restart(tmp_path: Path) -> None:
    """Saved, restored, counted on; nothing is written where nothing has changed."""
    path = tmp_path / "failures.json"
    failures, _ = listed()
    file = FailuresFile(path, failures)
    await file.save()
    assert not path.exists()
    failures.note(failed(at=1))
    failures.note(failed(kind="login", who="pump-7", symptom="device-unknown", at=2))
    failures.connected("192.0.2.1", "pump-7", NOW)
    await file.save()
    written = path.stat().st_mtime_ns
    await file.save()
    assert path.stat().st_mtime_ns == written
    assert path.stat().st_mode & 0o777 == 0o600
    again = Failures(HubMetrics(), NOW + timedelta(days=1))
    FailuresFile(path, again).restore()
    assert again.all() == failures.all()
    assert again.since == NOW
    again.note(failed(at=100))
    assert {line.count for line in again.all()} == {1, 2}


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff", b'{"format": 2}', b'{"format": 1, "since": "2026", "failures": [{}]}', b"null"],
)
def test_a_file_that_is_none(tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Told, and begun anew: it is a help and not a promise."""
    path = tmp_path / "failures.json"
    path.write_bytes(data)
    failures, _ = listed()
    FailuresFile(path, failures).restore()
    assert failures.all() == []
    assert "begun anew" in caplog.text
    with pytest.raises(Damaged):
        read_failures(path)


async def test_a_disk_that_refuses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told, and tried again the next time."""
    failures, _ = listed()
    failures.note(failed())
    file = FailuresFile(tmp_path / "missing" / "failures.json", failures)
    await file.save()
    assert "cannot be kept" in caplog.text
    assert failures.changed
    (tmp_path / "missing").mkdir()
    await file.save()
    assert not failures.changed
    await asyncio.sleep(0)


def test_the_report_is_json_with_findings() -> None:
    """As the doctor has them: code, title, evidence, who mends it, how."""
    failures, _ = listed()
    failures.note(failed())
    failures.note(failed(kind="login", who="pump-7", symptom="sas-expired", at=5))
    said = json.loads(json.dumps(report(failures.all(), failures.since)))
    login, handshake = said["failures"]
    assert (login["code"], login["claimed"], login["server_name"]) == ("sas-expired", "pump-7", None)
    assert (handshake["code"], handshake["claimed"], handshake["server_name"]) == ("root-not-trusted", None, "gw.local")
    for line in said["failures"]:
        assert {"severity", "title", "evidence", "certificate", "who", "fix", "count", "first", "last"} <= set(line)
        assert line["who"] in {"maker", "operator", "leaf", "network"}


def test_every_finding_says_what_to_do() -> None:
    """Whole sentences, without a full stop at their end; of each a different title."""
    for table in (_HANDSHAKES, _LOGINS):
        titles = [finding.title for finding in table.values()]
        assert len(set(titles)) == len(titles)
        for finding in table.values():
            assert len(finding.fix) > 40
            assert not finding.fix.endswith(".")
            assert finding.title[0].islower()
    assert finding_of(failed(symptom="device-unknown", kind="login")).who == "operator"


@pytest.mark.parametrize("code", ["sas-signature-wrong", "sas-audience-wrong"])
def test_a_connection_string_is_where_it_is_said_to_be(code: str) -> None:
    """`leafward device show` prints none without `--secrets`."""
    assert "`leafward device show ID --secrets`" in finding_of(failed(symptom=code, kind="login")).fix


def test_refused_logins_are_on_the_list_and_other_refusals_are_not() -> None:
    """A peer that publishes where it may not has connected."""
    failures, metrics = listed()
    refusals = Refusals(metrics, failures=failures)
    refusals.record(Refusal("sas-expired", "late\nby far"), claimed="pump\x1b-7", address="192.0.2.1:5000", at=NOW)
    refusals.record(Refusal("publish-not-allowed", "no"), claimed="pump-7", address="192.0.2.1:5000", at=NOW)
    (line,) = failures.all()
    assert (line.address, line.code, line.who) == ("192.0.2.1", "sas-expired", "pump\\x1b-7")
    assert line.evidence == {"why": "late\\nby far"}
    refusals.admitted("pump-9", address="192.0.2.1:5001", at=NOW)
    assert line.connected is None
    assert is_login("thumbprint-mismatch")
    assert not is_login("subscribe-not-allowed")
