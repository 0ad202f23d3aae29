"""Targets: what a person named, sorted into files, servers and the rest, and made into cases.

Files that are named together are one question: their roots and revocation lists count for every chain and every server
among the targets. The others are looked at by `live_targets.py`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from leafward.doctor import file_reader
from leafward.doctor.case_files import Evidence, Question, cases_of
from leafward.doctor.file_contents import FileContents, contents
from leafward.doctor.locked import Password, no_password
from leafward.doctor.report import joined
from leafward.doctor.runner import Report, diagnose
from leafward.doctor.target_kinds import Asked, Watch, is_other, unwatched

_URL = ("http://", "https://")


@dataclass(frozen=True)
class Given:
    """Everything that was named: targets, `--root`s and `--crl`s, as text."""

    targets: tuple[str, ...]
    roots: tuple[str, ...] = ()
    crls: tuple[str, ...] = ()
    asked: Asked = field(default_factory=Asked)


def examine(
    given: Given, question: Question, password: Password = no_password, watch: Watch = unwatched
) -> list[Report]:
    """One report for all the files together, and one for each server. `password` is asked for locked files; `watch` is
    told of each server that was looked at, where there are several.

    Never raises for what files hold or servers do.
    """
    files = [target for target in given.targets if not is_other(target)]
    others = [target for target in given.targets if is_other(target)]
    evidence = read(files, given, password)
    reports = [joined([diagnose(case) for case in cases_of(" ".join(files), evidence, question)])] if files else []
    if not others and given.asked.connection_string is None:
        return reports
    from leafward.doctor.live_targets import examine_others  # noqa: PLC0415 - as for `_fetch`

    return reports + examine_others(others, evidence, question, given.asked, password, watch=watch)


def read(files: Sequence[str], given: Given, password: Password) -> Evidence:
    """The files, roots and lists that were named, read within bounds."""
    fetched = [(url, _fetch(url)) for url in given.crls if url.startswith(_URL)]
    lists = [path for path in given.crls if not path.startswith(_URL)]
    return Evidence(
        targets=_each(files, password),
        roots=_each(given.roots, password),
        lists=(*_each(lists, password), *(contents(file) for _, file in fetched if file.data is not None)),
        unreachable_crls=tuple((url, file.why) for url, file in fetched if file.data is None),
    )


def _fetch(url: str) -> file_reader.FileRead:
    from leafward.doctor.crl_fetch import fetch  # noqa: PLC0415 - the network's libraries cost time, and few ask

    return fetch(url)


def _each(paths: Sequence[str], password: Password) -> tuple[FileContents, ...]:
    found: list[FileContents] = []
    for text in paths:
        path = Path(text)
        found += _folder(path, password) if path.is_dir() else [contents(file_reader.read(path), password)]
    return tuple(found)


def _folder(path: Path, password: Password) -> list[FileContents]:
    """The files of a folder that hold something of use or are damaged; the folder itself, as a fault, where none is.

    Requests, parameters and the like may lie in a folder; only one that was named is a wrong object.
    """
    try:
        files = file_reader.files_of(path)
    except OSError as error:
        return [contents(file_reader.FileRead(path, why=(error.strerror or "").lower()))]
    read = [file for file in _within_budget(files, password) if file.useful or file.faults]
    if any(file.useful for file in read):
        return read
    return read or [contents(file_reader.FileRead(path, why="it is a folder without certificate files"))]


def _within_budget(files: Sequence[Path], password: Password) -> Iterator[FileContents]:
    """A folder's files one after the other, until they were too much to be certificates."""
    total = 0
    for path in files:
        if total > file_reader.MAX_FOLDER_BYTES:
            why = f"the folder has more than {file_reader.MAX_FOLDER_BYTES} bytes of such files: name those that matter"
            yield contents(file_reader.FileRead(path, why=why))
            return
        file = file_reader.read(path)
        total += len(file.data or b"")
        yield contents(file, password)
