"""The options that the `leafward ca` commands share."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click

from leafward.cli.options import Command
from leafward.keys.key_reference import KeyReference
from leafward.keys.passphrase import in_use, use

_FILE = click.Path(dir_okay=False, path_type=Path)


def key_option(function: Command) -> Command:
    """`--key`: the kind of a new key."""
    return click.option("--key", default="ec-p256", show_default=True, metavar="TYPE", help="Kind of the new key.")(
        function
    )


def key_at_option(function: Command) -> Command:
    """`--key-at`: where the new key is made and stays; the command gets a `KeyReference`, or None: beside the CA."""
    help_text = "Where the new key is made: file:/PATH, pkcs11:token=T;object=O, tpm:/PATH; default: beside the CA."
    return click.option("--key-at", metavar="REFERENCE", callback=as_reference, help=help_text)(function)


def passphrase_option(function: Command) -> Command:
    """`--passphrase-file`: for commands that open a key. Told to the process; the command gets nothing."""
    help_text = "File, mode 0600, with the passphrase of encrypted keys; else LEAFWARD_PASSPHRASE, else a question."
    return click.option(
        "--passphrase-file", type=_FILE, expose_value=False, is_eager=True, callback=_opens, help=help_text
    )(function)


def encrypt_options(function: Command) -> Command:
    """`--encrypt` and `--new-passphrase-file`: for commands that make a key. Told to the process."""
    for option in (
        click.option(
            "--new-passphrase-file",
            type=_FILE,
            expose_value=False,
            callback=_encrypts_with,
            help="File, mode 0600, with the new key's passphrase; implies --encrypt.",
        ),
        click.option(
            "--encrypt",
            is_flag=True,
            expose_value=False,
            callback=_encrypts,
            help="Keep the new key encrypted; asks for a passphrase where none is given.",
        ),
    ):
        function = option(function)
    return passphrase_option(function)


def proof_option(function: Command) -> Command:
    """`--proof FILE`: the inclusion proof of the certificate that is issued."""
    help_text = "File for the proof that the certificate is in the issuance log (C2SP tlog-proof)."
    return click.option("--proof", type=_FILE, help=help_text)(function)


def days_option(function: Command) -> Command:
    """`--days`: the lifetime; the issuer's own end caps it."""
    return click.option("--days", type=click.IntRange(1), help="Lifetime; default: the profile's.")(function)


def issuer_option(function: Command) -> Command:
    """`--issuer`: which authority signs."""
    return click.option("--issuer", metavar="NAME", help="Which authority signs; default: the last of the chain.")(
        function
    )


def csr_option(function: Command) -> Command:
    """`--csr`: a request made where the key is."""
    help_text = "Request made on the device; else the key is made here."
    return click.option("--csr", type=click.Path(path_type=Path), help=help_text)(function)


def succession_options(function: Command) -> Command:
    """`--replace` and `--renew`: whose place a certificate takes that lives under the same name."""
    renew = "In the place of the living one, for the same key: that of the request, or the one in the folder."
    for option in (
        click.option("--renew", "renewing", is_flag=True, help=renew),
        click.option("--replace", "replacing", is_flag=True, help="In the place of the living one, for any key."),
    ):
        function = option(function)
    return function


def default_folder(name: str) -> Path:
    """Where the files of NAME go when nobody says: a folder of that name, here and nowhere else."""
    from leafward.authority.authorities import short_name

    plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]*", name)
    return Path(name if plain else short_name(name))


def out_option(function: Command) -> Command:
    """`--out`: where the files go."""
    help_text = "Folder for the files; default: ./NAME"
    return click.option("--out", type=click.Path(file_okay=False, path_type=Path), help=help_text)(function)


def lifetime(days: int | None) -> timedelta | None:
    """`--days` as a lifetime; None: the profile's."""
    return timedelta(days=days) if days is not None else None


def as_reference(_context: click.Context, _parameter: click.Parameter, value: str | None) -> KeyReference | None:
    """A callback: a key reference as text to a `KeyReference`. Raises `SettingsError`."""
    return KeyReference.parse(value) if value is not None else None


def _opens(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        use(replace(in_use(), file=value))


def _encrypts(_context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        use(replace(in_use(), encrypt_new=True))


def _encrypts_with(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        use(replace(in_use(), encrypt_new=True, new_file=value))
