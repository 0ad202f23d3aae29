"""Devices for the tests of keys, and a process that has been told of no passphrase."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from leafward.keys.passphrase import Passphrases, use
from tests.keys.devices import SoftHsm, SwTpm, soft_hsm_here, swtpm_here


@pytest.fixture(autouse=True)
def no_passphrases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever runs the tests may have some set; what a test tells this process is forgotten after it."""
    for name in ("LEAFWARD_PASSPHRASE", "LEAFWARD_PASSPHRASE_FILE", "LEAFWARD_PIN", "LEAFWARD_PKCS11_MODULE"):
        monkeypatch.delenv(name, raising=False)
    use(Passphrases())
    yield
    use(Passphrases())


@pytest.fixture
def soft_hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    """A fresh SoftHSM token."""
    yield from soft_hsm_here(tmp_path / "hsm", monkeypatch)


@pytest.fixture
def swtpm(monkeypatch: pytest.MonkeyPatch) -> Iterator[SwTpm]:
    """A fresh TPM. Its sockets' paths must be short, so not in tmp_path."""
    with tempfile.TemporaryDirectory(prefix="swtpm") as folder:
        yield from swtpm_here(Path(folder), monkeypatch)
