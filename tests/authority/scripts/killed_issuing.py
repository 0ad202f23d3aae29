"""Kills an issuing before its first, second, third … step, runs it again, and looks at what came of it.

    killed_issuing.py chain|device|renewal FOLDER      writes the number of steps; exit code 0 when all was right

A step is a change on the disk (a rename, a new folder, …), or a statement that changes the database, its beginning and
its commit included. A program of its own, because it forks.
"""

import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from leafward.authority.delivery import deliver
from leafward.authority.development import Names, make_development_chain
from leafward.authority.issuance import Issuance
from leafward.authority.log_verification import verify_home
from leafward.keys.key_store import KeyReference, open_key
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.key_types import parse_key_type

STEPS = ("rename", "link", "unlink", "mkdir", "rmdir", "write", "open")
KILLED = 9
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def chain(folder: Path) -> None:
    """Root, intermediate and device CA, on a gateway that has nothing."""
    make_development_chain(folder / "maker", folder / "gw", Names(), "gateway.test", now=NOW)


def device(folder: Path, *, renewing: bool = False) -> None:
    """A second device CA, its key made here, where there is none; or its renewal."""
    if not renewing and (folder / "pump" / "certificate.pem").exists():
        return
    with Issuance(folder / "maker") as issuance:
        kind = parse_key_type("ec-p256")
        deliver(issuance, "device_ca", "pump-7.ca", kind, folder / "pump", now=NOW, renewing=renewing)


def renewal(folder: Path) -> None:
    device(folder, renewing=True)


# What runs before, what is killed, and how many certificates the log may have in the end.
STORIES: dict[str, tuple[list[Callable[[Path], None]], Callable[[Path], None], set[int]]] = {
    "chain": ([], chain, {3}),
    "device": ([chain], device, {4}),
    # What was renewed and not yet written is renewed again: the first one is in the log, and replaced.
    "renewal": ([chain, device], renewal, {5, 6}),
}


def killed(action: Callable[[Path], None], folder: Path, step: int) -> bool:
    """An action that ends before `step`; False where it needed fewer steps and came to its end."""
    child = os.fork()
    if child == 0:
        count = _counter(step)
        for name in STEPS:
            setattr(os, name, _counted(getattr(os, name), count))

        def traced(statement: str) -> None:
            if _change(statement):
                count()

        # SQLite tells of each statement that it is about to run, whoever gave it.
        sa.event.listen(sa.Engine, "connect", lambda connection, _record: connection.set_trace_callback(traced))
        action(folder)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, KILLED), (step, ended)
    return ended == KILLED


def _counter(left: int) -> Callable[[], None]:
    def count() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os._exit(KILLED)

    return count


def _counted(function: Callable[..., Any], count: Callable[[], None]) -> Callable[..., Any]:
    def instead(*arguments: Any, **options: Any) -> Any:
        count()
        return function(*arguments, **options)

    return instead


def _change(statement: str) -> bool:
    return not statement.lstrip().startswith(("SELECT", "PRAGMA"))


def look(folder: Path, name: str, place: str, allowed: set[int]) -> None:
    """Inventory, log and files agree; the certificate in the folder is the one that lives, with its own key."""
    handed_out = Chain.from_pem((folder / place / "certificate.pem").read_bytes())
    key = open_key(KeyReference("file", str(folder / place / "key.pem")))
    assert handed_out.leaf.public_key() == key.public_key()
    with Issuance(folder / "maker") as issuance:
        living = issuance.ledger.inventory.living("device_ca", name, NOW)
        assert living is not None
        assert living.sha256 == fingerprint(handed_out.leaf)
        size = issuance.ledger.log.state().size
        assert size in allowed, size
        assert verify_home(issuance.ledger.log, now=NOW).is_good
    assert not [path for path in folder.rglob("*.new") if path.is_dir()]


def main(story: str, root: Path) -> None:
    # What is looked at is the order of the steps; the disk itself is trusted here, and waiting for it takes long.
    os.fsync = lambda _descriptor: None  # type: ignore[assignment]
    sa.event.listen(sa.Engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous = OFF"))
    before, action, allowed = STORIES[story]
    prepared = root / "prepared"
    prepared.mkdir()
    for one in before:
        one(prepared)
    name, place = ("gateway.test.ca", "gw") if story == "chain" else ("pump-7.ca", "pump")
    step, again = 0, True
    while again:
        folder = root / f"killed-{step}"
        shutil.copytree(prepared, folder)
        again = killed(action, folder, step)
        try:
            if again:
                action(folder)
            look(folder, name, place, allowed)
        except BaseException:
            sys.stderr.write(f"after a kill before step {step}:\n")
            raise
        shutil.rmtree(folder)
        step += 1
    sys.stdout.write(f"{step}\n")


main(sys.argv[1], Path(sys.argv[2]))
