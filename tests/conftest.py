"""Fixtures that more than one wing's tests share."""

from collections.abc import Iterator

import pytest

from tests.edge import Edge, Edges, StartEdge
from tests.faults.summary import pytest_terminal_summary  # noqa: F401 - the hook has to stand at the top
from tests.postgresql import PostgreSql, started


@pytest.fixture
def start_edge() -> Iterator[StartEdge]:
    """Starts edges, and stops what a test left running. `wait=False` for one that is not to come up."""
    with Edges() as start:
        yield start


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """One edge for the tests of a file: hostname gateway.test, with a fresh home."""
    with Edges() as start:
        yield start(tmp_path_factory.mktemp("edge") / "home", "--hostname", "gateway.test")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSql]:
    """A PostgreSQL server of this test process; each `postgresql.database()` is a new database in it."""
    server = started()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def maker_database(request: pytest.FixtureRequest) -> str | None:
    """Where a maker's ledger is: None for the file of its folder, or the URL of an empty PostgreSQL database."""
    if request.param == "sqlite":
        return None
    server: PostgreSql = request.getfixturevalue("postgresql")
    return server.database()
