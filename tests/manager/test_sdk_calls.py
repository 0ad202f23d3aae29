"""The Workload API as the unmodified SDKs call it: over the common socket, over the module's own, and over TCP.

Each SDK's own class, in a process of its own, with the environment that the manager gives the module.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from leafward.manager.daemon import Manager
from leafward.manager.module_list import environment
from leafward.manager.trust_bundle import bundle_to_pem
from leafward.store.home import Home

HERE = Path(__file__).parent / "scripts"
LEAF_PYTHON = Path(sys.prefix) / "leaf" / "bin" / "python"
NODE_SDK = Path(__file__).parent.parent / "clients" / "node" / "node_modules" / "azure-iot-device"
MODULE = "modA"
WAYS = {
    "socket": "",
    "own-socket": "[manager]\nmodule_sockets = true\n",
    "other-path": '[manager]\nworkload_uri = "unix://{folder}/there/workload.sock"\n',
    "tcp": '[manager]\nworkload_uri = "http://127.0.0.1:0"\n',
    "tcp6": '[manager]\nworkload_uri = "http://[::1]:0"\n',
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, home: Home, install: Callable[..., Any], tmp_path: Path) -> str:
    """How the modules reach the Workload API: set in the home."""
    install()
    way = str(request.param)
    with home.settings.open("a") as file:
        file.write(WAYS[way].format(folder=tmp_path))
    return way


async def output(environment: dict[str, str], *command: str) -> dict[str, str]:
    process = await asyncio.create_subprocess_exec(
        *command, env={"PATH": os.environ["PATH"], **environment}, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, str] = json.loads(out)
    return found


def expected(manager: Manager, data: bytes) -> str:
    key = manager.standing.modules.get(MODULE).primary_key
    assert key is not None
    return base64.b64encode(hmac.digest(key, data, hashlib.sha256)).decode()


@pytest.mark.skipif(not LEAF_PYTHON.exists(), reason="the leaf device's environment is not there: make install")
async def test_python(home: Home, clock: Any, way: str) -> None:
    async with Manager(home, clock=clock) as manager:
        identity = manager.standing.modules.add(MODULE)
        variables = environment(identity, manager.standing.settings, home)
        own = "-" if way.startswith("tcp") else str(home.management_socket)
        found = await output(variables, str(LEAF_PYTHON), "-W", "ignore", str(HERE / "sdk_workload.py"), own)
        assert found["certificate"] == bundle_to_pem(manager.standing.anchors).decode()
        assert found["signature"] == expected(manager, b"text")


@pytest.mark.skipif(shutil.which("node") is None or not NODE_SDK.exists(), reason="Node's SDK is not there")
async def test_node(home: Home, clock: Any, way: str) -> None:
    async with Manager(home, clock=clock) as manager:
        identity = manager.standing.modules.add(MODULE)
        variables = environment(identity, manager.standing.settings, home)
        own = "-" if way.startswith("tcp") else str(home.management_socket)
        found = await output(variables, "node", str(HERE / "sdk_workload.js"), str(NODE_SDK), own)
        assert found["certificate"] == bundle_to_pem(manager.standing.anchors).decode()
        fields = dict(pair.split("=", 1) for pair in found["token"].removeprefix("SharedAccessSignature ").split("&"))
        assert unquote(fields["sig"]) == expected(manager, f"{fields['sr']}\n{fields['se']}".encode())
