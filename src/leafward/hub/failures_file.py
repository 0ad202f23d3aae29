"""The list of failures over a restart: `hub/failures.json`, written now and then, and when the hub stops.

It is a help and not a promise: what a kill loses are the counts of some minutes. A file that cannot be read is told and
replaced; it never keeps a hub from starting.
"""

import asyncio
import json
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from leafward import disk
from leafward.errors import Damaged, LeafwardError, NotFound
from leafward.hub.failures import MOST, Failure, Failures

logger = logging.getLogger(__name__)

SAVE_SECONDS = 300.0
# Twice 512 lines of some 1,500 bytes.
_LARGEST = 8 * 1024 * 1024
_FORMAT = 1


class FailuresFile:
    """Keeps one list in one file. `restore` at the start, `run` as a task, `save` at the end."""

    def __init__(self, path: Path, failures: Failures) -> None:
        self._path = path
        self._failures = failures

    def restore(self) -> None:
        """Takes back what an earlier run knew."""
        try:
            found, since = read_failures(self._path)
        except NotFound:
            return
        except LeafwardError as error:
            logger.warning("the list of failures is begun anew: %s", error)
            return
        self._failures.restore(found, since)

    async def run(self) -> None:
        """Saves what has changed, every five minutes. Never returns."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await self.save()

    async def save(self) -> None:
        """Saves what has changed; a disk that refuses is told, and asked again the next time."""
        if not self._failures.changed:
            return
        self._failures.changed = False
        data = dump(self._failures)
        try:
            await asyncio.to_thread(disk.write_file, self._path, data, mode=disk.PRIVATE)
        except LeafwardError as error:
            self._failures.changed = True
            logger.warning("the list of failures cannot be kept: %s", error)


def read_failures(path: Path) -> tuple[list[Failure], datetime]:
    """The lines in a file, and since when. Raises `NotFound`, `StoreError`; `Damaged` for what is no such list."""
    data = disk.read_file(path, limit=_LARGEST)
    try:
        found = json.loads(data)
        if found["format"] != _FORMAT:
            raise ValueError(f"format {found['format']!r}")
        return [_failure(one) for one in found["failures"][: 2 * MOST]], _time(found["since"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{path} is no list of failures", why=f"{error!r:.200}", hint="remove it") from error


def dump(failures: Failures) -> bytes:
    """The bytes of the file."""
    lines = [as_json(one) for one in failures.all()]
    return json.dumps({"format": _FORMAT, "since": failures.since.isoformat(), "failures": lines}).encode()


def as_json(failure: Failure) -> dict[str, Any]:
    """A line as it is stored: facts, without what is said of them."""
    return {
        "kind": failure.kind,
        "address": failure.address,
        "who": failure.who,
        "symptom": failure.symptom,
        "code": failure.code,
        "alternatives": list(failure.alternatives),
        "count": failure.count,
        "first": failure.first.isoformat(),
        "last": failure.last.isoformat(),
        "certificate": failure.certificate,
        "device": failure.device or None,
        "connected": None if failure.connected is None else failure.connected.isoformat(),
        "evidence": dict(failure.evidence),
    }


def _failure(found: dict[str, Any]) -> Failure:
    if found["kind"] not in ("handshake", "login") or not isinstance(found["evidence"], dict):
        raise ValueError("a line is of no known kind")
    return Failure(
        kind=found["kind"],
        address=str(found["address"]),
        who=str(found["who"]),
        symptom=str(found["symptom"]),
        code=str(found["code"]),
        first=_time(found["first"]),
        last=_time(found["last"]),
        count=int(found["count"]),
        alternatives=tuple(map(str, found["alternatives"])),
        evidence=found["evidence"],
        certificate=found["certificate"],
        device=found["device"],
        connected=None if found["connected"] is None else _time(found["connected"]),
    )


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return at
