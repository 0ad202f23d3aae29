"""What the judges share: the keys, the docket, and the C programs, made once a test process or once a run."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.oracles.case import Case
from tests.oracles.forgeries import controls
from tests.oracles.hierarchies import good_cases
from tests.oracles.keyring import Keyring

SOURCES = Path(__file__).parent / "c"
# (a header, its Debian package, the pkg-config name, the libraries where that is not there)
LIBRARIES = {
    "mbedtls_judge": ("mbedtls/ssl.h", "libmbedtls-dev", "mbedtls", ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"]),
    "wolfssl_judge": ("wolfssl/ssl.h", "libwolfssl-dev", "wolfssl", ["-lwolfssl"]),
}


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all test processes of this run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "oracles"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def keyring(shared_folder: Path) -> Keyring:
    """The keys of all chains."""
    return Keyring(shared_folder)


@pytest.fixture(scope="session")
def docket(keyring: Keyring) -> tuple[Case, ...]:
    """Every case: our own chains, and the controls."""
    return (*good_cases(keyring), *controls(keyring))


@pytest.fixture(scope="session")
def own(docket: tuple[Case, ...]) -> Case:
    """A server's chain and key, for the judges that play a server."""
    return next(case for case in docket if case.good and case.purpose == "server")


@pytest.fixture(scope="session")
def c_program(shared_folder: Path) -> Callable[[str], str]:
    """Compiles `c/NAME.c`, once a run; skips the test where the compiler or the library is missing."""

    def build(name: str) -> str:
        header, package, module, libraries = LIBRARIES[name]
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("cc is not installed (package gcc)")
        for needed, of_package in (("stdio.h", "libc6-dev"), (header, package)):
            look = [compiler, "-fsyntax-only", "-include", needed, "-x", "c", os.devnull]
            if subprocess.run(look, capture_output=True, check=False).returncode != 0:
                pytest.skip(f"{needed} is not installed (package {of_package})")
        program = shared_folder / name
        with program.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not program.exists():
                flags = _pkg_config(module) or libraries
                _compile([compiler, "-std=gnu11", "-O1", "-o", str(program), str(SOURCES / f"{name}.c"), *flags])
        return str(program)

    return build


def _pkg_config(module: str) -> list[str]:
    """Its flags; none where pkg-config or its file is missing (Debian 12 has none for mbedTLS)."""
    tool = shutil.which("pkg-config")
    if tool is None:
        return []
    done = subprocess.run([tool, "--cflags", "--libs", module], capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else []


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
