"""The tutorial of docs/certgen.md, command by command: an edge on certgen's files, and a leaf device of certgen's.

root -> intermediate -> device CA -> workload CA -> hub server       root -> intermediate -> pump-7
"""

import os
import re
import subprocess
from pathlib import Path

from tests.edge import LEAFWARD, StartEdge, free_address

PAGE = Path(__file__).parents[2] / "docs" / "certgen.md"
MOST_COMMANDS = 10


def tutorial(address: str) -> list[str]:
    """The commands of the page, for a gateway at an address of our own, and with keys that cost a test little."""
    found = re.search(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    text = found.group(1).replace("localhost", address)
    commands = re.findall(r"(?:^.*<<END\n(?:.*\n)*?END$)|(?:^.+$)", text, re.MULTILINE)
    return [re.sub(r"(certgen create_\w+)", r"\1 --key ec-p256", command) for command in commands]


def run(command: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{LEAFWARD.parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def test_a_transparent_gateway_in_ten_commands(start_edge: StartEdge, tmp_path: Path) -> None:
    """What the leaf device sent with certgen's certificate is among the messages, and the chain is certgen's."""
    address = free_address()
    commands = tutorial(address)
    assert len(commands) <= MOST_COMMANDS
    before, after = commands[: (at := _place_of(commands))], commands[at + 1 :]
    for command in before:
        run(command, tmp_path)
    edge = start_edge(tmp_path / "edge", "--https-port", "0", address=address)
    names = [line for line in edge.said if " CA " in line or "hub server" in line]
    assert len(names) == 5
    assert "Azure_IoT_Hub_CA_Cert_Test_Only" in names[0]
    assert "gateway.ca" in names[2]
    said = [run(command, tmp_path) for command in after]
    assert "pump-7" in said[-1]
    assert "21" in said[-1]


def _place_of(commands: list[str]) -> int:
    return next(place for place, command in enumerate(commands) if command.startswith("leafward up"))
