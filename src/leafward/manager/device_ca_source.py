"""Where a running manager finds its device CA: files that somebody may replace, or an enrolment that renews it.

Reading is judging: what comes out of here may sign, or an error says why not. Whether the files were replaced is seen
by a cheap look (time, inode and size). The look must find the same twice: whoever replaces a certificate and its key
does so one after the other, and half of that is no device CA.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from leafward.errors import KeyUnavailable, LeafwardError, StoreError
from leafward.manager.device_ca import DeviceCa, DeviceCaFiles, find_device_ca, is_development, judge_device_ca
from leafward.manager.pairs import first_end
from leafward.manager.settings import ManagerSettings
from leafward.manager.time_floor import TimeFloor
from leafward.manager.trust_bundle import read_roots
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.manager.enrolment import Enrolment

# A token or a disk that did not answer is asked again after this; what is wrong with a file is wrong until it changes.
ASK_AGAIN = timedelta(hours=1)

# What a file looks like without reading it; None where there is none.
_Look = tuple[int, int, int] | None


@dataclass(frozen=True)
class ReadDeviceCa:
    """A device CA that passed, and the operator's roots of the same moment."""

    device_ca: DeviceCa
    roots: tuple[x509.Certificate, ...]


class DeviceCaSource:
    """Of one home. `read` and `enrol` may take long and are called in a thread, one at a time."""

    def __init__(self, home: Home, settings: ManagerSettings, time: TimeFloor) -> None:
        self._home = home
        self._settings = settings
        self._time = time
        self.enrolment = enrolment_of(home, settings, time)
        self._taken: tuple[_Look, ...] = ()
        self._seen: tuple[_Look, ...] = ()
        self._again: datetime | None = None

    @property
    def files(self) -> DeviceCaFiles:
        """Where it lies now."""
        enrolled = None if self.enrolment is None else self.enrolment.current()
        return enrolled or DeviceCaFiles.of(self._settings.device, self._home)

    def read(self, *, starting: bool = False) -> ReadDeviceCa:
        """Reads and judges what lies there. Raises what `find_device_ca` and `judge_device_ca` raise.

        `starting`: the time is not before the newest of its notBefore dates, even where the clock says so.
        """
        self._taken = self._seen = self._look()
        self._again = None
        try:
            return self._read(starting=starting)
        except (KeyUnavailable, StoreError):
            self._again = self._time.now() + ASK_AGAIN
            raise

    def _read(self, *, starting: bool) -> ReadDeviceCa:
        device = self._settings.device
        roots = read_roots(device.trust_bundle)
        found = find_device_ca(self._home, device, roots=roots, files=self.files)
        if starting or self._time.in_use:
            # A development chain was made by this machine's own clock, which says no more than it does now.
            own = is_development(self._home, found.chain)
            (self._time.learn_own if own else self._time.learn)(found.chain.certificates)
        if starting:
            self._time.learn_end(first_end(found.chain))
        return ReadDeviceCa(judge_device_ca(found, self._home, device, now=self._time.now()), roots)

    def enrol(self) -> ReadDeviceCa:
        """Asks the EST server for another. Raises what `Enrolment.enrol` raises; the old one is in use then."""
        assert self.enrolment is not None
        self.enrolment.enrol()
        return self.read()

    def settle(self) -> None:
        """What `enrol` put in use has proved itself. Raises `StoreError`."""
        if self.enrolment is not None:
            self.enrolment.tidy()

    def take_back(self) -> None:
        """What was in use before the last `enrol` is in use again. Files that somebody put there stay as they are."""
        if self.enrolment is not None:
            self.enrolment.take_back()
        self._taken = self._seen = self._look()

    def stop(self) -> None:
        """Ends a request to the EST server that is under way, and every later one. From any thread."""
        if self.enrolment is not None:
            self.enrolment.stop()

    def was_replaced(self) -> bool:
        """A look: whether the files are others than those read last, and have come to rest."""
        before, self._seen = self._seen, self._look()
        if self._seen != before:
            return False
        return self._seen != self._taken or (self._again is not None and self._time.now() >= self._again)

    def _look(self) -> tuple[_Look, ...]:
        try:
            files = self.files
        except LeafwardError:  # told by whoever reads them
            return ()
        key = Path(files.key.rest) if files.key.scheme == "file" else None
        return tuple(_look(path) for path in (files.certificate, key, self._settings.device.trust_bundle))


def enrolment_of(home: Home, settings: ManagerSettings, time: TimeFloor) -> "Enrolment | None":
    """The enrolment that `[enrolment]` sets; None without it."""
    if settings.enrolment is None:
        return None
    from leafward.manager.enrolment import Enrolment  # noqa: PLC0415 - its libraries are for gateways that enrol

    return Enrolment.of(home, settings, now=time.now)


def _look(path: Path | None) -> _Look:
    try:
        status = None if path is None else path.stat()
    except OSError:
        return None
    return None if status is None else (status.st_mtime_ns, status.st_ino, status.st_size)
