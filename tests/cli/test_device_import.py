"""`leafward device import` and `export`: by the thousand, judged, told, and with a bar where somebody looks."""

import io
import json
from pathlib import Path

import pytest

from leafward.cli.progress import Progress
from tests.edge import leafward
from tests.postgresql import PostgreSql


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_root(tmp_path_factory.mktemp("import") / "home")


def with_root(home: Path) -> Path:
    """As a home is that has been up: the registry is its hub's."""
    (home / "trust").mkdir(parents=True)
    (home / "trust" / "root.pem").touch()
    return home


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    file = tmp_path / "devices.jsonl"
    wanted = [{"device_id": f"pump-{number}"} for number in range(50)]
    file.write_text("\n".join(map(json.dumps, wanted)) + "\n")
    return file


def facts(*arguments: str, home: Path, code: int = 0) -> dict[str, object]:
    done = leafward(*arguments, "--json", home=home)
    assert done.returncode == code, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_judged_put_in_and_out(home: Path, lines: Path, tmp_path: Path) -> None:
    """--dry-run writes nothing; the import does; again everything is taken; out, and into another home, the same."""
    expected = {"added": 50, "replaced": 0, "same": 0, "refused": 0}
    assert facts("device", "import", str(lines), "--dry-run", home=home) == {**expected, "written": False}
    assert facts("device", "import", str(lines), home=home) == {**expected, "written": True}
    again = facts("device", "import", str(lines), home=home, code=1)
    assert (again["refused"], again["added"]) == (50, 0)
    out = tmp_path / "out.jsonl"
    told = facts("device", "export", "--secrets", "--out", str(out), home=home)
    assert told == {"written": 50, "file": str(out)}
    assert out.stat().st_mode & 0o777 == 0o600
    same = facts("device", "import", str(out), "--replace", home=home)
    assert (same["same"], same["refused"]) == (50, 0)


def test_a_line_that_is_wrong(home: Path, tmp_path: Path) -> None:
    """Told by its number, and the others go in; --strict keeps them out; without a bar where nobody looks."""
    file = tmp_path / "some.jsonl"
    file.write_text('{"device_id": "good-1"}\n{"device_id": "a/b"}\n{"device_id": "good-2"}\n')
    done = leafward("device", "import", str(file), "--strict", home=home)
    assert (done.returncode, "line 2:" in done.stderr, "nothing was written" in done.stdout) == (1, True, True)
    assert "\r" not in done.stderr
    assert facts("device", "import", str(file), home=home, code=1)["added"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("/nowhere",), "cannot read /nowhere"), (("-", "--strict"), "reads twice"), (("x", "--shared"), "shared")],
)
def test_what_cannot_be(home: Path, arguments: tuple[str, ...], said: str) -> None:
    done = leafward("device", "import", *arguments, home=home)
    assert done.returncode in (2, 3)
    assert said in done.stderr


def test_the_registry_that_gateways_share(tmp_path: Path, lines: Path, postgresql: PostgreSql) -> None:
    """In PostgreSQL, named by a URL; this gateway's own file is left alone."""
    home = with_root(tmp_path / "home")
    (home / "leafward.toml").write_text(f'[provisioning]\ndatabase = "{postgresql.database()}"\n')
    assert facts("device", "import", str(lines), "--shared", home=home)["added"] == 50
    assert len(leafward("device", "export", "--shared", home=home).stdout.splitlines()) == 50
    assert leafward("device", "export", home=home).stdout == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar() -> None:
    """From nothing to all of it, and gone at the end; without a size only what is done."""
    seen = Terminal()
    with Progress(200, stream=seen) as bar:
        bar.show(100, "50 lines")
        bar.show(200, "99 lines")
    half, whole, cleared = seen.getvalue().split("\r")[1:]
    assert half.startswith("[############............]  50%")
    assert whole.startswith("[########################] 100%")
    assert "99 lines" in whole
    assert cleared == "\x1b[K"
    seen = Terminal()
    with Progress(None, stream=seen) as bar:
        bar.show(100, "50 lines")
    assert "[" not in seen.getvalue().split("\r")[1].removesuffix("\x1b[K")
