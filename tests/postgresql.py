"""A PostgreSQL cluster of our own for tests: an unprivileged user, a unix socket in a short folder, gone at the end."""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import sqlalchemy as sa

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
_USER = "leafward"


class PostgreSql:
    """Runs between `start` and `stop`. `database` makes a new, empty database and gives its URL."""

    def __init__(self, *, durable: bool = False) -> None:
        """`durable`: what is committed is on the disk; tests have no use for that."""
        self._fsync = "on" if durable else "off"
        self._folder = Path(tempfile.mkdtemp(prefix="lw-pg-", dir="/tmp"))
        self._numbers = itertools.count()

    def start(self) -> "PostgreSql":
        self._give_away(self._folder)
        self._run("initdb", "-D", self._data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        options = f"-k {self._folder} -c listen_addresses='' -c max_connections=60 -c fsync={self._fsync}"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self._folder / "log"), "-o", options, "start")
        return self

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder)

    def database(self) -> str:
        name = f"test_{next(self._numbers)}"
        engine = sa.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self._url(name)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://{_USER}@/{name}?host={self._folder}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(_PROGRAMS[-1] / program), *arguments]
        # What the server writes goes to files: a pipe would be kept open by it.
        with (Path(tempfile.gettempdir()) / f"{self._folder.name}.out").open("w+b") as said:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False, cwd="/", **self._as_user()
            )
            said.seek(0)
            assert done.returncode == 0, said.read().decode(errors="replace")
        Path(said.name).unlink()

    def _as_user(self) -> dict[str, object]:
        # PostgreSQL refuses to run as root.
        if os.getuid() != 0:
            return {}
        return {"user": "postgres", "group": "postgres", "extra_groups": []}

    def _give_away(self, folder: Path) -> None:
        if os.getuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)


def started() -> PostgreSql:
    """A running cluster; skips the test where Debian's postgresql is not installed."""
    if not _PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("psycopg")
    return PostgreSql().start()
