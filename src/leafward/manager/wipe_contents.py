"""What of a home goes in a wipe, and what stays: everything goes but what is named here.

A file that this version knows nothing of goes as well: what a newer one, a module or a person put there is the former
owner's. What stays is the maker's half, and what tells this device's history.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from leafward import disk
from leafward.errors import StoreError
from leafward.keys.key_store import KeyReference
from leafward.keys.pkcs11_uri import Pkcs11Uri
from leafward.manager.settings import EnrolmentSettings, ManagerSettings
from leafward.manager.wipe_settings import ROOT
from leafward.store.home import Home

# Lock files stay where they are: a lock on a file that was removed is no lock (`store/lock.py`).
LOCKS = ("run/lock", "run/hub.lock", "run/provisioning.lock", "manager/lock")
STAYS: Mapping[str, str] = MappingProxyType(
    {
        "leafward.toml": "settings: where the maker's half is, and nothing else",
        "maker": "the maker's CAs that are on this machine",
        "manager/device-ca": "device CA: certificate and key",
        "manager/enrolled-device-ca": "device CA: enrolled certificate and keys",
        "manager/enrolled-identity": "device identity",
        "manager/device-identity": "device identity",
        str(ROOT): "the maker's root certificate",
        "manager/last-seen": "the time last seen",
        "manager/epoch": "the number of the device's owner",
        "manager/retired": "lists of what is retired",
        "manager/receipts": "receipts of every wipe",
        "manager/wipe.json": "the plan of this wipe, until it is done",
        **dict.fromkeys(LOCKS, "a lock"),
    }
)
# For people: what the usual things are. Whatever else there is goes too.
GOES: Mapping[str, str] = MappingProxyType(
    {
        "manager/workload-ca": "workload CA: certificates and keys",
        "manager/hub-server": "hub's server certificates and keys",
        "manager/master.key": "the key of what modules encrypted",
        "manager/issued": "list of what the device CA signed",
        "registry.db": "registrations: leaf devices, modules, their keys",
        "hub/messages.db": "messages",
        "hub/sessions.json": "sessions",
        "hub/plain.db": "retained messages, wills and sessions of plain MQTT clients",
        "hub/twins.db": "twins",
        "hub/policies.json": "services' access policies, with their keys",
        "devices": "leaf devices' certificates and keys that were made here",
        "trust": "trust bundle and root certificate, published again at the next start",
        "manager/last-start.json": "what the last start found",
        "run/ready.json": "what was left of a running edge",
        "leafward.toml": "the owner's settings: name, routes, limits, trust",
    }
)


# Emptied, and left where they are: in a home that two users share, the other one could not make them again.
_EMPTIED = (Path("hub"),)


def kept_paths(home: Home, settings: ManagerSettings) -> frozenset[str]:
    """Every path that stays, relative to the home: the usual ones, and what the settings say of the maker's half."""
    named = [path for path in _named(home, settings) if path is not None]
    inside = (_inside(home, path) for one in named for path in (Path(os.path.normpath(one)), one.resolve()))
    return frozenset((*STAYS, *filter(None, inside)))


def doomed(home: Home, keep: Iterable[str]) -> list[Path]:
    """What is to be destroyed, the topmost of each; the manager's keys first. Raises `StoreError`."""
    kept = frozenset(Path(name) for name in keep)
    above = frozenset((*_EMPTIED, *(folder for path in kept for folder in path.parents)))
    with disk.told(f"cannot look into {home.root}"):
        found = list(_doomed(home.root, Path(), kept, above))
    return sorted(found, key=lambda path: (path.parent != home.manager, path))


def destroy(home: Home, keep: Iterable[str]) -> None:
    """Removes it all, durably. Can be repeated; what is gone already is no error. Raises `StoreError`.

    Removed, not overwritten: on flash and on a journal nothing that is written lands where the old bytes are.
    """
    for path in doomed(home, keep):
        with disk.told(f"cannot remove {path}"):
            _remove(path)
            disk.sync_folder(path.parent)


def refuse_unreachable(home: Home, paths: Iterable[Path]) -> None:
    """Raises `StoreError` where something of `paths` could not be destroyed: then nothing is begun."""
    for path in _all_of(paths):
        if path.is_symlink() and not path.resolve().is_relative_to(home.root.resolve()):
            raise StoreError(
                f"{path} leads out of the home",
                why=f"it is a link to {path.resolve()}, which a wipe would leave as it is",
                hint="destroy what it leads to and remove the link, then wipe",
            )
        folder = path.parent
        if not os.access(folder, os.W_OK | os.X_OK) and os.geteuid() != 0:
            raise StoreError(
                f"{path} cannot be removed",
                why=f"this user may not write in {folder}",
                hint="run as its owner, or as root",
            )


def _named(home: Home, settings: ManagerSettings) -> Iterator[Path | None]:
    """The files by which the settings name the maker's half."""
    device, enrolment = settings.device, settings.enrolment
    yield device.device_ca_certificate
    yield from _files_of(device.device_ca_key)
    if enrolment is not None:
        yield from _enrolment_files(enrolment)
        yield device.trust_bundle if enrolment.trust is None else None


def _enrolment_files(enrolment: EnrolmentSettings) -> Iterator[Path | None]:
    for _, value in enrolment:
        if isinstance(value, Path):
            yield value
        elif isinstance(value, KeyReference):
            yield from _files_of(value)
    if enrolment.key is not None and enrolment.key.scheme in ("file", "tpm"):
        # Its keys have numbers behind this name (`enrolment_slots.key_name`).
        base = Path(enrolment.key.rest)
        yield from base.parent.glob(f"{base.stem}-[0-9]*{base.suffix}") if base.parent.is_dir() else ()


def _files_of(reference: KeyReference | None) -> Iterator[Path | None]:
    """A key's file, or the file with the PIN of the token that it is in."""
    if reference is None:
        return
    if reference.scheme in ("file", "tpm"):
        yield Path(reference.rest)
    elif reference.scheme == "pkcs11":
        yield Pkcs11Uri.parse(reference).pin_source


def _inside(home: Home, path: Path) -> str | None:
    """The path relative to the home; None for one elsewhere, which a wipe does not touch."""
    for root in (home.root, home.root.resolve()):
        if path.is_relative_to(root) and path != root:
            return str(path.relative_to(root))
    return None


def _doomed(folder: Path, place: Path, kept: frozenset[Path], above: frozenset[Path]) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        here = place / entry.name
        if here in kept:
            continue
        if here in above and entry.is_dir() and not entry.is_symlink():
            yield from _doomed(entry, here, kept, above)
        else:
            yield entry


def _all_of(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield path
        if path.is_dir() and not path.is_symlink():
            with disk.told(f"cannot look into {path}"):
                yield from _all_of(list(path.iterdir()))


def _remove(path: Path) -> None:
    """A file, a link itself, or a folder with all that is in it."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for entry in path.iterdir():
        _remove(entry)
    try:
        path.rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:  # a file system of its own: empty now, and it stays where it is mounted
            raise


def described(home: Home, path: Path) -> str:
    """What a path is, for people."""
    name = str(path.relative_to(home.root))
    journal = name.endswith(("-wal", "-shm", "-journal"))
    return GOES.get(name) or ("a database's journal" if journal else "not of the maker's half")
