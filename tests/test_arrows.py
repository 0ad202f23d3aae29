"""The arrows of the house run one way, and the one that tells so can say no."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).parent.parent / "tools" / "arrows.py"


@pytest.fixture
def arrows() -> ModuleType:
    spec = importlib.util.spec_from_file_location("arrows", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["arrows"] = module
    spec.loader.exec_module(module)
    return module


def test_all_arrows_run_one_way(arrows: ModuleType) -> None:
    assert list(arrows.wrong_arrows()) == []


@pytest.mark.parametrize(
    ("room", "line", "complaint"),
    [
        ("store/slots.py", "from leafward.keys.files import FileKeyStore", "store must not import keys"),
        ("hub/broker.py", "import leafward.manager.daemon", "hub must not import manager"),
        ("pki/chain.py", "import time", "pki is pure and must not import time"),
        ("wire/sas.py", "from leafward import disk", "wire must not import disk"),
    ],
)
def test_a_wrong_arrow_is_named(
    arrows: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: str, line: str, complaint: str
) -> None:
    file = tmp_path / "leafward" / room
    file.parent.mkdir(parents=True)
    file.write_text(f"{line}\n")
    monkeypatch.setattr(arrows, "SOURCE", tmp_path)
    monkeypatch.setattr(arrows, "PACKAGE", tmp_path / "leafward")
    assert [complaint in wrong for wrong in arrows.wrong_arrows()] == [True]
