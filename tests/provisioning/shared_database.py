"""A PostgreSQL database that a test cuts off, sessions that stand too, and brings back."""

from pathlib import Path

import sqlalchemy as sa


class Shared:
    """A database on a server that one can cut off, and bring back."""

    def __init__(self, url: str, folder: Path) -> None:
        made = sa.make_url(url)
        self._real, self._way = Path(str(made.query["host"])), folder / "pg"
        self._engine = sa.create_engine(made, isolation_level="AUTOCOMMIT")
        self.url = made.set(query={"host": str(self._way)}).render_as_string(hide_password=False)
        self.back()

    def away(self) -> None:
        self._way.unlink()
        with self._engine.connect() as connection:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}").all()

    def back(self) -> None:
        self._way.symlink_to(self._real)

    def close(self) -> None:
        self._engine.dispose()
