"""Faults of a leafward.toml: each with its line, what was expected, what was got where that is no secret."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from leafward.errors import Fault, SettingsError
from leafward.store.settings_file import Table, checked, parse_tables, read_tables


class Inner(Table):
    hostname: str = ""
    port: Annotated[int, Field(ge=1, strict=True)] = 1
    password: str = ""
    quiet: str = Field(default="", repr=False)
    routes: dict[str, "Inner"] = Field(default_factory=dict)
    set_by_programs: str = Field(default="", exclude=True)


class File(Table):
    device: Inner = Field(default_factory=Inner)
    hub: Inner | None = None


def faults(tmp_path: Path, text: str) -> list[Fault]:
    path = tmp_path / "leafward.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        checked(File, read_tables(path), path)
    assert len(caught.value.faults) == text.count("!"), caught.value
    for fault in caught.value.faults:
        assert fault.file == str(path)
        assert fault.sentence in str(caught.value)
    return list(caught.value.faults)


def test_all_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """
        [device]
        port = 0                # !
        hostname = 7            # !
        [hub]
        prt = 3                 # !
        [hub.routes.one]
        port = "x"              # !
        [hob]                   # !
    """
    found = faults(tmp_path, text)
    assert [(fault.line, fault.key) for fault in found] == [
        (3, "device.port"),
        (4, "device.hostname"),
        (6, "hub.prt"),
        (8, "hub.routes.one.port"),
        (9, "hob"),
    ]
    assert [fault.nearest for fault in found] == [None, None, "port", None, "hub"]
    assert [fault.got for fault in found] == ["0", "7", None, "'x'", None]
    assert found[0].expected == "greater than or equal to 1"
    assert found[1].message == "got 7, expected text in quotes"


def test_a_key_of_another_table_is_named_with_it(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "port = 7  # !\n")
    assert fault.nearest == "device.port"
    assert "did you mean 'device.port'?" in fault.message


@pytest.mark.parametrize("key", ["password", "quiet"])
def test_what_may_be_a_secret_is_not_told(tmp_path: Path, key: str) -> None:
    (fault,) = faults(tmp_path, f"[device]\n{key} = ['4711']  # !\n")
    assert "4711" not in f"{fault!r}"
    assert fault.expected == "text in quotes"


def test_the_value_of_an_unknown_key_is_not_told(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "[device]\npasswrd = '4711'  # !\n")
    assert "4711" not in f"{fault!r}"
    assert fault.nearest == "password"


def test_what_only_programs_set_is_no_known_key(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "[device]\nset_by = '1'  # !\n")
    assert "set_by_programs" not in f"{fault!r}"


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"a = 1\nb = \n", 2), (b"a = 1\na = 1\n", 2), (b"a = \xff", None), (b"a = " + b"[" * 5000, None)],
)
def test_what_is_no_toml_has_one_fault(tmp_path: Path, text: bytes, line: int | None) -> None:
    path = tmp_path / "leafward.toml"
    path.write_bytes(text)
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        read_tables(path)
    (fault,) = caught.value.faults
    assert fault.line == line
    assert fault.expected == "TOML in UTF-8"


def test_an_editor_may_write_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "leafward.toml"
    path.write_bytes(b"\xef\xbb\xbf[device]\nprt = 1\n")
    with pytest.raises(SettingsError) as caught:
        checked(File, read_tables(path), path)
    assert caught.value.faults[0].line == 2


def test_tables_that_come_from_no_file_have_no_lines(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        checked(File, parse_tables("[device]\nprt = 1\n", tmp_path / "none.toml"), tmp_path / "none.toml")
    assert caught.value.faults[0].line is None
    assert str(caught.value.faults[0]) == f"{tmp_path}/none.toml: device.prt: not known, did you mean 'port'?"
