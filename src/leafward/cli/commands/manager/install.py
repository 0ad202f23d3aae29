"""`leafward manager install`: the parts as services of systemd, each with no more rights than it needs."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.options import json_option, listen_options, yes_option
from leafward.errors import UsageError

if TYPE_CHECKING:
    from leafward.cli.units import Plan
    from leafward.cli.units_files import Step

HOME = Path("/var/lib/leafward")
# A service has the right to it, whatever else tries 8443 where it has not.
HTTPS_PORT = 443
TPM_DEVICE, TPM_GROUP = Path("/dev/tpmrm0"), "tss"
# useradd(8), and what systemd takes for a user's name.
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
# Neither quotes nor blanks nor specifiers: a path is written into several files, each with its own rules of quoting.
_PATH = re.compile(r"(?:/[A-Za-z0-9._+@-]+)+")
# ProtectHome=yes empties these for the services.
_HIDDEN = ("/home", "/root", "/run/user")
_CHANGES = ("written", "updated", "replaced", "removed")


def _user(_context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not _USER.fullmatch(value):
        raise UsageError(f"{value!r} is no user's name", hint=f"{parameter.opts[0]} takes one such as leafward")
    return value


def _path(_context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and not _PATH.fullmatch(str(value)):
        why = "expected an absolute path of letters, digits and . _ + @ -"
        raise UsageError(f"{str(value)!r} cannot stand in a unit", why=why, hint=f"choose another {parameter.opts[0]}")
    return value


def _paths(context: click.Context, parameter: click.Parameter, values: tuple[Path, ...]) -> tuple[Path, ...]:
    for value in values:
        _path(context, parameter, value)
    return values


_PATH_TYPE = click.Path(path_type=Path)


@click.command("install")
@click.option("--prefix", type=_PATH_TYPE, default=Path("/"), show_default=True, help="Write below this folder.")
@click.option("--user", default="leafward", show_default=True, callback=_user, help="The manager's user.")
@click.option(
    "--hub-user", default="leafward-hub", show_default=True, callback=_user, help="That of hub, provisioning."
)
@click.option("--home", type=_PATH_TYPE, default=HOME, show_default=True, callback=_path, help="Where the state lives.")
@listen_options
@click.option("--executable", type=_PATH_TYPE, callback=_path, help="The leafward that the units start.")
@click.option("--tpm", is_flag=True, help=f"The manager's keys are in a TPM: gives it {TPM_DEVICE}.")
@click.option("--device", type=_PATH_TYPE, multiple=True, callback=_paths, help="A device file of an HSM; repeatable.")
@click.option("--force", is_flag=True, help="Overwrite, or remove, files that somebody changed.")
@click.option("--uninstall", is_flag=True, help="Take the files away again; the home is left as it is.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@yes_option
@json_option
def command(
    prefix: Path, *, uninstall: bool, force: bool, dry_run: bool, yes: bool, as_json: bool, **asked: Any
) -> None:
    """Makes manager, hub and provisioning services of systemd.

    Writes their units, and what makes their users and folders. May be repeated: what is right is left alone, and so is
    what somebody changed.

    \b
    Examples:
      sudo leafward manager install
      sudo leafward manager install --https-port 8443 --tpm
      leafward manager install --prefix package/ --executable /opt/leafward/bin/leafward
    """
    from leafward.cli import units, units_files

    plan = _plan(**asked)
    ways = {"force": force, "dry_run": dry_run}
    if uninstall:
        if not (yes or dry_run):
            voice.agree("Take leafward's services away? They are not stopped by it.")
        steps = units_files.uninstall(prefix, [*units.files(plan), units.HARDWARE_FILE], **ways)
    else:
        if force and not (yes or dry_run):
            voice.agree("Overwrite files even where somebody changed them?")
        steps = units_files.install(prefix, units.files(plan), **ways)
    _show(steps, _next(plan, prefix, uninstall), dry_run=dry_run, as_json=as_json)


def _plan(
    *, executable: Path | None, tpm: bool, device: tuple[Path, ...], https_port: int | None, **asked: Any
) -> "Plan":
    from leafward.cli.units import Plan

    asked["https_port"] = HTTPS_PORT if https_port is None else https_port
    if asked["user"] == asked["hub_user"]:
        raise UsageError("manager and hub need users of their own", hint="the hub is not to read the manager's keys")
    if asked["https_port"] == asked["mqtt_port"] or 0 in {asked["https_port"], asked["mqtt_port"]}:
        raise UsageError("the hub needs two ports that are known", hint="give --mqtt-port and --https-port apart")
    chosen = executable or Path(sys.prefix) / "bin" / "leafward"
    _refuse_hidden(chosen, asked["home"])
    devices = (*([TPM_DEVICE] if tpm else []), *device)
    return Plan(executable=chosen, devices=devices, groups=(TPM_GROUP,) if tpm else (), **asked)


def _refuse_hidden(executable: Path, home: Path) -> None:
    """Raises `UsageError` for a program or a home that the services could not see."""
    for path, option in ((executable, "--executable"), (home, "--home")):
        if str(path).startswith(tuple(f"{folder}/" for folder in _HIDDEN)):
            why = "a service sees no user's own files (ProtectHome=yes)"
            raise UsageError(
                f"{path} cannot be used", why=why, hint=f"install it in /opt/leafward, say; {option} names it"
            )
    if len(str(home)) > LONGEST_HOME:
        why = f"got {len(str(home))} characters, expected at most {LONGEST_HOME}: a socket's path is bounded"
        raise UsageError(f"{home} is too long", why=why, hint="choose a shorter --home")


# The kernel's 108 bytes for a socket's path, less "/run/provisioning.sock" and what clients keep back.
LONGEST_HOME = 78


def _next(plan: "Plan", prefix: Path, uninstall: bool) -> list[str]:
    services = " ".join(f"leafward-{part}" for part in ("manager", "hub", "provisioning"))
    if uninstall:
        return ["systemctl daemon-reload", f"the users and {plan.home} are kept; remove them yourself if you mean to"]
    if prefix != Path("/"):
        return ["on the gateway: systemd-sysusers, systemd-tmpfiles --create, systemctl daemon-reload"]
    settings = plan.home / "leafward.toml"
    return [
        "systemd-sysusers && systemd-tmpfiles --create leafward.conf",
        f'{settings}: [device] hostname = "…", [manager] hub_user = "{plan.hub_user}"',
        f"the device CA as {plan.home}/manager/device-ca/certificate.pem and key.pem: install -o {plan.user} -m 0600",
        f"systemctl daemon-reload && systemctl enable --now {services}",
        f"sudo -u {plan.user} leafward manager status --home {plan.home}",
    ]


def _show(steps: "list[Step]", todo: list[str], *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        facts = [{"path": str(step.path), "action": step.action} for step in steps]
        voice.say_json({"dry_run": dry_run, "files": facts, "next": todo})
        return
    for step in steps:
        would = "would be " if dry_run and step.action in _CHANGES else ""
        voice.say(f"{would}{step.action}  {step.path}")
    for line in todo:
        voice.hint(line)
