"""`leafward hub policy`: list, create, show, rotate, delete, against a running hub."""

import asyncio
import json
from typing import Any

import pytest

from leafward.cli.main import run
from tests.hub.conftest import RunningHub
from tests.hub.hub_clients import HOST

# Nothing here depends on the loop.
pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

Capture = pytest.CaptureFixture[str]


async def policy(hub: RunningHub, *arguments: str) -> int:
    return await asyncio.to_thread(run, ["hub", "policy", *arguments, "--home", str(hub.home.root)])


async def facts(hub: RunningHub, capsys: Capture, *arguments: str) -> Any:
    assert await policy(hub, *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


async def test_from_the_first_to_the_last(hub: RunningHub, capsys: Capture) -> None:
    """None; one; its keys anew one by one; none."""
    assert await policy(hub, "list") == 0
    assert "leafward hub policy create" in capsys.readouterr().err
    assert await policy(hub, "create", "service") == 0
    text = capsys.readouterr().out.strip()
    assert text.startswith(f"HostName={HOST};SharedAccessKeyName=service;SharedAccessKey=")
    assert await policy(hub, "list") == 0
    assert "service  ServiceConnect  since" in capsys.readouterr().out
    first = await facts(hub, capsys, "show", "service")
    assert first["primary_connection_string"] == text
    assert await policy(hub, "rotate", "service", "--secondary") == 0
    assert capsys.readouterr().out.strip() != first["secondary_connection_string"]
    second = await facts(hub, capsys, "rotate", "service", "--yes")
    assert second["primary_key"] != first["primary_key"]
    assert second["secondary_key"] != first["secondary_key"]
    assert await policy(hub, "show", "service", "--secondary") == 0
    assert capsys.readouterr().out.strip() == second["secondary_connection_string"]
    assert await facts(hub, capsys, "delete", "service", "--yes") == {"deleted": "service"}
    assert await facts(hub, capsys, "list") == {"policies": []}


async def test_dry_runs_change_nothing(hub: RunningHub, capsys: Capture) -> None:
    made = await facts(hub, capsys, "create", "service", "--permission", "RegistryRead")
    assert made["permissions"] == ["RegistryRead"]
    assert await policy(hub, "rotate", "service", "--dry-run") == 0
    assert await policy(hub, "delete", "service", "--dry-run") == 0
    assert capsys.readouterr().out == "would change the primary key of service\nwould delete the policy service\n"
    assert await facts(hub, capsys, "show", "service") == made


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("create", "a/b"), 2),
        (("create", "a", "--permission", "Everything"), 2),
        (("show", "nobody"), 3),
        (("rotate", "nobody", "--secondary"), 3),
        (("delete", "nobody", "--yes"), 3),
        (("delete", "nobody", "--dry-run"), 3),
    ],
)
async def test_what_cannot_be(hub: RunningHub, arguments: tuple[str, ...], code: int) -> None:
    assert await policy(hub, *arguments) == code


async def test_a_name_that_is_taken(hub: RunningHub, capsys: Capture) -> None:
    """Its keys stay as they were."""
    made = await facts(hub, capsys, "create", "service")
    assert await policy(hub, "create", "service") == 3
    assert await facts(hub, capsys, "show", "service") == made
