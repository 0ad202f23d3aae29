"""systemd's units for the three parts, and the accounts and folders they need: as texts, from one plan.

    leafward-manager.service        user leafward       keys, device CA, the two APIs
    leafward-hub.service            user leafward-hub   the ports
    leafward-provisioning.service   user leafward-hub   one unix socket, no network

Both users share one group and one home. What each may touch is said twice: by the modes of the files, and by the
units, which show each part no more of the machine than it works with (`units_hardening.py`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from leafward.cli.units_hardening import CAPABILITIES, EVERY_PART, LOWEST_FREE_PORT, OF_PART

UNIT_FOLDER = Path("etc/systemd/system")
ACCOUNTS_FILE = Path("etc/sysusers.d/leafward.conf")
FOLDERS_FILE = Path("etc/tmpfiles.d/leafward.conf")
PARTS = ("manager", "hub", "provisioning")
HARDWARE_FILE = UNIT_FOLDER / "leafward-manager.service.d/hardware.conf"

WATCHDOG_SECONDS = 30
# A first start makes every key, some in an HSM that takes its time. A part that waits longer asks for more time itself.
START_SECONDS = 180
STOP_SECONDS = 15
RESTART_SECONDS = 2


@dataclass(frozen=True)
class Plan:
    """What the units are to be like. Paths are absolute and hold no blanks; `devices` are device files of a TPM or an
    HSM that the manager's keys need.
    """

    executable: Path
    home: Path
    user: str
    hub_user: str
    bind: str
    mqtt_port: int
    https_port: int
    devices: tuple[Path, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The group that both users share: the manager's own."""
        return self.user


Lines = Iterable[tuple[str, str]]


def files(plan: Plan) -> dict[Path, str]:
    """Every file, by its path below the root of the file system."""
    found = {UNIT_FOLDER / f"leafward-{part}.service": unit(plan, part) for part in PARTS}
    if plan.devices:
        found[HARDWARE_FILE] = hardware(plan)
    found[ACCOUNTS_FILE] = accounts(plan)
    found[FOLDERS_FILE] = folders(plan)
    return found


def unit(plan: Plan, part: str) -> str:
    """The service of one part."""
    return _sections(
        {
            "Unit": _order(plan, part),
            "Service": (*_service(plan, part), *_hardening(plan, part)),
            "Install": (("WantedBy", "multi-user.target"),),
        }
    )


def hardware(plan: Plan) -> str:
    """What the manager's unit gives up where its keys are in a TPM or an HSM: those device files, and no others."""
    lines = [("PrivateDevices", "no"), ("DevicePolicy", "closed")]
    lines += [("DeviceAllow", f"{device} rw") for device in plan.devices]
    lines += [("SupplementaryGroups", group) for group in plan.groups]
    return _sections({"Service": lines})


def accounts(plan: Plan) -> str:
    """The two users and their group, for sysusers.d(5). Neither can log in."""
    return "".join(
        f"{line}\n"
        for line in (
            f"g {plan.group} -",
            f'u {plan.user} - "leafward security manager" {plan.home} -',
            f'u {plan.hub_user} - "leafward hub and provisioning" {plan.home} -',
            f"m {plan.hub_user} {plan.group}",
        )
    )


def folders(plan: Plan) -> str:
    """The home and what two users share in it, for tmpfiles.d(5), which also puts right what was changed by hand.

    Setgid: what is made within belongs to the group, whoever made it. Sticky: nobody takes another's file away. No line
    for a file that root may have put there: systemd-tmpfiles refuses to follow such a path through a user's folder.
    """
    home, manager, hub, group = plan.home, plan.user, plan.hub_user, plan.group
    rows = (
        ("d", home, "2750", manager),
        ("d", home / "manager", "0700", manager),
        ("d", home / "devices", "0700", manager),
        ("d", home / "trust", "0755", manager),
        ("d", home / "run", "3770", manager),
        ("d", home / "hub", "0700", hub),
        ("f", home / "registry.db", "0660", manager),
    )
    return "".join(f"{kind} {path} {mode} {user} {group} -\n" for kind, path, mode, user in rows)


def _order(plan: Plan, part: str) -> Lines:
    description = {"manager": "security manager", "hub": "hub", "provisioning": "provisioning service"}[part]
    lines = [("Description", f"leafward {description}"), ("After", "network.target")]
    if part == "manager":
        lines.append(("Before", "leafward-hub.service leafward-provisioning.service"))
    else:
        # Wanted, not required: a hub goes on serving while its manager is started anew.
        lines += [("Wants", "leafward-manager.service"), ("After", "leafward-manager.service")]
    # A gateway in the field has nobody to start a unit that gave up.
    return (*lines, ("AssertPathIsDirectory", str(plan.home)), ("StartLimitIntervalSec", "0"))


def _service(plan: Plan, part: str) -> Lines:
    command = [str(plan.executable), part, "run", "--home", str(plan.home)]
    if part == "hub":
        command += ["--bind", plan.bind, "--mqtt-port", str(plan.mqtt_port), "--https-port", str(plan.https_port)]
    yield "Type", "notify"
    yield "NotifyAccess", "main"
    yield "ExecStart", " ".join(word.replace("%", "%%") for word in command)
    if part == "manager":
        yield "ExecReload", "/bin/kill -HUP $MAINPID"
    yield "User", plan.user if part == "manager" else plan.hub_user
    yield "Group", plan.group
    yield "WatchdogSec", str(WATCHDOG_SECONDS)
    yield "Restart", "on-failure"
    yield "RestartSec", str(RESTART_SECONDS)
    yield "TimeoutStartSec", str(START_SECONDS)
    yield "TimeoutStopSec", str(STOP_SECONDS)
    yield "UMask", "0077"
    yield "ReadWritePaths", str(plan.home)
    if part == "hub":
        yield "LimitNOFILE", "262144"
    hidden = {
        "manager": (),
        "hub": ("manager", "maker", "devices"),
        "provisioning": ("manager", "maker", "devices", "hub"),
    }
    for name in hidden[part]:
        yield "InaccessiblePaths", f"-{plan.home / name}"


def _hardening(plan: Plan, part: str) -> Lines:
    yield from EVERY_PART
    yield from OF_PART[part]
    low = part == "hub" and any(0 < port < LOWEST_FREE_PORT for port in (plan.mqtt_port, plan.https_port))
    yield "CapabilityBoundingSet", CAPABILITIES if low else ""
    if low:
        yield "AmbientCapabilities", CAPABILITIES


def _sections(sections: dict[str, Lines]) -> str:
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in lines) for name, lines in sections.items()
    )
