"""`leafward hub failures`: the list as a person reads it, with a hub and without one."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from leafward.cli.commands.hub.failures import lines
from leafward.hub.failures import Failure, Failures
from leafward.hub.failures_file import FailuresFile
from leafward.hub.failures_findings import _HANDSHAKES
from leafward.hub.failures_service import report
from leafward.hub.metrics import HubMetrics
from leafward.store.home import Home
from tests.edge import leafward

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """One whose hub has stopped: two devices could not connect."""
    home = Home(tmp_path / "home")
    home.hub.mkdir(parents=True)
    failures = Failures(HubMetrics(), NOW)
    failures.note(
        Failure(
            "handshake",
            "192.0.2.7",
            "gw.local",
            "unknown_ca",
            "root-not-trusted",
            NOW,
            NOW,
            count=12,
            alternatives=("root-same-name-different-key",),
            evidence={"alert": "unknown_ca", "sent_by": "client"},
        )
    )
    later = NOW.replace(hour=13)
    failures.note(
        Failure("login", "192.0.2.8", "pump-8", "sas-expired", "sas-expired", later, later, evidence={"why": "late"})
    )
    asyncio.run(FailuresFile(home.hub / "failures.json", failures).save())
    return home


def run(home: Home, *arguments: str) -> Any:
    return leafward("hub", "failures", *arguments, home=home.root)


def test_what_a_stopped_hub_knew(home: Home) -> None:
    """Told as such; the latest first, each with who mends it and how."""
    done = run(home)
    assert done.returncode == 0, done.stderr
    assert "no hub is running" in done.stderr
    assert done.stdout.splitlines() == [
        "2 kinds of failure since 2026-07-01T12:00:00, the latest first",
        "",
        "sas-expired  pump-8 at 192.0.2.8  once, last 2026-07-01T13:00:00",
        "  the token has expired: late",
        "  leaf: Make a new token; where it is new, set the clock of the leaf device: it is behind",
        "",
        "root-not-trusted  192.0.2.7 for gw.local  12 times since 2026-07-01T12:00:00, last 2026-07-01T12:00:00",
        "  the leaf device does not trust the root of the chain it is shown: the client said unknown_ca",
        f"  leaf: {_HANDSHAKES['root-not-trusted'].fix}",
        "  or it is root-same-name-different-key",
    ]


def test_as_json(home: Home) -> None:
    """The doctor's findings, with their facts."""
    found = json.loads(run(home, "--json").stdout)
    assert [line["code"] for line in found["failures"]] == ["sas-expired", "root-not-trusted"]
    assert found["failures"][1]["evidence"]["sent_by"] == "client"
    assert found["diagnosis"]["chain"] is None


def test_a_home_where_no_hub_ever_ran(tmp_path: Path) -> None:
    done = run(Home(tmp_path / "none"))
    assert done.returncode == 3
    assert f"the hub does not answer: {tmp_path}/none/run/hub.sock: No such file or directory" in done.stderr


def test_one_is_one() -> None:
    """Not "1 kinds"."""
    once = Failure("login", "192.0.2.8", "pump-8", "sas-expired", "sas-expired", NOW, NOW, evidence={"why": "late"})
    assert lines(report([once], NOW))[0].startswith("1 kind of failure since ")


def test_clearing_needs_a_hub_and_a_yes(home: Home) -> None:
    """A dry run shows; without --yes it asks; without a hub there is nobody to forget."""
    assert "2 kinds of failure" in run(home, "--clear", "--dry-run").stdout
    asked = run(home, "--clear")
    assert asked.returncode == 1
    assert "Forget 2 kinds of failure?" in asked.stderr
    done = run(home, "--clear", "--yes")
    assert done.returncode == 3
    assert run(home, "--dry-run").returncode == 2
    assert len(json.loads(run(home, "--json").stdout)["failures"]) == 2
