"""The registry by the thousand: in one transaction, with what became of each; out in pages. SQLite and PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leafward.errors import InputError, NameFormatError
from leafward.provisioning.device_import import DeviceImport
from leafward.provisioning.device_lines import read_line, write_line
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from leafward.store.registry_bulk import pages, put_many
from tests.postgresql import PostgreSql

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    where: str | Path = tmp_path / "registry.db"
    if request.param == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql")
        where = server.database()
    with Registry.open(where) as opened:
        yield opened


def device(name: str, module: str | None = None, **options: object) -> Identity:
    values: dict[str, object] = {"primary_key": b"1" * 32, "secondary_key": b"2" * 32, **options}
    keys = (values["primary_key"], values["secondary_key"], None, None)
    return Identity(name, module, "sas", True, "g", *keys, NOW)  # type: ignore[arg-type]


def test_put_and_read(registry: Registry) -> None:
    """More than one page, more than one COPY; devices before their modules."""
    wanted = [device(f"pump-{number:04d}") for number in range(300)] + [device("pump-0007", "filter")]
    assert put_many(registry, wanted) == ["added"] * 301
    found = [identity for page in pages(registry, size=100) for identity in page]
    assert sorted(found, key=lambda one: one.label) == sorted(wanted, key=lambda one: one.label)
    assert [one.label for one in found[6:10]] == ["pump-0006", "pump-0007", "pump-0007/filter", "pump-0008"]
    assert registry.get("pump-0299") == wanted[299]


def test_what_is_taken(registry: Registry) -> None:
    """There before, twice in the batch, or differing by case only, with modules too; the rest goes in."""
    put_many(registry, [device("a"), device("edge", "Filter")])
    wanted = [device("a"), device("b"), device("b"), device("A"), device("C"), device("c"), device("edge", "filter")]
    assert put_many(registry, wanted) == ["taken", "added", "taken", "taken", "added", "taken", "taken"]
    assert registry.count() == (3, 1)


def test_replaced_and_same(registry: Registry) -> None:
    """As the merge says; what is the same is not written."""
    put_many(registry, [device("a"), device("b")])
    changed = replace(device("a"), primary_key=b"3" * 32)
    assert put_many(registry, [changed, device("b")], lambda _present, new: new) == ["replaced", "same"]
    assert registry.get("a") == changed


def test_all_or_nothing(registry: Registry) -> None:
    """One id that is none: not even the first goes in."""
    bad = device("b")
    object.__setattr__(bad, "device_id", "b/c")
    with pytest.raises(NameFormatError):
        put_many(registry, [device("a"), bad])
    assert registry.count() == (0, 0)


def test_lines_there_and_back() -> None:
    """Every kind; without secrets no key, and an import then makes new ones."""
    kinds = [
        device("a"),
        device("edge", "filter"),
        Identity("b", None, "x509-thumbprint", False, "g", None, None, "ab" * 32, "cd" * 20, NOW, parent="line-3"),
        Identity("c", None, "x509-ca", True, "g", None, None, None, None, NOW),
    ]
    for one in kinds:
        assert read_line(write_line(one, secrets_too=True).encode(), NOW) == one
    line = write_line(kinds[0], secrets_too=False)
    assert "key" not in line
    again = read_line(line.encode(), NOW)
    assert again.primary_key not in (None, kinds[0].primary_key)


@pytest.mark.parametrize(
    "line",
    [b"x", b"[]", b"{}", b'{"device_id":7}', b'{"device_id":"a","auth":"magic"}', b'{"device_id":"a","colour":1}',
     b'{"device_id":"a","primary_key":"AAAA"}', b'{"device_id":"a","enabled":"yes"}',
     b'{"device_id":"a","created":"x"}', b'{"device_id":"a/b"}', b'{"device_id":"a","module_id":"b/c"}',
     b'{"device_id":"a","auth":"x509-thumbprint"}', b'{"device_id":"a","parent":"A"}', b'{"device_id":"' + b"a" * 9000],
)  # fmt: skip
def test_lines_that_are_none(line: bytes) -> None:
    with pytest.raises(InputError):
        read_line(line, NOW)


def test_an_import(registry: Registry) -> None:
    """Wrong and taken lines are told by number and left out; a dry run says the same and writes nothing."""
    registry.add(device("b"))
    lines = [
        b'{"device_id":"a"}\n',
        b"\n",
        b"oops\n",
        b'{"device_id":"b"}\n',
        b'{"device_id":"A"}\n',
        b'{"device_id":"c"}',
    ]
    for dry in (True, False):
        told: list[int] = []
        run = DeviceImport(registry, NOW, refuse=lambda number, _why: told.append(number))  # noqa: B023
        counts = run.run(lines, dry=dry)
        assert (counts.added, counts.refused, sorted(told)) == (2, 3, [3, 4, 5])
        assert registry.count() == ((1, 0) if dry else (3, 0))
    counts = DeviceImport(registry, NOW, refuse=lambda *_: None, replacing=True).run([lines[0]])
    assert (counts.replaced, counts.refused) == (1, 0)
