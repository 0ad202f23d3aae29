"""Verifies exported files: what an auditor does, who has nothing of the maker's but these files and the log's key."""

from collections.abc import Callable, Sequence
from pathlib import Path

import sqlalchemy as sa

from leafward import disk
from leafward.errors import EncodingError, NotFound, StoreError
from leafward.store.issuance_log import rows
from leafward.store.issuance_log.checkpoint import Checkpoint
from leafward.store.issuance_log.checkpoint_file import CheckpointFile
from leafward.store.issuance_log.difference import CHANGED, Report, differing
from leafward.store.issuance_log.entry import fields_of
from leafward.store.issuance_log.note import Note, VerifierKey
from leafward.store.issuance_log.signatures import Held, Signatures
from leafward.store.issuance_log.tiles import TILE_WIDTH, Tile, decode_bundle, tiles_of, width_of
from leafward.store.issuance_log.tree import HASH_SIZE, leaf_hash
from leafward.store.issuance_log.walk import Progress, Walk, Window

# A full bundle of the largest entries.
_MAX_FILE = TILE_WIDTH * (2 + 0xFFFF)


def audit_export(
    folder: Path,
    key: VerifierKey,
    *,
    held: Sequence[Held] = (),
    against: sa.Engine | None = None,
    progress: Progress | None = None,
) -> Report:
    """What differs in the files of `folder`, and between them and the database `against`.

    `held` are checkpoints kept elsewhere. Raises `NotFound` where there is no checkpoint, `InputError` where `key` did
    not sign it: then nothing can be said of these files.
    """
    file = CheckpointFile(folder)
    data = file.read()
    if data is None:
        raise NotFound(f"no checkpoint {file.path}", hint="leafward ca log export writes one")
    checkpoint = Checkpoint.from_note(Note.parse(data), key)
    report = Report(size=checkpoint.size)
    signatures = Signatures([Held(str(file.path), data), *held], key, report)
    source = _Folder(folder, checkpoint.size, report)
    walk = Walk(source, checkpoint.size, report, target=checkpoint.root, marks=signatures.sizes)
    if against is None:
        walk.run(_check_form(report), progress)
    else:
        with rows.snapshot(against) as connection:
            walk.run(_Comparison(connection, report).window, progress)
    signatures.compare(walk, checkpoint.size)
    source.report_strays()
    report.root = None if walk.broken_at is not None else walk.frontier.root()
    return report


class _Folder:
    """`walk.LogSource`: the files. A file that is not there, or is malformed, leaves its entries out."""

    keeps_partial_tiles = True

    def __init__(self, folder: Path, size: int, report: Report) -> None:
        self._folder = folder
        self._size = size
        self._report = report

    def window(self, first: int, width: int) -> Window:
        """See `LogSource.window`."""
        number = first // TILE_WIDTH
        entries = self._entries(Tile(None, number, width))
        tile = Tile(0, number, width)
        root = self._root(tile) if tile.is_full else None
        return Window(first, width, dict(enumerate(entries)), {}, self._read(tile), root)

    def tile(self, tile: Tile) -> tuple[bytes | None, bytes | None]:
        """See `LogSource.tile`."""
        return self._read(tile), None

    def _root(self, tile: Tile) -> bytes | None:
        """What the tile above says of a full one."""
        assert tile.level is not None
        number, at = divmod(tile.index, TILE_WIDTH)
        above = Tile(tile.level + 1, number, width_of(tile.level + 1, number, self._size))
        hashes = self._read(above) or b""
        return hashes[at * HASH_SIZE : (at + 1) * HASH_SIZE] or None

    def report_strays(self) -> None:
        """Files that a log of this size does not have; what is left of smaller sizes is in order."""
        expected = {tile.path for tile in tiles_of(self._size)}
        for path in sorted(self._folder.joinpath("tile").rglob("*")):
            name = path.relative_to(self._folder).as_posix()
            if path.is_file() and name not in expected and not self._is_elder(name):
                self._report.add("file-unexpected", f"{name} is no file of a log of {self._size} entries")

    def _is_elder(self, name: str) -> bool:
        """Whether a file is a partial tile of an earlier checkpoint: the beginning of the present one."""
        try:
            elder = Tile.parse(name)
        except EncodingError:
            return False
        width = width_of(elder.level, elder.index, self._size)
        if elder.width >= width:
            return False
        now = Tile(elder.level, elder.index, width)
        data = self._read(elder)
        return data is not None and (self._read(now) or b"").startswith(data)

    def _entries(self, tile: Tile) -> list[bytes]:
        data = self._read(tile)
        if data is None:
            return []
        try:
            entries = decode_bundle(data)
            if len(entries) != tile.width:
                raise EncodingError("the bundle is of another width", why=f"got {len(entries)}, expected {tile.width}")
        except EncodingError as error:
            self._report.add("bundle-changed", f"{tile.path}: {error}")
            return []
        return entries

    def _read(self, tile: Tile) -> bytes | None:
        try:
            return disk.read_file(self._folder / tile.path, limit=_MAX_FILE)
        except NotFound:
            return None
        except StoreError as error:
            self._report.add("file-unreadable", str(error))
            return None


class _Comparison:
    """The files held against the database, window by window."""

    def __init__(self, connection: sa.Connection, report: Report) -> None:
        self._connection = connection
        self._report = report
        self._size = rows.last_position(connection) + 1
        self._told = False

    def window(self, window: Window) -> None:
        """Reports where the database has other entries than the files."""
        end = window.first + window.width
        ours = {at - window.first: entry for at, entry, _ in rows.entries_between(self._connection, window.first, end)}
        if ours == window.entries or self._told:
            return
        if len(ours) == window.width == len(window.entries):
            found, logged = ([leaf_hash(side[at]) for at in range(window.width)] for side in (ours, window.entries))
            differences = differing(window.first, found, logged)
            first = differences[0]
            self._report.add(
                "database-differs", f"in the database, against the files: {first.what}", first.first, first.last
            )
            self._told = len(differences) > 1 or first.code != "entry-changed"
            return
        for at in range(window.width):
            if ours.get(at) != window.entries.get(at):
                what = CHANGED if at in ours and at in window.entries else "is in one and not in the other"
                self._report.add("database-differs", f"in the database, against the files: {what}", window.first + at)
        self._told = True


def _check_form(report: Report) -> Callable[[Window], None]:
    def check(window: Window) -> None:
        for at, entry in window.entries.items():
            if fields_of(entry) is None:
                report.add("entry-malformed", "is no entry of ours", window.first + at)

    return check
