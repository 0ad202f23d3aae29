"""Which trust stores this machine has."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from leafward.cli.trust.java_store import java_stores
from leafward.cli.trust.linux_stores import Alpine, Arch, Debian, Fedora, Suse
from leafward.cli.trust.machine import Machine
from leafward.cli.trust.nss_store import nss_stores
from leafward.cli.trust.other_systems import MacOs, Windows
from leafward.cli.trust.store import TrustStore
from leafward.errors import NotFound

Wanted = Literal["system", "nss", "java", "all"]

_LINUX: Mapping[str, type[TrustStore]] = MappingProxyType(
    {
        "debian": Debian,
        "ubuntu": Debian,
        "alpine": Alpine,
        "fedora": Fedora,
        "rhel": Fedora,
        "centos": Fedora,
        "arch": Arch,
        "suse": Suse,
        "opensuse": Suse,
    }
)
_OTHER: Mapping[str, type[TrustStore]] = MappingProxyType({"darwin": MacOs, "win32": Windows})


def find_stores(machine: Machine, wanted: Wanted) -> list[TrustStore]:
    """The stores of the wanted kind, the system's first. Raises `NotFound` where there is none."""
    found: list[TrustStore] = []
    if wanted in {"system", "all"} and (system := system_store(machine)) is not None:
        found.append(system)
    if wanted in {"nss", "all"}:
        found += nss_stores(machine)
    if wanted in {"java", "all"}:
        found += java_stores(machine)
    if not found:
        raise NotFound(f"no trust store found ({wanted})", why=_why(machine, wanted), hint=_HINTS.get(wanted))
    return found


def system_store(machine: Machine) -> TrustStore | None:
    """The store of the operating system; None for a system that is not known."""
    if machine.platform in _OTHER:
        return _OTHER[machine.platform]()
    kind = next((_LINUX[name] for name in machine.systems if name in _LINUX), None)
    return None if kind is None else kind()


def _why(machine: Machine, wanted: Wanted) -> str:
    if wanted == "system":
        system = machine.release.get("ID") or machine.platform
        return f"the system is {system}, known are {', '.join(_LINUX)}, macOS, Windows"
    return f"looked below {machine.user_home}" if wanted == "nss" else "there is no cacerts of a Java runtime"


_HINTS: Mapping[str, str] = MappingProxyType(
    {
        "system": "give the root to the programs that need it: each SDK takes a file",
        "nss": "start the browser once: it makes its database then",
        "java": "set JAVA_HOME",
    }
)
