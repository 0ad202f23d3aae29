"""Two hierarchies of the same names, and a service that runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.provisioning.world import Maker, World, maker, world


@pytest.fixture(scope="session")
def ours() -> Maker:
    return maker()


@pytest.fixture(scope="session")
def theirs() -> Maker:
    """Another hierarchy with the same subject names."""
    return maker()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made
