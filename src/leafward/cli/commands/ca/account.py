"""`leafward ca account`: names and passwords for a device's first enrolment."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.store.accounts import Account, Accounts


@click.group("account")
def command() -> None:
    """Accounts for devices that have no certificate yet.

    \b
    Examples:
      leafward ca account add pump-7 --once
      leafward ca account add line-3 --for "pump-*" --label device_identity --days 1
    """


@command.command()
@click.argument("name")
@click.option("--for", "devices", metavar="DEVICE", help="Which device, or a pattern as pump-*; default: NAME.")
@click.option(
    "--label", "labels", multiple=True, metavar="LABEL", help="EST label; repeatable; default: the default one."
)
@click.option("--once", is_flag=True, help="For one certificate only.")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="How long it may be used.")
@click.option("--password-file", type=click.Path(dir_okay=False, path_type=Path), help="Else a password is made.")
@home_option
@json_option
def add(
    name: str,
    *,
    devices: str | None,
    labels: tuple[str, ...],
    once: bool,
    days: int,
    password_file: Path | None,
    home: Home,
    as_json: bool,
) -> None:
    """Adds an account and shows its password, once: only its hash is kept."""
    from leafward.authority.est_accounts import new_account

    account, password = new_account(
        name,
        now=system_clock(),
        labels=_known(labels, home),
        devices=devices,
        once=once,
        lifetime=timedelta(days=days),
        password=_read_password(password_file),
    )
    _accounts(home).add(account)
    shown = None if password_file else password
    if as_json:
        voice.say_json({**_facts(account), "password": shown})
        return
    voice.say(f"account {account.name}, for {account.devices}, under {', '.join(account.labels)}")
    if shown is not None:
        voice.say(f"password: {shown}")
        voice.hint("it is not kept: note it now")


@command.command("list")
@home_option
@json_option
def list_(home: Home, as_json: bool) -> None:
    """The accounts, without their passwords."""
    found = _accounts(home).all()
    if as_json:
        voice.say_json([_facts(account) for account in found])
        return
    for account in found:
        facts = _facts(account)
        voice.say(f"{account.name:<24}  {account.devices:<24}  {facts['status']:<8}  {facts['not_after'][:10]}")


@command.command()
@click.argument("name")
@home_option
def remove(name: str, home: Home) -> None:
    """Removes an account. Certificates issued with it stay as they are."""
    _accounts(home).remove(name)


def _accounts(home: Home) -> "Accounts":
    from leafward.store.accounts import Accounts

    return Accounts(open_issuance(home).ledger.engine)


def _known(labels: tuple[str, ...], home: Home) -> tuple[str, ...]:
    """The labels asked for, or the default one. Raises `NotFound` for one that the settings do not have."""
    from leafward.authority.est_settings import read_est
    from leafward.errors import NotFound

    settings = read_est(home.settings)
    for label in labels:
        if label not in settings.labels:
            raise NotFound(f"no EST label {label!r}", hint=f"one of {', '.join(settings.labels)}")
    return labels or (settings.default_label,)


def _read_password(path: Path | None) -> str | None:
    from leafward.errors import InputError
    from leafward.keys.private_file import read_private

    if path is None:
        return None
    data = read_private(path, "the password file")
    try:
        return data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError(f"the password file {path} is not in UTF-8") from None


def _facts(account: "Account") -> dict[str, Any]:
    now = system_clock()
    status = "spent" if account.spent_on else "expired" if now > account.not_after else "open"
    return {
        "name": account.name,
        "devices": account.devices,
        "labels": list(account.labels),
        "once": account.once,
        "status": status,
        "not_after": f"{account.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "certificate": account.spent_on,
    }
