"""The commands of the convenience scripts: what each makes in which dialect, and which dialect a name means.

Light on purpose, as `certgen_dialect`.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from leafward.authority.certgen_dialect import (
    DIALECTS,
    IOTEDGE,
    IOTEDGE_POWERSHELL,
    SDK_C,
    SDK_C_POWERSHELL,
    Dialect,
    found_in,
)
from leafward.errors import UsageError

Kind = Literal["device-ca", "client", "identity", "server", "verification"]
# What a command does other than issue one certificate.
Deed = Literal["hierarchy", "install-files", "install-text", "check", "edge-files", "environment"]


@dataclass(frozen=True, slots=True)
class Paper:
    """One certificate: `prefix` and `common_name` have `{}` for the command's argument; `signer` is a role."""

    kind: Kind
    prefix: str
    common_name: str
    signer: Literal["root", "intermediate"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of one dialect: it makes a `Paper`, or does something else."""

    name: str
    does: Paper | Deed
    usage: str = "NAME"
    least: int = 1
    most: int = 1


def _paper(kind: Kind, prefix: str, signer: Literal["root", "intermediate"], *, ca: bool = False) -> Paper:
    return Paper(kind, prefix, "{}.ca" if ca else "{}", signer)


def _table(*commands: Command) -> Mapping[str, Command]:
    return MappingProxyType({command.name: command for command in commands})


_HIERARCHY = Command("create_root_and_intermediate", "hierarchy", usage="", least=0, most=0)
_PAIR = "CERTIFICATE KEY [PASSWORD]"
_CHAIN = "rsa|ecc"
_ISSUED_BY = "NAME [ISSUER]"

COMMANDS: Mapping[str, Mapping[str, Command]] = MappingProxyType(
    {
        SDK_C.name: _table(
            _HIERARCHY,
            Command("create_verification_certificate", _paper("verification", "verification-code", "root")),
            Command("create_device_certificate", _paper("client", "new-device", "root")),
            Command("create_device_certificate_from_intermediate", _paper("client", "new-device", "intermediate")),
            Command("create_edge_device_certificate", _paper("device-ca", "new-edge-device", "intermediate", ca=True)),
        ),
        IOTEDGE.name: _table(
            _HIERARCHY,
            Command("install_root_ca_from_files", "install-files", usage=_PAIR, least=2, most=3),
            Command("install_root_ca_from_cli", "install-text", usage=_PAIR, least=2, most=3),
            Command("create_verification_certificate", _paper("verification", "iot-device-verification-code", "root")),
            Command("create_device_certificate", _paper("client", "iot-device-{}", "intermediate")),
            Command(
                "create_edge_device_certificate", _paper("device-ca", "iot-edge-device-{}", "intermediate", ca=True)
            ),
            Command(
                "create_edge_device_ca_certificate",
                _paper("device-ca", "iot-edge-device-ca-{}", "intermediate", ca=True),
            ),
            Command(
                "create_edge_device_identity_certificate",
                _paper("identity", "iot-edge-device-identity-{}", "intermediate"),
            ),
            Command("create_edge_server_certificate", _paper("server", "iot-edge-server-{}", "intermediate")),
        ),
        SDK_C_POWERSHELL.name: _table(
            Command("Test-CACertsPrerequisites", "check", usage="", least=0, most=0),
            Command("New-CACertsCertChain", "hierarchy", usage=_CHAIN),
            Command("New-CACertsVerificationCert", _paper("verification", "verifyCert4", "root")),
            Command("New-CACertsDevice", _paper("client", "{}", "root"), usage=_ISSUED_BY, most=2),
            Command(
                "New-CACertsEdgeDevice", _paper("device-ca", "{}.ca", "intermediate", ca=True), usage=_ISSUED_BY, most=2
            ),
            Command("Write-CACertsCertificatesForEdgeDevice", "edge-files"),
            Command("Write-CACertsCertificatesToEnvironment", "environment", usage="NAME HUB [true]", least=2, most=3),
        ),
        IOTEDGE_POWERSHELL.name: _table(
            Command("Test-CACertsPrerequisites", "check", usage="", least=0, most=0),
            Command("New-CACertsCertChain", "hierarchy", usage=_CHAIN),
            Command(
                "Install-RootCACertificate",
                "install-files",
                usage="CERTIFICATE KEY rsa|ecc [PASSWORD]",
                least=3,
                most=4,
            ),
            Command("New-CACertsVerificationCert", _paper("verification", "iot-device-verification-code", "root")),
            Command("New-CACertsDevice", _paper("client", "iot-device-{}", "intermediate"), usage=_ISSUED_BY, most=2),
            Command(
                "New-CACertsEdgeDevice",
                _paper("device-ca", "iot-edge-device-{}", "intermediate", ca=True),
                usage=_ISSUED_BY,
                most=2,
            ),
            Command(
                "New-CACertsEdgeDeviceCA",
                _paper("device-ca", "iot-edge-device-ca-{}", "intermediate", ca=True),
                usage=_ISSUED_BY,
                most=2,
            ),
            Command(
                "New-CACertsEdgeDeviceIdentity",
                _paper("identity", "iot-edge-device-identity-{}", "intermediate"),
                usage=_ISSUED_BY,
                most=2,
            ),
            Command(
                "New-CACertsEdgeServer",
                _paper("server", "iot-edge-server-{}", "intermediate"),
                usage=_ISSUED_BY,
                most=2,
            ),
        ),
    }
)
# What `--dialect powershell` makes of the bash scripts' names.
_IN_POWERSHELL = MappingProxyType(
    {
        "create_root_and_intermediate": "New-CACertsCertChain",
        "install_root_ca_from_files": "Install-RootCACertificate",
        "create_verification_certificate": "New-CACertsVerificationCert",
        "create_device_certificate": "New-CACertsDevice",
        "create_edge_device_certificate": "New-CACertsEdgeDevice",
        "create_edge_device_ca_certificate": "New-CACertsEdgeDeviceCA",
        "create_edge_device_identity_certificate": "New-CACertsEdgeDeviceIdentity",
        "create_edge_server_certificate": "New-CACertsEdgeServer",
    }
)
# The order in which a name's dialect is looked for, where neither the folder nor an option says it.
_PREFERENCE = (IOTEDGE.name, SDK_C.name, IOTEDGE_POWERSHELL.name, SDK_C_POWERSHELL.name)
# What may be written after --dialect, and which scripts it can mean.
CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sdk-c": (SDK_C.name, SDK_C_POWERSHELL.name),
        "iotedge": (IOTEDGE.name, IOTEDGE_POWERSHELL.name),
        "powershell": (IOTEDGE_POWERSHELL.name, SDK_C_POWERSHELL.name),
    }
)


def resolve(name: str, choice: str | None, folder: Path) -> tuple[Dialect, Command]:
    """The dialect and the command that a name means in a folder.

    First what `choice` allows, of that the dialect of the folder's own hierarchy, then IoT Edge's. PowerShell's names
    are taken in any case. Raises `UsageError` for a name that none of them has.
    """
    allowed = CHOICES[choice] if choice else _PREFERENCE
    if choice == "powershell":
        name = _IN_POWERSHELL.get(name, name)
    having = [one for one in _PREFERENCE if one in allowed and _named(one, name)]
    if not having:
        raise _unknown(name, choice, allowed)
    there = found_in(folder)
    chosen = there.name if there is not None and there.name in having else having[0]
    command = _named(chosen, name)
    assert command is not None
    return DIALECTS[chosen], command


def check_arguments(command: Command, arguments: tuple[str, ...]) -> None:
    """Raises `UsageError` unless there are as many arguments as the command takes, none of them empty."""
    usage = f"leafward certgen {command.name} {command.usage}".rstrip()
    if not command.least <= len(arguments) <= command.most:
        expected = str(command.least) if command.least == command.most else f"{command.least} to {command.most}"
        why = f"got {len(arguments)} arguments, expected {expected}"
        raise UsageError(f"{command.name} is called otherwise", why=why, hint=usage)
    if not all(argument.strip() for argument in arguments):
        raise UsageError(f"{command.name} is called otherwise", why="an argument is empty", hint=usage)


def _named(dialect: str, name: str) -> Command | None:
    table = COMMANDS[dialect]
    if DIALECTS[dialect].is_powershell:
        return next((command for known, command in table.items() if known.lower() == name.lower()), None)
    return table.get(name)


def _unknown(name: str, choice: str | None, allowed: tuple[str, ...]) -> UsageError:
    known = list(dict.fromkeys(command for one in allowed for command in COMMANDS[one]))
    near = difflib.get_close_matches(name, known, n=1)
    elsewhere = [word for word, ones in CHOICES.items() if any(_named(one, name) for one in ones)]
    why = f"it is a command of --dialect {' and '.join(elsewhere)}" if choice and elsewhere else None
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
    return UsageError(f"no command {name!r}", why=why, hint=hint)
