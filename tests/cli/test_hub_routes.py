"""`leafward hub routes` and what a person reads of `leafward hub upstream`."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from leafward.cli.commands.hub.upstream import lines
from leafward.cli.main import run

ROUTES = """
[hub]
time_to_live_secs = 600
[hub.routes]
up = "FROM /messages/events INTO $upstream"
alarm = {route = "FROM /messages/* WHERE $body.t > 80 INTO $upstream", priority = 0, time_to_live_secs = -1}
filter = 'FROM /messages/modules/sensor/* INTO BrokeredEndpoint("/modules/filter/inputs/in1")'
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "leafward.toml").write_text(ROUTES)
    return tmp_path


def routes(*arguments: str) -> int:
    return run(["hub", "routes", *arguments])


def test_the_list(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert routes("--home", str(home)) == 0
    assert capsys.readouterr().out.splitlines()[:4] == [
        "up  FROM /messages/events INTO $upstream",
        "    into $upstream, after all priorities, waits 600 s at most",
        "alarm  FROM /messages/* WHERE $body.t > 80 INTO $upstream",
        "    into $upstream, priority 0, waits for ever",
    ]
    assert routes("--home", str(home), "--json") == 0
    assert json.loads(capsys.readouterr().out)[1] == {
        "name": "alarm",
        "route": "FROM /messages/* WHERE $body.t > 80 INTO $upstream",
        "endpoint": "$upstream",
        "priority": 0,
        "time_to_live_secs": None,
    }


def test_without_routes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The one that there always is, for two hours."""
    assert routes("--home", str(tmp_path), "--json") == 0
    (only,) = json.loads(capsys.readouterr().out)
    assert (only["route"], only["time_to_live_secs"]) == ("FROM /messages/* INTO $upstream", 7200)


def test_a_route_that_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    """A caret where it stops making sense; exit 1."""
    assert routes("check", "FROM /* WHERE level == 'x' INTO $upstream") == 1
    text = capsys.readouterr().out.splitlines()
    assert text[0] == "FROM /* WHERE level == 'x' INTO $upstream"
    assert text[1] == " " * 21 + "^"
    assert text[2].startswith("at character 22: got '=', expected a property")
    assert routes("check", "--json", "FROM /* INTO nowhere") == 1
    assert json.loads(capsys.readouterr().out)["position"] == 14
    assert routes("check", "FROM /* INTO $upstream") == 0
    assert capsys.readouterr().out == "understood: it leads into $upstream\n"


@pytest.mark.parametrize(
    ("source", "silent"), [("twinChangeNotifications", False), ("deviceLifecycleEvents", True), ("jobs/x", True)]
)
def test_a_route_that_never_takes_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, silent: bool
) -> None:
    """What IoT Hub alone tells of is understood, and said to be silent here."""
    text = f"FROM /{source} INTO $upstream"
    assert routes("check", text) == 0
    assert ("takes nothing" in capsys.readouterr().err) is silent
    (tmp_path / "leafward.toml").write_text(f'[hub.routes]\nquiet = "{text}"\n')
    assert routes("--home", str(tmp_path)) == 0
    assert ("quiet takes nothing" in capsys.readouterr().err) is silent


def test_the_file_s_routes_are_checked(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert routes("check", "--home", str(home)) == 0
    assert capsys.readouterr().out == "3 routes, all understood\n"
    with (home / "leafward.toml").open("a") as file:
        file.write('more = "FROM /nowhere INTO $upstream"\n')
    assert routes("check", "--home", str(home)) == 1
    assert capsys.readouterr().out.startswith(f"{home}/leafward.toml:8: hub.routes.more: ")
    assert routes("check", "--home", str(home), "--json") == 1
    assert json.loads(capsys.readouterr().out)["faults"][0]["name"] == "more"


@pytest.mark.parametrize(
    ("message", "taken", "queues"),
    [
        ({"body": {"t": 81}}, ["up", "alarm"], {"$upstream#0": None}),
        ({"body": {"t": 79}}, ["up"], {"$upstream": 600}),
        ({"device_id": "gw", "module_id": "sensor", "output": "o"}, ["filter"], {"filter/inputs/in1": 600}),
        (
            {"device_id": "gw", "module_id": "other", "body": "eyJ0IjogOTl9", "encoding": "base64"},
            ["alarm"],
            {"$upstream#0": None},
        ),
        ({"event": "twinChangeNotifications", "body": {"t": 81}}, [], {}),
    ],
)
def test_a_message_on_the_routes(
    home: Path, capsys: pytest.CaptureFixture[str], message: dict[str, Any], taken: list[str], queues: dict[str, Any]
) -> None:
    """Which take it, and where it then waits; exit 1 where it would be dropped."""
    assert routes("test", "--home", str(home), "--json", "--message", json.dumps(message)) == (0 if taken else 1)
    facts = json.loads(capsys.readouterr().out)
    assert [name for name, takes in facts["routes"].items() if takes] == taken
    assert {one["queue"]: one["time_to_live_secs"] for one in facts["queues"]} == queues
    assert routes("test", "--home", str(home), "--message", json.dumps(message)) == (0 if taken else 1)
    assert ("it is dropped" in capsys.readouterr().out) is not bool(taken)


def test_a_message_from_standard_input(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is none."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"device_id": "leaf1"}')))
    assert routes("test", "--home", str(home), "--message", "-") == 0
    assert "takes it  up" in capsys.readouterr().out
    for wrong in ("{", '{"devic": 1}', '{"event": "x"}', '{"body": 1, "encoding": "hex"}', '{"properties": {"a": 1}}'):
        assert routes("test", "--home", str(home), "--message", wrong) == 3


STORE = {"messages": 3, "most_messages": 10, "bytes": 1_500_000, "most_bytes": 10_000_000, "dropped": {"full": 2}}


def test_what_a_person_reads_of_upstream() -> None:
    """Connected or not, what waits, what is wrong."""
    facts: dict[str, Any] = {
        "configured": True,
        "kind": "mqtt",
        "to": "broker:8883",
        "connected": True,
        "since": "2026-03-01T12:00:00Z",
        "in_flight": 1,
        "forwarded": 9,
        "rate": 0.5,
        "last_error": "upstream refuses",
        "last_error_at": "2026-03-01T11:00:00Z",
        "next_attempt_in": None,
        "waiting": 4,
        "oldest": "2026-03-01T11:30:00Z",
        "queues": [{"priority": 0, "waiting": 4, "oldest": "2026-03-01T11:30:00Z"}],
        "refused": 1,
        "store": STORE,
    }
    assert lines(facts) == [
        "connected to broker:8883 (mqtt) since 2026-03-01T12:00:00Z",
        "last error, 2026-03-01T11:00:00Z: upstream refuses",
        "4 messages wait, the oldest since 2026-03-01T11:30:00Z",
        "  priority 0: 4, the oldest since 2026-03-01T11:30:00Z",
        "1 in flight, 9 forwarded, 0.5 a second of late",
        "1 were refused and are set aside: leafward hub upstream --refused",
        "the store has 3 messages in 1.5 of 10 MB",
        "dropped, full: 2",
    ]
    away = {**facts, "connected": False, "next_attempt_in": 3.0, "last_error": None}
    assert lines(away)[0] == "not connected to broker:8883 (mqtt), next attempt within 3 s"
    assert lines({**facts, "waiting": 1, "oldest": None})[2] == "1 message waits"
    none = {"configured": False, "waiting": 0, "oldest": None, "queues": [], "refused": 0, "store": STORE}
    assert lines(none)[0].startswith("no upstream is set")
