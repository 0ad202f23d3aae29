"""The log as static files in the layout of C2SP tlog-tiles: any web server gives them out, any reader reads them.

    DIR/checkpoint               the signed checkpoint, written last
    DIR/tile/L/N[.p/W]           hashes          DIR/tile/entries/N[.p/W]    entries

Each export adds what was signed since the last one. A full file never changes; a partial one goes when the full one is
published. A kill on the way leaves the last checkpoint standing, with all that it needs.
"""

import shutil
from pathlib import Path

import sqlalchemy as sa

from leafward import disk
from leafward.errors import Damaged, InputError
from leafward.store.issuance_log import rows
from leafward.store.issuance_log.checkpoint import Checkpoint
from leafward.store.issuance_log.checkpoint_file import CheckpointFile
from leafward.store.issuance_log.note import Note, VerifierKey
from leafward.store.issuance_log.restored import extends
from leafward.store.issuance_log.rows import DatabaseTiles, Head
from leafward.store.issuance_log.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, TileNodes, encode_bundle, tiles_of
from leafward.store.issuance_log.tree import leaf_hash, pyramid, range_root
from leafward.store.issuance_log.walk import Progress

# Everybody may read what is published.
_FOLDER = 0o755


def export(
    engine: sa.Engine, note: str, key: VerifierKey, folder: Path, *, progress: Progress | None = None
) -> Checkpoint:
    """Writes the log up to the checkpoint `note` into `folder`, made where it is missing; each file is durable.

    Raises `Damaged` where `folder` holds another log, or one that this log does not begin with: nothing is changed
    then. `progress` counts files.
    """
    checkpoint = Checkpoint.from_note(Note.parse(note.encode()), key)
    file = CheckpointFile(folder)
    with rows.snapshot(engine) as connection:
        head = rows.read_head(connection)
        beyond = _published(connection, head, file, key)
        if beyond > checkpoint.size:
            return checkpoint
        nodes = TileNodes(DatabaseTiles(connection), checkpoint.size)
        if range_root(0, checkpoint.size, nodes) != checkpoint.root:
            what = "the log in the database is not what was signed"
            raise Damaged(what, why="its root hash differs", hint="leafward ca log verify")
        missing = list(tiles_of(checkpoint.size, beyond=beyond))
        for done, tile in enumerate(missing, 1):
            _write(folder / tile.path, _content(connection, tile, nodes))
            if progress is not None:
                progress(done, len(missing))
    if file.read() != note.encode():
        file.write(note)
    for tile in missing:
        _remove_partial(folder, tile)
    return checkpoint


def _published(connection: sa.Connection, head: Head, file: CheckpointFile, key: VerifierKey) -> int:
    """How many entries the folder has by its checkpoint, which the log must extend."""
    data = file.read()
    if data is None:
        return 0
    hint = "choose another folder; `leafward ca log verify --export` says what differs"
    try:
        published = Checkpoint.from_note(Note.parse(data), key)
    except InputError as error:
        raise Damaged(f"{file.path} is no checkpoint of this log", why=str(error), hint=hint) from error
    if not extends(connection, head, published):
        why = f"it has {published.size} entries that are not the first ones of this log"
        raise Damaged(f"{file.path.parent} holds another log", why=why, hint=hint)
    return published.size


def _content(connection: sa.Connection, tile: Tile, nodes: TileNodes) -> bytes:
    """A file, verified: nothing is published that the signed root hash does not cover."""
    hashes = DatabaseTiles(connection).hashes(Tile(tile.level or 0, tile.index, tile.width))
    data = hashes
    sound = True
    if tile.level is None:
        first = tile.index * TILE_WIDTH
        found = [entry for _, entry, _ in rows.entries_between(connection, first, first + tile.width)]
        sound = b"".join(map(leaf_hash, found)) == hashes
        data = encode_bundle(found) if sound else b""
    elif tile.is_full:
        # Partial tiles are what the root hash was made of; a full one is under the hash that the next level has.
        sound = pyramid(hashes)[-1] == nodes(TILE_HEIGHT * (tile.level + 1), tile.index)
    if not sound:
        what = "the issuance log in the database is damaged"
        raise Damaged(what, why=f"{tile.path} is not what was signed", hint="leafward ca log verify")
    return data


def _write(path: Path, data: bytes) -> None:
    if path.is_file() and path.read_bytes() == data:
        return
    disk.make_folder(path.parent, _FOLDER)
    disk.write_file(path, data, mode=disk.PUBLIC)


def _remove_partial(folder: Path, tile: Tile) -> None:
    """What stood for a full tile while it was partial (tlog-tiles: MAY be deleted). Partial ones keep their elders."""
    if tile.is_full:
        full = folder / tile.path
        partial = full.with_name(f"{full.name}.p")
        if partial.is_dir():
            with disk.told(f"cannot remove {partial}"):
                shutil.rmtree(partial)
