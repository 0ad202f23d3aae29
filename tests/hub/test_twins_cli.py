"""`leafward device twin` and `leafward module twin` against a running hub: through its socket, without a credential."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from leafward.cli import main
from leafward.wire.twins import Twin
from tests.hub.conftest import RunningHub
from tests.hub.twin_clients import device


async def run(hub: RunningHub, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of a command on the hub's home."""
    code = await asyncio.to_thread(main.run, [*arguments, "--home", str(hub.home.root)])
    return code, *capsys.readouterr()


async def test_set_and_show(hub: RunningHub, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The device that is here is told what the command changes."""
    pump = await device(hub, "pump")
    await pump.report({"on": True})
    done = await run(hub, capsys, "device", "twin", "set", "pump", "--desired", '{"interval": 5}', "--tags", '{"l": 3}')
    assert done == (0, "desired properties in version 2, ETag 2\n", "")
    assert await pump.push() == (2, {"interval": 5, "$version": 2})
    _, text, _ = await run(hub, capsys, "device", "twin", "show", "pump")
    assert text.splitlines()[:2] == ["pump  enabled, connected, ETag 2", 'tags      {"l": 3}']
    assert '  "interval": 5' in text
    _, text, _ = await run(hub, capsys, "device", "twin", "show", "pump", "--json")
    assert json.loads(text)["properties"]["reported"]["on"] is True
    (tmp_path / "desired.json").write_text('{"interval": null}')
    code, text, _ = await run(
        hub, capsys, "device", "twin", "set", "pump", "--file", str(tmp_path / "desired.json"), "--json"
    )
    assert (code, json.loads(text)["tags"]) == (0, {"l": 3})
    assert await pump.push() == (3, {"interval": None, "$version": 3})


async def test_replace_leaves_what_is_not_given(hub: RunningHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.add("pump")
    own = ("device", "twin", "set", "pump")
    await run(hub, capsys, *own, "--desired", '{"a": 1, "b": 2}', "--tags", '{"line": 3}')
    code, text, _ = await run(hub, capsys, *own, "--desired", '{"a": 9}', "--replace", "--dry-run", "--json")
    assert (code, json.loads(text)) == (0, {"desired": {"a": 9, "b": None}})
    code, text, _ = await run(hub, capsys, *own, "--desired", '{"a": 9}', "--replace", "--yes", "--json")
    twin = json.loads(text)
    assert (code, twin["tags"], twin["properties"]["desired"]["a"]) == (0, {"line": 3}, 9)
    assert "b" not in twin["properties"]["desired"]


async def test_a_change_of_what_has_changed_is_refused(hub: RunningHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.add("pump")
    own = ("device", "twin", "set", "pump", "--desired", '{"a": 1}')
    assert (await run(hub, capsys, *own, "--if-match", "1"))[0] == 0
    code, _, text = await run(hub, capsys, *own, "--if-match", "1")
    assert code == 3
    assert "has changed meanwhile: its ETag is 2" in text


async def test_modules(hub: RunningHub, capsys: pytest.CaptureFixture[str]) -> None:
    """`module twin NAME` is of this edge's; `device twin ID --module NAME` of any device's."""
    hub.add("edge-device", "filter")
    assert (await run(hub, capsys, "module", "twin", "set", "filter", "--desired", '{"a": 1}'))[0] == 0
    _, text, _ = await run(hub, capsys, "device", "twin", "show", "edge-device", "--module", "filter", "--json")
    twin: dict[str, Any] = json.loads(text)
    assert (twin["moduleId"], twin["properties"]["desired"]["$version"]) == ("filter", 2)


REFUSED = [
    (("show", "nobody"), 3, "the twin of nobody cannot be read: nobody is not registered (404001)"),
    (("set", "pump"), 2, "nothing to change"),
    (("set", "pump", "--desired", "{"), 2, "is not JSON"),
    (("set", "pump", "--desired", '{"a.b": 1}'), 2, "is no key of a twin"),
    (("set", "pump", "--desired", "{}", "--file", "f"), 2, "are the same"),
    (("set", "pump", "--file", "none.json"), 3, "cannot read none.json"),
    (("set", "pump", "--tags", "{}", "--if-match", "x"), 3, "the ETag is none of ours"),
]


async def test_refused(hub: RunningHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.add("pump")
    for arguments, code, words in REFUSED:
        found, _, text = await run(hub, capsys, "device", "twin", *arguments)
        assert (found, words in text) == (code, True), (arguments, text)


async def test_watch_shows_each_change(
    hub: RunningHub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is reported now, then what changes of it."""
    pump = await device(hub, "pump")
    await pump.report({"on": True, "speed": 1})
    loop, looks = asyncio.get_running_loop(), iter([{"speed": 2}, {"on": None}])

    def between(_seconds: float) -> None:
        change = next(looks, None)
        if change is None:
            raise KeyboardInterrupt
        asyncio.run_coroutine_threadsafe(pump.report(change), loop).result(10)

    monkeypatch.setattr("leafward.cli.twin_commands.time.sleep", between)
    code, text, _ = await run(hub, capsys, "device", "twin", "watch", "pump")
    assert [json.loads(line) for line in text.splitlines()] == [
        {"on": True, "speed": 1, "$version": 2},
        {"speed": 2, "$version": 3},
        {"on": None, "$version": 4},
    ]
    assert code == main.STOPPED


def test_a_device_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from leafward.cli.twin_commands import _say

    twin = Twin().for_service("pump", None) | {"status": "enabled", "connectionState": "Connected"}
    twin["properties"]["reported"]["bad"] = "\x1b[2J"
    _say(twin)
    assert "\x1b" not in capsys.readouterr().out
