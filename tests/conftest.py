"""Fixtures that more than one wing's tests share."""

from collections.abc import Iterator

import pytest

from tests.edge import Edge, Edges, StartEdge


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
