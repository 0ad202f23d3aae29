"""Two users, one home: the manager runs as one, hub and provisioning as another, and both are in one group.

    HOME             2750  manager:group    setgid: whatever is made within belongs to the group
    ├── manager/     0700  manager          keys: nobody else
    ├── registry.db  0660  manager:group    and SQLite gives its -wal and -shm the same
    ├── run/         3770  manager:group    locks and sockets of both; sticky: nobody takes the other's away
    └── hub/         0700  hub's user

Set by `[manager] hub_user`. That user's processes may attach themselves as `$edgeHub`, and may do nothing else with the
Management API: the kernel says whose a process is.
"""

import os
import pwd
import stat
from pathlib import Path

from leafward import disk
from leafward.errors import SettingsError, StoreError
from leafward.manager.unix_socket import MANAGEMENT_MODE
from leafward.store.home import SHARED_FOLDER, Home

SHARED_HOME = 0o2750
SHARED_FILE = 0o660
_LAY_OUT = "leafward manager install lays it out; systemd-tmpfiles --create leafward.conf puts it right"


def hub_uid(hub_user: str | None) -> int | None:
    """The user id that `[manager] hub_user` names, or says as a number; None without one.

    Raises `SettingsError` where no such user exists.
    """
    if hub_user is None:
        return None
    if hub_user.isascii() and hub_user.isdigit():
        return int(hub_user)
    try:
        return pwd.getpwnam(hub_user).pw_uid
    except KeyError:
        why = f"this machine has no user {hub_user!r}"
        raise SettingsError("manager.hub_user cannot be used", why=why, hint="systemd-sysusers makes it") from None


def management_mode(hub_user: str | None) -> int:
    """The mode of `management.sock`: for the group where the hub is another user's."""
    return MANAGEMENT_MODE if hub_user is None else SHARED_FILE


def share_home(home: Home, hub_user: str | None) -> None:
    """Gives the group what two users share; nothing where there is no other user. May be repeated.

    Raises `StoreError` where the home belongs to somebody else, to a group that is not ours, or lies too deep.
    """
    if hub_user is None:
        return
    if home.sockets != home.run:
        why = "its sockets would lie in a folder of one user alone"
        raise StoreError(f"two users cannot share {home.root}: its path is too long", why=why, hint="a shorter path")
    disk.make_folder(home.run)
    _share(home.root, SHARED_HOME)
    _share(home.run, SHARED_FOLDER)
    if not home.registry.exists():
        disk.write_file(home.registry, b"", mode=SHARED_FILE)
    for path in (home.registry, *(home.registry.with_name(f"{home.registry.name}{end}") for end in ("-wal", "-shm"))):
        if path.exists():
            _share(path, SHARED_FILE)


def _share(path: Path, mode: int) -> None:
    """Gives `path` this mode, where it has another; a chmod(2) that the kernel cuts short is told."""
    with disk.told(f"cannot share {path} with the hub's user"):
        if stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)
        status = path.stat()
    found = stat.S_IMODE(status.st_mode)
    if found != mode or status.st_gid not in {os.getegid(), *os.getgroups()}:
        why = f"got group {status.st_gid} and mode {found:04o}, expected a group of ours and {mode:04o}"
        raise StoreError(f"cannot share {path} with the hub's user", why=why, hint=_LAY_OUT)
