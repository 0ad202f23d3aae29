"""A file on the disk, damaged in each way that disks and people have."""

import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

# Of a home: what nobody but a person can give back.
NOT_OURS = ("leafward.toml", "manager/device-ca/certificate.pem", "manager/device-ca/key.pem", "registry.db")


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(str(path.name)).randbytes(path.stat().st_size))


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) // 2] ^= 0x01
    path.write_bytes(data)


def _other_text(path: Path) -> None:
    path.write_text("[1]\n")


def _too_large(path: Path) -> None:
    os.truncate(path, 20 * 1024 * 1024)


def _removed(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone")


DAMAGES: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {
        "empty": _empty,
        "half": _half,
        "garbage": _garbage,
        "zeros": _zeros,
        "one bit": _one_bit,
        "other text": _other_text,
        "too large": _too_large,
        "removed": _removed,
        "a folder": _folder,
        "a dangling link": _dangling,
    }
)


def _folder_removed(path: Path) -> None:
    shutil.rmtree(path)


def _folder_is_a_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"")


# What happens to a folder.
FOLDER_DAMAGES: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {"removed": _folder_removed, "a file": _folder_is_a_file}
)
