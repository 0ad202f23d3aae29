"""The guides are stories that hold: every command in them is run, in order, and says what the guide shows.

In ```console blocks a line with `$` is a command, what follows is what it says: each of these lines has to be among its
output, `…` standing for anything; `(exit code N)` is how it ends. `<!-- console` blocks are run and not shown. The home
and the gateway's name are replaced by the test's own; `leafward up` runs until `$ stop`.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.edge import LEAF_PYTHON, Edge, StartEdge, free_address, leafward

GUIDES = sorted((Path(__file__).parents[2] / "docs" / "guides").glob("*.md"))
HOME, GATEWAY = "/var/lib/leafward", "gateway.local"
EXIT = re.compile(r"\(exit code (\d+)\)")
BLOCKS = re.compile(r"^(?:```console\n(.*?)^```|<!-- console\n(.*?)^-->)", re.DOTALL | re.MULTILINE)
TOOLS = ("openssl", "mosquitto_pub", "curl")


@dataclass
class Step:
    """A command of a guide, and the lines that it has to say."""

    command: str
    expected: list[str] = field(default_factory=list)
    code: int = 0


def steps(text: str) -> list[Step]:
    found: list[Step] = []
    for shown, hidden in BLOCKS.findall(text):
        for line in (shown or hidden).splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:]))
            elif match := EXIT.fullmatch(line):
                found[-1].code = int(match[1])
            elif line.strip():
                found[-1].expected.append(line)
    return found


class Story:
    """Runs the steps of one guide in a folder and a home of its own."""

    def __init__(self, folder: Path, start_edge: StartEdge) -> None:
        self._folder = folder
        self._start = start_edge
        self._home = folder / "home"
        self._address = free_address()
        self._edge: Edge | None = None
        self._environment = {
            **os.environ,
            "LEAFWARD_HOME": str(self._home),
            "HOME": str(folder),
            "PATH": f"{LEAF_PYTHON.parent}:{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}",
        }

    def run(self, step: Step) -> None:
        command = self._placed(step.command)
        code, said = self._run(command)
        assert code == step.code, f"{command}: {said}"
        for line in step.expected:
            shown = ".*".join(re.escape(part) for part in self._placed(line).strip().split("…"))
            assert re.search(f"^\\s*{shown}\\s*$", said, re.MULTILINE), f"{command}: no {line!r} in:\n{said}"

    def _placed(self, text: str) -> str:
        return text.replace(HOME, str(self._home)).replace(GATEWAY, self._address)

    def _run(self, command: str) -> tuple[int, str]:
        words = shlex.split(command)
        if words[0] == "export":
            return 0, ""
        if words == ["stop"]:
            assert self._edge is not None
            return self._edge.stop(), ""
        if words[:2] == ["leafward", "up"]:
            self._edge = self._start(self._home, *words[2:], address=self._address)
            return 0, "\n".join(self._edge.said)
        if words[0] != "leafward":
            return self._shell(command)
        # What a command of ours says goes on to a shell from here: a start of Python's less for each.
        ours, sign, rest = [*re.split(r" ([|>]) ", command, maxsplit=1), "", ""][:3]
        done = leafward(*shlex.split(ours)[1:], home=self._home, cwd=self._folder)
        if not sign or done.returncode != 0:
            return done.returncode, done.stdout + done.stderr
        return self._shell(rest if sign == "|" else f"cat > {rest}", done.stdout)

    def _shell(self, command: str, given: str = "") -> tuple[int, str]:
        done = subprocess.run(
            ["sh", "-c", command], cwd=self._folder, env=self._environment, input=given, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(any(shutil.which(tool) is None for tool in TOOLS), reason=f"needs {', '.join(TOOLS)}")
@pytest.mark.skipif(not LEAF_PYTHON.exists(), reason="the leaf device's environment is not there: make install")
@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_every_command_of_a_guide(guide: Path, tmp_path: Path, start_edge: StartEdge) -> None:
    found = steps(guide.read_text())
    assert len(found) > 8
    story = Story(tmp_path, start_edge)
    for step in found:
        story.run(step)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_links_of_a_guide_lead_somewhere(guide: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+\.md)", guide.read_text()):
        assert (guide.parent / link).is_file(), link
