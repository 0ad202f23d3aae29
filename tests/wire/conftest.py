"""The unmodified Python SDK as an oracle: single files of it, loaded from the demonstration leaf's own environment."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def python_sdk() -> Callable[[str], ModuleType]:
    """`python_sdk("common/auth/sastoken.py")` is that file of `azure.iot.device`; for files without imports."""
    loaded: dict[str, ModuleType] = {}

    def load(room: str) -> ModuleType:
        if room not in loaded:
            found = next(Path(sys.prefix).glob(f"leaf/lib/python*/site-packages/azure/iot/device/{room}"), None)
            if found is None:
                pytest.skip("the demonstration leaf's environment is not installed")
            spec = importlib.util.spec_from_file_location(f"sdk_{found.stem}", found)
            assert spec is not None
            assert spec.loader is not None
            loaded[room] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded[room])
        return loaded[room]

    return load
