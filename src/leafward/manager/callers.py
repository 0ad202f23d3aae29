"""Who is calling: the kernel says which process is at the other end of a unix socket, this room which module it is.

A module is known by its processes. Whoever starts a module attaches its first process by the Management API; what that
process starts belongs to the module too (its descendants, found by walking up the parents). The nearest attached
ancestor decides.

Process ids are used again by the kernel. Three things keep a newcomer from inheriting an identity:

1. an attachment holds the process by a descriptor (pidfd_open, Linux 5.3), and its start time beside its id: it counts
   only while that process runs and both are the same;
2. each parent on the walk must not have started after its child;
3. a caller is held by a process descriptor taken from its connection (SO_PEERPIDFD, Linux 6.5): the process that
   connected, whoever has its id by now. It must still be alive after the walk. On older kernels a descriptor taken when
   the connection is accepted stands in for it, which leaves the moment between connect and accept: whoever wants to
   use it must pass the connection on, end, and have its id come round to a module's process within that moment.

NOTE: a process whose parent has ended belongs to init, and to no module any more: a module that puts itself in the
background loses its identity. Processes of one user can also trace one another: where modules must not trust
one another, each runs as a user of its own, or in a container.
"""

import contextlib
import os
import select
import signal
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from leafward.errors import AccessDenied, AlreadyExists, NotFound

# Deeper process trees than this are not walked: a bound on the work one request can cause.
MAX_DEPTH = 64
# socket.SO_PEERPIDFD is not in Python's socket module yet; the number is the kernel's (asm-generic/socket.h).
SO_PEERPIDFD = 77
_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process of this machine, told apart from a later one with the same id by its start time (clock ticks)."""

    pid: int
    parent: int
    start: int

    @classmethod
    def read(cls, pid: int) -> "Process":
        """The process `pid`. Raises `NotFound` where none runs.

        The name in field 2 of /proc/PID/stat may hold spaces and brackets; the fields are counted from its last one.
        """
        try:
            text = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError) as error:
            raise NotFound(f"no process {pid}", hint="it may have ended; attach the process of the module") from error
        fields = text[text.rindex(")") + 2 :].split()
        return cls(pid, parent=int(fields[1]), start=int(fields[19]))


class Peer:
    """The process at the other end of one connection, held for as long as the connection lives."""

    def __init__(self, pid: int, uid: int, start: int | None, descriptor: int | None = None) -> None:
        self.pid = pid
        self.uid = uid
        self._start = start
        self._descriptor = descriptor

    @classmethod
    def of(cls, connection: socket.socket) -> "Peer":
        """The peer of a connected unix socket. A process of another pid namespace has pid 0 and is no module."""
        pid, uid, _gid = credentials(connection)
        descriptor = _peer_descriptor(connection, pid)
        start = None
        with contextlib.suppress(NotFound):
            start = Process.read(pid).start if pid > 0 else None
        return cls(pid, uid, start, descriptor)

    @property
    def alive(self) -> bool:
        """Whether the process that connected is the one that has its pid now."""
        if self._start is None:
            return False
        if self._descriptor is not None:
            return not _has_ended(self._descriptor)
        try:
            return Process.read(self.pid).start == self._start
        except NotFound:
            return False

    def close(self) -> None:
        """Lets the process descriptor go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._start = None


def _peer_descriptor(connection: socket.socket, pid: int) -> int | None:
    with contextlib.suppress(OSError):
        value = connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, struct.calcsize("i"))
        return int(struct.unpack("i", value)[0])
    return open_process(pid)


def open_process(pid: int) -> int | None:
    """A descriptor of the process that has this id now; None where there is none, or the kernel knows none."""
    try:
        return os.pidfd_open(pid) if pid > 0 else None
    except (OSError, AttributeError):
        return None


def _has_ended(descriptor: int) -> bool:
    # Not `select`: it cannot watch descriptors above 1023.
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def credentials(connection: socket.socket) -> tuple[int, int, int]:
    """pid, uid and gid of the peer as the kernel saw them when it connected (unix(7), SO_PEERCRED)."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", data)
    return pid, uid, gid


@dataclass(frozen=True)
class Attachment:
    """That a process is a module: its start time (clock ticks), the module and its generation, and since when (UTC).

    The generation keeps a process of an earlier registration of a name from the rights of a later one. `descriptor`
    holds the process where the kernel can: start times are counted in hundredths of a second only.
    """

    start: int
    module_id: str
    generation_id: str
    since: datetime
    descriptor: int | None = field(default=None, compare=False)

    @property
    def ended(self) -> bool:
        """Whether the process has ended; False also where nothing is known."""
        return self.descriptor is not None and _has_ended(self.descriptor)

    def close(self) -> None:
        """Lets the process go."""
        if self.descriptor is not None:
            os.close(self.descriptor)


class Callers:
    """Which processes are which module. Kept in memory: after a restart of the manager modules are attached anew."""

    def __init__(self) -> None:
        self._attached: dict[int, Attachment] = {}

    def attach(self, pid: int, module_id: str, generation_id: str, *, now: datetime) -> None:
        """Makes process `pid`, and what it starts, be this generation of `module_id`. `now` is aware UTC.

        Attaching the same again changes nothing. Raises `NotFound` where no such process runs, `AlreadyExists` where
        it is another module, or an earlier generation, already, `AccessDenied` for init, whose descendants are
        everybody.
        """
        if pid <= 1:
            raise AccessDenied(f"process {pid} cannot be a module", hint="attach the process of the module itself")
        self._forget_ended()
        # First held, then read: what is read is of the process that is held, or both are of one that has ended.
        descriptor = open_process(pid)
        process = Process.read(pid)
        held = self._attached.get(pid)
        if held is None:
            self._attached[pid] = Attachment(process.start, module_id, generation_id, now, descriptor)
            return
        if descriptor is not None:
            os.close(descriptor)
        if (held.module_id, held.generation_id) != (module_id, generation_id):
            raise AlreadyExists(f"process {pid} is attached to {held.module_id!r} already", hint="start it anew")

    def attach_peer(self, peer: Peer, module_id: str, generation_id: str, *, now: datetime) -> None:
        """`attach` for the process at the other end of a connection, which says so of itself.

        A process that belongs to a module by one of its parents does not get another generation in this way.
        """
        inherited = self.attachment_of(peer)
        if inherited is not None and inherited.generation_id != generation_id:
            raise AccessDenied("forbidden", hint="start the module anew")
        self.attach(peer.pid, module_id, generation_id, now=now)
        if not peer.alive:
            # The id may be somebody else's by now.
            self._forget(lambda pid, _held: pid == peer.pid)
            raise AccessDenied("forbidden")

    def detach_module(self, module_id: str) -> None:
        """Forgets every process of a module."""
        self._forget(lambda _pid, held: held.module_id == module_id)

    def signal(self, module_id: str, number: int) -> int:
        """Sends a signal to the attached processes of a module; how many there are. A process with an id that was used
        again never gets it. Raises `AccessDenied` for a process of a user whom we may not signal.
        """
        self._forget_ended()
        found = [(pid, held) for pid, held in self._attached.items() if held.module_id == module_id]
        for pid, held in found:
            try:
                if held.descriptor is not None:
                    signal.pidfd_send_signal(held.descriptor, number)
                else:
                    os.kill(pid, number)
            except ProcessLookupError:
                continue
            except PermissionError as error:
                why = f"its process {pid} is another user's"
                raise AccessDenied(f"the module {module_id!r} cannot be stopped", why=why) from error
        return len(found)

    def close(self) -> None:
        """Forgets everybody."""
        self._forget(lambda _pid, _held: True)

    def processes_of(self, module_id: str) -> list[int]:
        """The attached processes of a module that still run, lowest id first."""
        self._forget_ended()
        return sorted(pid for pid, held in self._attached.items() if held.module_id == module_id)

    def running_since(self, module_id: str) -> datetime | None:
        """When the first process of a module that still runs was attached; None where none runs."""
        self._forget_ended()
        return min((held.since for held in self._attached.values() if held.module_id == module_id), default=None)

    def module_of(self, peer: Peer) -> str | None:
        """The module that a peer belongs to; None for a process that is no module's, or has ended."""
        attachment = self.attachment_of(peer)
        return attachment.module_id if attachment is not None else None

    def attachment_of(self, peer: Peer) -> Attachment | None:
        """What makes a peer a module: its own attachment, or that of its nearest attached parent."""
        attachment = self._nearest(peer.pid)
        # Asked after the walk: only then is it sure that the walk began at the peer and not at its successor.
        return attachment if peer.alive else None

    def _nearest(self, pid: int) -> Attachment | None:
        child_start: int | None = None
        for _ in range(MAX_DEPTH):
            try:
                process = Process.read(pid)
            except NotFound:
                return None
            if child_start is not None and process.start > child_start:
                return None
            held = self._attached.get(pid)
            if held is not None and held.start == process.start and not held.ended:
                return held
            if process.parent <= 1:
                return None
            pid, child_start = process.parent, process.start
        return None

    def _forget_ended(self) -> None:
        self._forget(lambda pid, held: held.ended or not _runs(pid, held.start))

    def _forget(self, which: Callable[[int, Attachment], bool]) -> None:
        for pid, held in list(self._attached.items()):
            if which(pid, held):
                del self._attached[pid]
                held.close()


def _runs(pid: int, start: int) -> bool:
    try:
        return Process.read(pid).start == start
    except NotFound:
        return False
