"""`leafward ca log restart`: ends the log and begins another."""

import click

from leafward.cli import voice
from leafward.cli.ca_log import open_log
from leafward.cli.ca_options import as_reference, encrypt_options
from leafward.cli.options import home_option, yes_option
from leafward.errors import UsageError
from leafward.keys.key_reference import KeyReference
from leafward.store.home import Home


@click.command("restart")
@click.option(
    "--at",
    metavar="REFERENCE",
    callback=as_reference,
    help="Where the new log's key is made: pkcs11:token=T;object=O, tpm:/PATH; default: maker/log/key.pem.",
)
@click.option("--key", metavar="TYPE", help="With --at: ed25519 or ec-p256; default: ed25519, in a TPM ec-p256.")
@encrypt_options
@yes_option
@home_option
def command(at: KeyReference | None, key: str | None, yes: bool, home: Home) -> None:
    """Ends the log and begins another, under a new key: where the newest database or its checkpoint is lost.

    Also the way to a key in another place: --at REFERENCE.
    """
    from leafward.authority.log_keys import default_key_type, keep_place, make_key, place_of
    from leafward.pki.key_types import parse_key_type

    log = open_log(home)
    before = place_of(home.maker)
    if at is None and before.scheme != "file":
        why = f"the key of the log that ends is {before.label}"
        raise UsageError("where shall the new key be made", why=why, hint="give --at REFERENCE")
    if key is not None and at is None:
        raise UsageError("that option is for a key in another place", hint="give --at REFERENCE too")
    if not yes:
        click.confirm("End this log? Whoever trusts its key has to be told the new one.", abort=True)
    if at is not None:  # first: where it cannot be made, the old log stands
        make_key(at, parse_key_type(key) if key else default_key_type(at))
    aside = log.restart()
    if at is not None:
        keep_place(home.maker, at)
    voice.say(log.checkpoint().splitlines()[0])
    voice.warn(f"this is another log: give its key (leafward ca log key) to your auditors; the old one is in {aside}")
