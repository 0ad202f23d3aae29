"""Numbered folders of which one is active: how a key and its chain change together, or not at all.

Write new (`begin`, `Slot.write`), prove (the caller looks at what it wrote), switch (`activate`), remove the old
(`retire`). Imports nothing slow.

What is active stands in a small file, `active`, that holds the slot's number and is replaced by `disk.write_file`. A
symbolic link replaced by rename would be as atomic, but a link cannot be flushed to the disk by itself, is followed or
lost by tools that copy folders, and invites others to read `active/key.pem` and `active/chain.pem` one after the other
while the switch happens between the two. `Slots.active` answers with one folder, which never changes afterwards.

A switch on probation (`activate(…, restorable=True)`) keeps the slot that was in use, and says which one it was in a
second small file, `previous`, until `settle` or `roll_back`:

    write previous = 4 -> write active = 5 -> proved:   remove previous -> retire 4
                                           -> refused:  write active = 4 -> remove previous -> retire 5

After a kill between any two of these steps a whole slot is active. A `previous` that names it means nothing.
"""

import contextlib
import shutil
from pathlib import Path

from leafward.disk import (
    PRIVATE_FOLDER,
    PUBLIC,
    leftovers,
    make_folder,
    read_file,
    remove_file,
    sync_file,
    sync_folder,
    told,
    write_file,
)
from leafward.errors import AlreadyExists, Damaged, NotFound, StoreError

_ACTIVE = "active"
_PREVIOUS = "previous"
_HINT = "restore this folder from a copy, or remove it to begin anew"


class Slot:
    """One numbered folder (0700): a key, its chain, and whatever belongs with them.

    Written before it is activated, never after: whoever read one file of an active slot finds the others fitting. A
    slot that was retired answers `NotFound`: ask for the active one again. `path` is absolute or relative as the folder
    of the slots was given.
    """

    def __init__(self, path: Path, number: int, *, sealed: bool = False) -> None:
        self.path = path
        self.number = number
        self._sealed = sealed

    def __repr__(self) -> str:
        return f"Slot({str(self.path)!r}, number={self.number})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slot) and (self.path, self.number) == (other.path, other.number)

    def __hash__(self) -> int:
        return hash((self.path, self.number))

    def seal(self) -> None:
        """From now on `write` refuses."""
        self._sealed = True

    def write(self, name: str, data: bytes, *, mode: int) -> None:
        """Writes the file `name` durably with `mode` (`disk.PRIVATE` for keys, `disk.PUBLIC` for certificates).

        Raises `AlreadyExists` once the slot was activated, `StoreError` when the disk refuses.
        """
        if self._sealed:
            raise AlreadyExists(
                f"{self.path} is not changed any more",
                why=f"it was activated, got a new '{name}' for it",
                hint="begin a new slot",
            )
        write_file(self.path / _plain(name), data, mode=mode)

    def read(self, name: str) -> bytes:
        """The bytes of `name`. Raises `NotFound` when there is no such file, `StoreError` when it cannot be read."""
        return read_file(self.path / _plain(name))

    def has(self, name: str) -> bool:
        """True when the file `name` is there."""
        return (self.path / _plain(name)).is_file()


class Slots:
    """The slots in `folder`, which is made (0700) by the first `begin`.

    Promises: a kill or power cut at any instant leaves the old slot active or the new one, whole; what a kill left
    behind is never active and goes with the next `retire`. Any number of processes may read (`active`) while one
    writes. One writer at a time: `begin` … `retire` are for whoever holds the home's lock, from one thread at a time.
    Raises `StoreError` naming the path when the disk refuses, `Damaged` when what is there was not written by us.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self) -> Slot:
        """A new, empty slot: not active, its number above all that are there."""
        make_folder(self._folder)
        with told(f"cannot begin a slot in {self._folder}"):
            number = max([0, *self._taken(), *filter(None, [self._active_number()])]) + 1
            path = self._path(number)
            path.mkdir(mode=PRIVATE_FOLDER)
            path.chmod(PRIVATE_FOLDER)
            sync_folder(self._folder)
        return Slot(path, number)

    def active(self) -> Slot | None:
        """The active slot; None when none was ever activated. Raises `Damaged` when its folder is gone."""
        # A writer may switch and retire between our two looks: then the second look at the number differs.
        number = self._active_number()
        while number is not None and not self._path(number).is_dir():
            again = self._active_number()
            if again == number:
                raise Damaged(
                    f"{self._folder} has lost its active slot", why=f"{self._path(number)} does not exist", hint=_HINT
                )
            number = again
        return None if number is None else Slot(self._path(number), number, sealed=True)

    def previous(self) -> Slot | None:
        """The slot to go back to while the active one is on probation; None where there is none."""
        number = None
        with contextlib.suppress(StoreError):  # a way back is a help: without it the active slot is as good as before
            number = self._number_in(_PREVIOUS)
        if number is None or number == self._active_number() or not self._path(number).is_dir():
            return None
        return Slot(self._path(number), number, sealed=True)

    def activate(self, slot: Slot, *, restorable: bool = False) -> None:
        """Makes every file of `slot` durable, then makes it the active one. It cannot be written any more.

        An older slot that was not retired may be activated again: that is how a switch is taken back. `restorable`: the
        slot in use until now is kept for `roll_back`; one that is kept already stays the one, since nobody has said
        that what came after it was good. Raises `NotFound` when the slot was retired, `StoreError` when it is empty or
        belongs to other slots.
        """
        if slot.path != self._path(slot.number):
            raise StoreError(f"cannot activate {slot.path}", why=f"it is no slot of {self._folder}")
        slot.seal()
        with told(f"cannot activate {slot.path}"):
            files = list(slot.path.iterdir())
            if not files:
                raise StoreError(f"cannot activate {slot.path}", why="it is empty", hint="write its files first")
            for file in files:
                sync_file(file)
            sync_folder(slot.path)
        if restorable and self.previous() is None and (active := self._active_number()) is not None:
            self._write(_PREVIOUS, active)
        self._write(_ACTIVE, slot.number)

    def settle(self) -> int:
        """The active slot has proved itself: nothing to go back to any more. Retires the old ones; how many."""
        remove_file(self._folder / _PREVIOUS)
        return self.retire()

    def roll_back(self) -> Slot | None:
        """Makes the slot before the active one active again, and retires the other; None where none is kept."""
        previous = self.previous()
        if previous is None:
            return None
        self._write(_ACTIVE, previous.number)
        self.settle()
        return previous

    def forget(self) -> None:
        """No slot is active any more. For who makes anew what was in it, since what says which one it is is damaged."""
        remove_file(self._folder / _ACTIVE)

    def retire(self) -> int:
        """Removes every slot but the active one, what a kill left behind, and not the one kept for `roll_back`.

        How many slots were removed. Raises `Damaged`, and removes nothing, when the active slot is lost: the old ones
        may be all that is left.
        """
        kept = {slot.path for slot in (self.active(), self.previous()) if slot is not None}
        with told(f"cannot retire the old slots of {self._folder}"):
            old = [path for path in map(self._path, self._numbers()) if path not in kept]
            for path in old:
                shutil.rmtree(path)
            for leftover in (*leftovers(self._folder / _ACTIVE), *leftovers(self._folder / _PREVIOUS)):
                remove_file(leftover)
            if old:
                sync_folder(self._folder)
        return len(old)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}"

    def _numbers(self) -> list[int]:
        """The numbers of all slots, in order. Whatever else lies in the folder is not ours, and left alone."""
        return [number for number in self._taken() if self._path(number).is_dir()]

    def _taken(self) -> list[int]:
        """The numbers that no new slot can have, in order: of slots, and of what else stands under such a name."""
        if not self._folder.is_dir():
            return []
        names = [path.name for path in self._folder.iterdir()]
        numbers = (int(name) for name in names if name.isascii() and name.isdigit())
        return sorted(number for number in numbers if self._path(number).name in names)

    def _write(self, name: str, number: int) -> None:
        write_file(self._folder / name, b"%d\n" % number, mode=PUBLIC)

    def _active_number(self) -> int | None:
        return self._number_in(_ACTIVE)

    def _number_in(self, name: str) -> int | None:
        path = self._folder / name
        with contextlib.suppress(NotFound):
            said = read_file(path, limit=32)
            if not said.strip().isdigit():
                raise Damaged(f"{path} is damaged", why=f"got {said!r}, expected a slot's number", hint=_HINT)
            return int(said)
        return None


def _plain(name: str) -> str:
    if not name or name.startswith(".") or "/" in name or "\0" in name:
        raise StoreError(f"{name!r} is no file name for a slot", why="expected one without '/' that begins with no dot")
    return name
