"""Where the requests of a lot come from: a folder, a CSV, JSON lines, a bundle of PEM blocks, or standard input.

A source is read as it is needed, never whole, so its size costs no memory. What cannot be read (a broken line, a file
that is not there) becomes an item with a fault: it is rejected with its reason like a bad request, and the next one
follows.

A name that the source gives (a CSV's column, JSON's "name") is the certificate's. A folder and a bundle give none: then
it is the request's own common name, and for a file without one the file's name without its ending; or, where the
operator says so, the file's name before the request's.
"""

import base64
import binascii
import codecs
import contextlib
import csv
import io
import json
import os
import re
import select
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from leafward.errors import EncodingError, LeafwardError, NotFound, StoreError
from leafward.pki.request import MAX_REQUEST

ENDINGS = frozenset({".csr", ".req", ".p10", ".pem", ".der"})
# More than the largest request, in base64 and with a name: a line beyond it is no request.
MAX_LINE = 2 * MAX_REQUEST
# Seconds that the line waits for more before it works on what is there.
_PATIENCE = 0.02
_CHUNK = 256 * 1024
_KEYS = frozenset({"name", "csr"})
_DECODE = json.JSONDecoder().decode
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{40,}={0,2}\s*")
_PEM_END = re.compile(rb"-----END [A-Z ]*-----")


class Item(NamedTuple):
    """One request as it was handed in. `name` is given and final; `fallback` is for a request that names nobody.

    `where` says where it stands, for the reconciliation. With a `fault`, `data` is what could be read.
    """

    where: str
    data: bytes
    name: str | None = None
    fallback: str | None = None
    fault: LeafwardError | None = None


@dataclass(frozen=True)
class Source:
    """Items to come; None says that no more are there for now, and the line should not wait.

    `length` is their number where that is known beforehand; `ignored` counts what was passed over.
    """

    items: Iterator[Item | None]
    length: int | None = None
    ignored: Callable[[], int] = lambda: 0


def open_source(where: str, stdin: IO[bytes], *, file_names_first: bool = False) -> Source:
    """The source that the operator named: a folder, a file, or "-". Raises `NotFound`, `StoreError`."""
    if where == "-":
        return Source(_json_lines(_live_lines(stdin.fileno()), "standard input"))
    path = Path(where)
    try:
        if path.is_dir():
            return _folder(path, file_names_first)
        return _file(path, path.open("rb"))
    except FileNotFoundError:
        hint = "a folder of requests, a CSV (name,request), JSON lines, or - for JSON lines on standard input"
        raise NotFound(f"no source {where!r}", why="it does not exist", hint=hint) from None
    except OSError as error:
        raise StoreError(f"cannot read {where}", why=error.strerror, hint="check its permissions") from error


def _folder(path: Path, file_names_first: bool) -> Source:
    with os.scandir(path) as entries:
        length = sum(1 for entry in entries if _is_request_file(entry))
    passed_over = [0]

    def items() -> Iterator[Item]:
        with os.scandir(path) as entries:  # in the disk's order: sorting would need all names at once
            for entry in entries:
                if not _is_request_file(entry):
                    passed_over[0] += not entry.name.startswith(".")
                    continue
                stem = Path(entry.name).stem
                yield _file_item(Path(entry.path), entry.name, stem if file_names_first else None, stem)

    return Source(items(), length, lambda: passed_over[0])


def _is_request_file(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and Path(entry.name).suffix.lower() in ENDINGS and entry.is_file()


def _file_item(path: Path, where: str, name: str | None, fallback: str | None) -> Item:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return Item(where, os.read(descriptor, MAX_REQUEST + 1), name, fallback)
        finally:
            os.close(descriptor)
    except OSError as error:
        fault = NotFound(f"cannot read {path}", why=error.strerror, hint="check the path")
        return Item(where, b"", name, fallback, fault)


def _file(path: Path, stream: IO[bytes]) -> Source:
    """What a file holds is told by its beginning; its name may be anything."""
    beginning = stream.read(256).removeprefix(codecs.BOM_UTF8).lstrip()
    stream.seek(0)
    if beginning.startswith(b"{"):
        return Source(_closing(stream, _json_lines(_lines(stream), path.name)))
    if beginning.startswith(b"\x30"):
        with stream:
            return Source(iter([Item(path.name, stream.read(MAX_REQUEST + 1), fallback=path.stem)]), 1)
    return Source(
        _closing(stream, _bundle(stream, path) if beginning.startswith(b"-----BEGIN ") else _csv(stream, path))
    )


def _closing(stream: IO[bytes], items: Iterator[Item | None]) -> Iterator[Item | None]:
    """The items, and the end of the file when they end, or when nobody wants more."""
    with stream:
        yield from items


def _bundle(stream: IO[bytes], path: Path) -> Iterator[Item]:
    """PEM blocks one after another; each ends with its END line, whatever is in it."""
    block, size, number = io.BytesIO(), 0, 0
    for line in _lines(stream):
        size += len(line)
        if size <= 2 * MAX_REQUEST:
            block.write(line)
        if _PEM_END.match(line):
            number += 1
            yield Item(f"{path.name}, block {number}", block.getvalue())
            block, size = io.BytesIO(), 0
    if block.getvalue().strip():
        yield Item(f"{path.name}, block {number + 1}", block.getvalue())


def _csv(stream: IO[bytes], path: Path) -> Iterator[Item]:
    """`name,request`: the request is the path of a file beside the CSV, or base64. A heading may stand first."""
    rows = csv.reader(_texts(stream), strict=True, skipinitialspace=True)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield _faulty(f"{path.name}, line {rows.line_num}", b"", f"no line of a CSV: {error}")
            continue
        where = f"{path.name}, line {rows.line_num}"
        if rows.line_num == 1 and row and row[0].strip().lower() in ("name", "common name", "common_name", "cn"):
            continue
        if row:
            yield _csv_item(row, where, path.parent)


def _texts(stream: IO[bytes]) -> Iterator[str]:
    """Lines as text. What is no UTF-8 stays recognisable, and is refused where it stands."""
    for number, line in enumerate(_lines(stream)):
        yield line.removeprefix(codecs.BOM_UTF8 if number == 0 else b"").decode("utf-8", "surrogateescape")


def _csv_item(row: list[str], where: str, folder: Path) -> Item:
    written = ",".join(row).encode("utf-8", "surrogateescape")
    if len(row) != 2 or not row[0].strip() or not row[1].strip():
        return _faulty(where, written, f"expected name,request in a line, got {len(row)} fields, or an empty one")
    name, request = row[0].strip(), row[1].strip()
    if not name.isprintable():  # bytes that are no UTF-8 as well
        return _faulty(where, written, "the name is no printable UTF-8 text")
    data = _inline(request)
    if data is not None:
        return Item(where, data, name)
    return _file_item(folder / request, where, name, None)


def _inline(text: str) -> bytes | None:
    """PEM as it stands, or what base64 holds; None for a path."""
    if text.startswith("-----BEGIN "):
        return text.encode("utf-8", "surrogateescape")
    if text.startswith("MI"):  # a DER SEQUENCE of 128 octets and more, in one line: nearly always
        with contextlib.suppress(ValueError):
            return binascii.a2b_base64(text, strict_mode=True)
    if not _BASE64.fullmatch(text):
        return None
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        return None
    return data if data.startswith((b"\x30", b"-----BEGIN ")) else None


def _json_lines(lines: Iterator[bytes | None], title: str) -> Iterator[Item | None]:
    """`{"name": …, "csr": …}` a line: PEM or base64; without a name it is the request's common name."""
    number = 0
    for line in lines:
        if line is None:
            yield None
            continue
        number += 1
        where = f"{title}, line {number}"
        if len(line) > MAX_LINE:
            yield _faulty(where, line[:MAX_LINE], f"the line is longer than {MAX_LINE} octets")
        elif line.strip():
            yield _json_item(line, where)


def _json_item(line: bytes, where: str) -> Item:
    try:
        value = _DECODE(line.decode())
    except (ValueError, RecursionError) as error:
        return _faulty(where, line, f"no JSON: {error}")
    if not isinstance(value, dict) or not isinstance(value.get("csr"), str):
        return _faulty(where, line, 'expected {"name": …, "csr": PEM or base64}')
    name = value.get("name")
    if name is not None and not (isinstance(name, str) and name.isprintable()):
        return _faulty(where, line, "the name is no printable text")
    if not value.keys() <= _KEYS:
        return _faulty(where, line, f"unknown keys: {', '.join(sorted(value.keys() - _KEYS))}")
    data = _inline(value["csr"])
    if data is None:
        return _faulty(where, line, "the request is neither PEM nor base64", name)
    return Item(where, data, name)


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines; of one that is too long the first `MAX_LINE` octets and one more, and the rest is skipped."""
    while line := stream.readline(MAX_LINE + 1):
        rest = line
        while len(rest) > MAX_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(MAX_LINE + 1)
        yield line


def _live_lines(descriptor: int) -> Iterator[bytes | None]:
    """Lines of a pipe as they come, long ones as `_lines` gives them; None while nothing comes."""
    rest, skipping = b"", False
    while True:
        if not select.select([descriptor], [], [], _PATIENCE)[0]:
            yield None
            continue
        data = os.read(descriptor, _CHUNK)
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            if not skipping:
                yield line[: MAX_LINE + 1]
            skipping = False
        if len(rest) > MAX_LINE:
            if not skipping:
                yield rest[: MAX_LINE + 1]
            rest, skipping = b"", True
        if not data:
            if rest and not skipping:
                yield rest
            return


def _faulty(where: str, data: bytes, why: str, name: str | None = None) -> Item:
    return Item(where, data, name, fault=EncodingError("the request cannot be read", why=why))
