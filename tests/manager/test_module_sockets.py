"""One socket a module: made and removed with it, and for its own processes only."""

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from leafward.errors import StoreError
from leafward.manager.daemon import Manager
from leafward.manager.module_sockets import module_socket
from leafward.manager.settings import DaemonSettings
from leafward.manager.unix_socket import make_way
from leafward.store.home import LONGEST_SOCKET_PATH, Home

Start = Callable[[], Awaitable[Any]]
SIGN = {"data": "aGVsbG8="}
SETTINGS = DaemonSettings(module_sockets=True)


@pytest.fixture
async def manager(home: Home, clock: Any, install: Callable[..., Any]) -> AsyncIterator[Manager]:
    install()
    with home.settings.open("a") as file:
        file.write("[manager]\nmodule_sockets = true\n")
    async with Manager(home, clock=clock) as running:
        yield running


def names(home: Home) -> set[str]:
    return {path.name for path in (home.sockets / "mnt").iterdir()}


async def through(program: Any, socket: Path, path: str, body: object = None, method: str = "POST") -> int:
    answer = await program._ask(socket, method, path, body, "2022-08-03")
    return int(answer.status)


async def test_they_come_and_go_with_their_modules(manager: Manager, home: Home, program: Start) -> None:
    operator = await program()
    assert names(home) == {"edgeHub.sock"}
    made = (await operator.management("POST", "/modules", {"name": "modA"})).json
    assert made["environment"]["IOTEDGE_WORKLOADURI"] == f"unix://{module_socket(home, SETTINGS, 'modA')}"
    assert (await operator.management("POST", "/identities", {"moduleId": "modB"})).status == 200
    assert names(home) == {"edgeHub.sock", "modA.sock", "modB.sock"}
    assert (await operator.management("DELETE", "/modules/modA")).status == 204
    assert names(home) == {"edgeHub.sock", "modB.sock"}
    await manager.close()
    assert not (home.sockets / "mnt").exists()


async def test_a_module_that_a_command_registered(manager: Manager, home: Home, program: Start) -> None:
    """The commands write into the registry; whoever attaches finds its socket."""
    manager.standing.modules.add("modA")
    assert "modA.sock" not in names(home)
    await (await program()).attach("modA")
    assert "modA.sock" in names(home)


async def test_modes(manager: Manager, home: Home) -> None:
    folder = home.sockets / "mnt"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o711
    assert stat.S_IMODE((folder / "edgeHub.sock").stat().st_mode) == 0o666


async def test_only_the_modules_own_processes_come_through(manager: Manager, home: Home, program: Start) -> None:
    """modA through its own and the common socket, never through modB's; a stranger through none."""
    for name in ("modA", "modB"):
        manager.standing.modules.add(name)
    module, other, nobody = await (await program()).attach("modA"), await (await program()).attach("modB"), None
    nobody = await program()
    path = f"/modules/modA/genid/{module.generation}/sign"
    mine, others = module_socket(home, SETTINGS, "modA"), module_socket(home, SETTINGS, "modB")
    assert await through(module, mine, path, SIGN) == 200
    assert await through(module, home.workload_socket, path, SIGN) == 200
    assert await through(module, others, path, SIGN) == 403
    assert await through(other, mine, path, SIGN) == 403
    assert await through(other, mine, f"/modules/modB/genid/{other.generation}/sign", SIGN) == 403
    assert await through(nobody, mine, path, SIGN) == 403
    assert await through(nobody, mine, "/trust-bundle", method="GET") == 200


async def test_a_flood_at_one_socket_is_not_met_at_another(manager: Manager, home: Home, program: Start) -> None:
    """Every place of modB's door is taken; modA's own is free."""
    for name in ("modA", "modB"):
        manager.standing.modules.add(name)
    module = await (await program()).attach("modA")
    await (await program()).attach("modB")
    held = [await asyncio.open_unix_connection(module_socket(home, SETTINGS, "modB")) for _ in range(40)]
    assert await through(module, module_socket(home, SETTINGS, "modA"), "/modules", method="GET") == 200
    for _, writer in held:
        writer.close()


def test_names_as_files(tmp_path: Path) -> None:
    """No name leads out of the folder; one that is too long for the kernel has a digest for a name."""
    home = Home(tmp_path / "h")
    folder = home.sockets / "mnt"
    assert module_socket(home, SETTINGS, "$edgeHub") == folder / "edgeHub.sock"
    assert module_socket(home, SETTINGS, "a:b*c") == folder / "a%3Ab%2Ac.sock"
    assert module_socket(home, SETTINGS, "..") == folder / "...sock"
    long = module_socket(home, SETTINGS, "m" * 128)
    assert (long.parent, len(long.name)) == (folder, 21)
    assert len(str(long)) <= LONGEST_SOCKET_PATH


async def test_another_path(home: Home, clock: Any, install: Callable[..., Any], tmp_path: Path) -> None:
    """`workload_uri` names a place that modules of every user reach; the home's own socket is there too."""
    install()
    path = tmp_path / "way" / "workload.sock"
    with home.settings.open("a") as file:
        file.write(f'[manager]\nmodule_sockets = true\nworkload_uri = "unix://{path}"\n')
    async with Manager(home, clock=clock) as manager:
        own = path.parent / "mnt" / "edgeHub.sock"
        for one in (path, own, home.workload_socket):
            reader, writer = await asyncio.open_unix_connection(one)
            writer.write(b"GET /modules?api-version=2018-06-28 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            writer.close()
        assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o666, 0o755)
        assert module_socket(home, manager.standing.settings.manager, "$edgeHub") == own
    assert not path.exists()
    assert not own.parent.exists()


@pytest.mark.parametrize(
    ("mode", "right"), [(0o755, True), (0o700, True), (0o1777, True), (0o777, False), (0o775, False)]
)
def test_a_folder_into_which_others_write(tmp_path: Path, mode: int, right: bool) -> None:
    """They could take the socket away and listen there themselves; in a sticky one they cannot."""
    folder = tmp_path / "way"
    folder.mkdir()
    folder.chmod(mode)
    if right:
        make_way(folder / "s")
        return
    with pytest.raises(StoreError, match="cannot hold a socket"):
        make_way(folder / "s")
