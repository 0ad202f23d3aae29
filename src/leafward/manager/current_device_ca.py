"""The device CA that a running manager works below, replaceable while it runs.

It is replaced in memory only: the files are the maker's or the enrolment's. The one before stays known until the hub
has proved what was issued below the new one, so that everything can go back to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from leafward.manager.device_ca import DeviceCa
from leafward.manager.trust_bundle import trust_bundle


@dataclass(frozen=True)
class _Held:
    device_ca: DeviceCa
    roots: tuple[x509.Certificate, ...]


class CurrentDeviceCa:
    """`value` and `anchors` change together. Replaced by the manager's loop; read by any thread."""

    def __init__(self, device_ca: DeviceCa, roots: Sequence[x509.Certificate] = ()) -> None:
        """`roots` is the operator's trust bundle."""
        self._now = _Held(device_ca, tuple(roots))
        self._before: _Held | None = None

    @property
    def value(self) -> DeviceCa:
        """The device CA in use."""
        return self._now.device_ca

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """The roots to trust: the device CA's own first, then the operator's, then that of a device CA before it.

        The last is there while the new one is on probation, since leaf devices and the hub still stand below it.
        """
        held, before = self._now, self._before
        earlier = () if before is None else trust_bundle(before.roots, before.device_ca.chain)
        return trust_bundle((*held.roots, *earlier), held.device_ca.chain)

    @property
    def on_probation(self) -> bool:
        """Whether there is a device CA to go back to."""
        return self._before is not None

    def replace(self, new: DeviceCa, roots: Sequence[x509.Certificate]) -> None:
        """Works below `new` from now on, on probation. One that was on probation already leaves no trace."""
        before = self._before or self._now
        self._now, self._before = _Held(new, tuple(roots)), before
        if before.device_ca.chain == new.chain:
            self._before = None

    def settle(self) -> None:
        """The new one has proved itself."""
        self._before = None

    def roll_back(self) -> bool:
        """Works below the one before again; False where there is none."""
        if self._before is None:
            return False
        self._now, self._before = self._before, None
        return True
