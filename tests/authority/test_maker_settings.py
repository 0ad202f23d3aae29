"""`[maker]`: where the authority's database is."""

from pathlib import Path

import pytest

from leafward.authority.settings import read_maker
from leafward.errors import SettingsError


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return tmp_path / "leafward.toml"


def test_the_defaults(settings: Path) -> None:
    assert read_maker(settings).database is None
    settings.write_text('[device]\nhostname = "gateway.test"\n')
    assert read_maker(settings).database is None


@pytest.mark.parametrize("url", ["postgresql://station@host/maker", "postgresql+psycopg://host/maker"])
def test_a_server(settings: Path, url: str) -> None:
    settings.write_text(f'[maker]\ndatabase = "{url}"\n')
    assert read_maker(settings).database == url
    assert url not in repr(read_maker(settings))


@pytest.mark.parametrize("wrong", ['"mysql://u:secret@host/x"', '"secret"', "7"])
def test_what_is_no_server_is_refused_without_being_repeated(settings: Path, wrong: str) -> None:
    settings.write_text(f"[maker]\ndatabase = {wrong}\n")
    with pytest.raises(SettingsError, match=r"maker\.database") as refused:
        read_maker(settings)
    assert "secret" not in str(refused.value)


def test_a_misspelt_key_is_refused(settings: Path) -> None:
    settings.write_text('[maker]\ndatabse = "postgresql://host/maker"\n')
    with pytest.raises(SettingsError, match="did you mean 'database'"):
        read_maker(settings)
