"""What is wrong with a gateway beyond its certificates: pure but for the machine's name."""

import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from leafward.doctor.file_contents import FileContents
from leafward.doctor.finding import Severity
from leafward.doctor.noted import Noted
from leafward.pki.chain import fingerprint
from leafward.pki.extension import path_length, unreadable
from leafward.pki.link import Link
from leafward.pki.rules.expires_soon import notice

# Certificates are back-dated by an hour, so a clock that is behind by less changes nothing.
_SMALL = timedelta(hours=1)
_FORM = "%Y-%m-%dT%H:%M:%SZ"


def ca_faults(
    file: FileContents, workload: tuple[x509.Certificate, ...], *, now: datetime, production: bool, started: bool
) -> Iterator[Noted]:
    """The device CA in `file`, and the workload CA below it. `started`: the gateway has run before."""
    readable = [one for one in file.certificates if not unreadable(one)]
    if not readable:
        yield _missing(file, needed=production or started)
        return
    device_ca = readable[0]
    if path_length(device_ca) == 0:
        yield Noted(
            code="path-length-exceeded",
            got="pathlen 0 at the device CA",
            expected="1 or more: the workload CA hangs below it",
            who="maker",
            fix="Issue the device CA with pathlen 1: leafward ca device.",
            certificate=fingerprint(device_ca),
        )
    left = device_ca.not_valid_after_utc - now
    if timedelta(0) < left <= notice(device_ca):
        yield Noted(
            code="device-ca-expiring",
            severity="warning",
            got=f"an end at {device_ca.not_valid_after_utc:{_FORM}}, in {left.days} days",
            expected=f"more than {notice(device_ca).days} days",
            who="maker",
            fix="Have a new device CA issued (leafward ca device), and put it in place before that day.",
            certificate=fingerprint(device_ca),
        )
    if workload and not unreadable(workload[0]) and not Link(workload[0], device_ca).holds:
        yield Noted(
            code="workload-ca-not-from-device-ca",
            got=f"a workload CA signed by {workload[0].issuer.rfc4514_string()!r}, by another key or name",
            expected=f"one signed by the device CA in place, {device_ca.subject.rfc4514_string()!r}",
            who="operator",
            fix="Start the manager (leafward up, leafward manager rotate): it makes a workload CA below the device CA "
            "that is in place, and a hub certificate below that.",
            certificate=fingerprint(workload[0]),
        )


def _missing(file: FileContents, *, needed: bool) -> Noted:
    fault = next(iter(file.faults), None)
    return Noted(
        code="device-ca-missing",
        severity="error" if needed else "warning",
        got=f"{fault.got} at {file.path}" if fault else f"no certificate in {file.path}",
        expected="the device CA with its chain, leaf first",
        who="maker" if needed else "operator",
        fix="Put the device CA of the maker there (leafward ca device makes one), or name it in "
        "device.device_ca_certificate; leafward up makes one for development.",
    )


def clock_faults(now: datetime, seen: datetime) -> Iterator[Noted]:
    """`seen` is the newest time that the manager has known."""
    if now < seen - _SMALL:
        yield Noted(
            code="time-floor-in-use",
            severity="warning",
            got=f"{now:{_FORM}}",
            expected=f"a time after {seen:{_FORM}}, which the manager has seen",
            who="operator",
            fix="Set the gateway's clock: timedatectl set-ntp true. leafward manager status shows the time in use.",
        )


def socket_faults(sockets: Mapping[str, Path], *, usable: Callable[[Path], bool]) -> Iterator[Noted]:
    """The sockets of a running edge that this user cannot use."""
    for name, path in sockets.items():
        if usable(path):
            continue
        try:
            there = path.exists()
        except OSError:  # a folder above that may not be looked into
            there = True
        yield Noted(
            code="socket-permission",
            severity="warning",
            got="a socket that this user may not open" if there else "no socket",
            expected=f"the socket of the {name} at {path}",
            who="operator",
            fix="Run the command as the user of the daemons (sudo -u leafward); namei -l shows whose folders are on "
            "the way."
            if there
            else "Start the daemon that makes it: leafward up, or systemctl status leafward-manager.",
        )


def name_faults(hostname: str, *, severity: Severity) -> Iterator[Noted]:
    """Whether the gateway's name is this machine's."""
    machine = socket.gethostname()
    if hostname.lower() not in (machine.lower(), machine.lower().partition(".")[0]):
        yield Noted(
            code="hostname-not-machine-name",
            severity=severity,
            got=f"hostname {hostname!r}",
            expected=f"{machine!r}, what this machine calls itself",
            who="operator",
            fix=f"Nothing, where {hostname} resolves to this machine for the leaf devices; else set the hostname "
            "in the settings and restart.",
        )


def served_faults(served: tuple[x509.Certificate, ...], current: tuple[x509.Certificate, ...]) -> Iterator[Noted]:
    """What came over the network beside what is filed; either may be empty."""
    if not served or not current or served[0] == current[0]:
        return
    yield Noted(
        code="served-certificate-not-current",
        severity="warning",
        got=f"a certificate that begins {served[0].not_valid_before_utc:{_FORM}} "
        f"and ends {served[0].not_valid_after_utc:{_FORM}}",
        expected=f"the one that is filed, {fingerprint(current[0])[:16]}…, from "
        f"{current[0].not_valid_before_utc:{_FORM}} to {current[0].not_valid_after_utc:{_FORM}}",
        who="operator",
        fix="Let the hub take it up: leafward manager rotate; where it does not, restart the hub. See also whether "
        "another machine or process answers there: ss -ltnp.",
        certificate=fingerprint(served[0]),
    )
