"""Enrolments, CAs and registrations in their database: one contract for SQLite and PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from leafward.errors import AlreadyExists, Damaged, InputError, NotFound
from leafward.store.database import open_database
from leafward.store.enrolments import (
    Attestation,
    CaReferences,
    Certificates,
    Challenge,
    EndorsementKey,
    Enrolment,
    EnrolmentBook,
    Registration,
    RegistrationBook,
    Stale,
    SymmetricKeys,
    schema,
)
from leafward.store.registry import Registry
from tests.hub.hub_certificates import make
from tests.postgresql import PostgreSql

NOW = datetime(2026, 7, 1, 12, 30, 15, 250_000, tzinfo=UTC)
KEYS = SymmetricKeys(b"1" * 32, b"2" * 64)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    where: str | Path = tmp_path / "registry.db"
    if request.param == "postgresql":
        server: PostgreSql = request.getfixturevalue("postgresql")
        where = server.database()
    opened = open_database(where, schema.metadata, name=schema.NAME)
    yield opened
    opened.dispose()


def enrolment(
    name: str = "pump-7", attestation: Attestation = KEYS, *, group: bool = False, **options: object
) -> Enrolment:
    return Enrolment(name, group, attestation, NOW, NOW, "1", **options)  # type: ignore[arg-type]


def registration(name: str = "pump-7", **options: object) -> Registration:
    made = Registration(name, name, "gw", f"5.{name}", "e", "sas", "g1", NOW, NOW, primary_key=b"k" * 32)
    return replace(made, **options)  # type: ignore[arg-type]


def test_there_and_back(engine: sa.Engine) -> None:
    """Every kind of attestation, and every field; ids in any case."""
    ca, leaf = make("CA", ca=True).leaf, make("pump-7", client=True).leaf
    book = EnrolmentBook(engine)
    made = [
        enrolment("Pump-7", Certificates(leaf), device_id="north", initial_twin='{"tags":{}}', edge=True),
        enrolment("pump-8", EndorsementKey(b"ek", b"srk"), enabled=False),
        enrolment("pump-9", hubs=("a.test", "b.test"), allocation="static", reprovision="reset"),
        enrolment("line", Certificates(ca, ca), group=True, allocation="geoLatency", reprovision="never"),
        enrolment("pump-7", KEYS, group=True),
    ]
    for one in made:
        book.add(one)
    assert [book.get(one.id.upper(), group=one.group) for one in made] == made
    assert book.count() == (3, 2)
    assert [one.id for one in book.all(group=False)] == ["Pump-7", "pump-8", "pump-9"]
    assert [one.id for one in book.page(group=False, after="PUMP-7", limit=1)] == ["pump-8"]


def test_versions(engine: sa.Engine) -> None:
    """A change names what it changes; one in use, unknown or changed meanwhile is refused and nothing is changed."""
    book = EnrolmentBook(engine)
    book.add(enrolment())
    with pytest.raises(AlreadyExists):
        book.add(enrolment("PUMP-7"))
    newer = replace(enrolment(), etag="2", enabled=False)
    with pytest.raises(Stale):
        book.replace(newer, etag="0")
    book.replace(newer, etag="1")
    assert book.get("pump-7", group=False) == newer
    assert book.set_enabled("pump-7", group=False, enabled=True, etag="3", now=NOW).enabled
    with pytest.raises(Stale):
        book.remove("pump-7", group=False, etag="2")
    book.remove("pump-7", group=False, etag="3")
    for action in (lambda: book.get("pump-7", group=False), lambda: book.remove("pump-7", group=False)):
        with pytest.raises(NotFound):
            action()
    assert book.find("pump-7", group=True) is None


def test_the_revision(engine: sa.Engine) -> None:
    """Another number after each change of a group; individual enrolments, which may be a million, do not count."""
    book = EnrolmentBook(engine)
    seen = [book.revision()]
    book.add(enrolment())
    assert book.revision() == seen[0]
    book.add(enrolment("line", group=True))
    seen.append(book.revision())
    book.remove("line", group=True)
    seen.append(book.revision())
    assert len(set(seen)) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "pump 7"},
        {"name": "pump."},
        {"group": True, "device_id": "north"},
        {"group": True, "attestation": EndorsementKey(b"ek")},
        {"attestation": CaReferences("root")},
        {"allocation": "custom"},
        {"reprovision": "perhaps"},
        {"hubs": ("a b",)},
        {"hubs": ("a", "a")},
        {"initial_twin": "x" * 70_000},
    ],
)
def test_what_is_no_enrolment(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        enrolment(**wrong)  # type: ignore[arg-type]


def test_a_damaged_row(engine: sa.Engine) -> None:
    """Named; the others are read."""
    book = EnrolmentBook(engine)
    book.add(enrolment())
    with engine.begin() as connection:
        connection.execute(sa.update(schema.enrolments).values(primary_body=b"x"))
    with pytest.raises(Damaged, match="'pump-7' is damaged"):
        book.get("pump-7", group=False)


def test_registrations_are_numbered(engine: sa.Engine) -> None:
    """Each change gets the next number; a hub asks for what concerns it since the last."""
    book = RegistrationBook(engine)
    first = book.write(["a", "b"], lambda _present: [registration("a"), registration("b", hub="other")])
    assert [row.changed for row in first] == [1, 2]

    def moved(present: object) -> list[Registration]:
        assert present == {"a": first[0]}
        return [registration("a", hub="other", previous_hub="gw", payload='{"x":1}', challenge=b"c")]

    (row,) = book.write(["a"], moved)
    assert book.find("A") == row
    assert [one.changed for one in book.changed_for("gw", 0)] == [3]
    assert [one.changed for one in book.changed_for("other", 2)] == [3]
    assert book.changed_for("gw", 3) == []
    assert book.count() == 2


def test_the_end_of_another_operation(engine: sa.Engine) -> None:
    """A newer operation has begun meanwhile: the end of the older one does not end it."""
    book = RegistrationBook(engine)
    (old,) = book.write(["a"], lambda _present: [registration("a")])
    book.write(["a"], lambda _present: [replace(old, operation="5.newer")])
    book.finish([replace(old, status="assigned")])
    assert [row.operation for row in book.unfinished("gw")] == ["5.newer"]
    book.finish([replace(old, operation="5.newer", status="failed", error_code=409202, error_message="taken")])
    found = book.find("a")
    assert found is not None
    assert (found.status, found.error_code) == ("failed", 409202)


def test_what_an_enrolment_admitted(engine: sa.Engine) -> None:
    """By id, in pages; twins that are due; forgotten by its version."""
    book = RegistrationBook(engine)
    rows = [registration(name, enrolment="Line", grouped=True, twin="{}") for name in ("a", "b", "c")]
    book.write([], lambda _present: rows)
    assert [row.registration_id for row in book.of_enrolment("LINE", group=True, after="a")] == ["b", "c"]
    assert book.of_enrolment("line", group=False) == []
    assert len(book.twins_due("gw")) == 3
    book.twin_given(rows[0])
    assert len(book.twins_due("gw")) == 2
    with pytest.raises(Stale):
        book.remove("a", etag="other")
    book.remove("A", etag="e")
    with pytest.raises(NotFound):
        book.remove("a")


def test_challenges_end(engine: sa.Engine) -> None:
    """The newest one counts, until its time."""
    book = RegistrationBook(engine)
    for key in (b"1" * 32, b"2" * 32):
        book.put_challenge("Pump-7", Challenge(key, b"blob", b"asked"), NOW + timedelta(minutes=1))
    assert book.challenge("pump-7", NOW) == Challenge(b"2" * 32, b"blob", b"asked")
    assert book.challenge("pump-7", NOW + timedelta(minutes=1)) is None


def test_beside_the_registry(tmp_path: Path) -> None:
    """One file, whichever opens it first; keys are in no repr."""
    path = tmp_path / "registry.db"
    for first in (True, False):
        engine = open_database(path, schema.metadata, name=schema.NAME)
        if first:
            EnrolmentBook(engine).add(enrolment())
        with Registry.open(path) as registry:
            assert registry.count() == (0, 0)
        engine.dispose()
    assert "1111" not in repr(enrolment())
    assert "kkkk" not in repr(registration())
