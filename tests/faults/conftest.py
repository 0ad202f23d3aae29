"""What the tests of faults share."""

import os
from collections.abc import Callable

import pytest

from tests.faults.summary import Count, counter

# The maker, the clock and the programs of the manager's tests.
from tests.manager.conftest import (  # noqa: F401
    clock,
    home,
    install,
    maker,
    manager,
    plan,
    program,
    settings_of,
)


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """`count("kills", 12)`: what the end of the run shows."""
    return counter(record_property)


@pytest.fixture(scope="session")
def thorough() -> bool:
    """Every fault instead of a sample: LEAFWARD_FAULTS=all."""
    return os.environ.get("LEAFWARD_FAULTS") == "all"
