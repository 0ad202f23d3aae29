"""`leafward ca log key`: the log's public key; and where its private key is made."""

from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.ca_log import open_log
from leafward.cli.ca_options import as_reference, encrypt_options
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.errors import AlreadyExists, NotFound, UsageError
from leafward.keys.key_reference import KeyReference
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.store.issuance_log.note import VerifierKey


@click.command("key")
@click.option(
    "--at",
    metavar="REFERENCE",
    callback=as_reference,
    help="Make the key of a log that was never signed there: pkcs11:token=T;object=O, tpm:/PATH, file:/PATH.",
)
@click.option("--key", metavar="TYPE", help="With --at: ed25519 or ec-p256; default: ed25519, in a TPM ec-p256.")
@click.option("--origin", metavar="NAME", help="With --at: names the log; default: after the first CA, when signed.")
@encrypt_options
@home_option
@json_option
def command(at: KeyReference | None, key: str | None, origin: str | None, home: Home, as_json: bool) -> None:
    """The log's public key, as auditors and witnesses take it (signed-note vkey).

    With --at the private key is made in a token or a TPM, before anything is issued: leafward ca log key --at …, then
    leafward ca init. Ed25519 is what witnesses read; where the device has none, P-256 is taken (signature type 0x02).
    """
    if at is not None:
        _place(home, at, key, origin, as_json)
        return
    if key is not None or origin is not None:
        raise UsageError("that option is for a new key", hint="give --at REFERENCE too")
    known = open_log(home).state().key
    if known is None:
        raise NotFound("the log has no key yet", why="it was never signed", hint="leafward ca log checkpoint")
    if as_json:
        voice.say_json(_facts(known))
    else:
        voice.say(str(known))


def _place(home: Home, at: KeyReference, key: str | None, origin: str | None, as_json: bool) -> None:
    from leafward.authority.log_keys import default_key_type, place_key
    from leafward.pki.key_types import parse_key_type
    from leafward.store.issuance_log.note import is_key_name

    if origin is not None and not is_key_name(origin):
        raise UsageError(f"{origin!r} is no name of a log", hint="one without spaces and '+': log.example.com/maker")
    issuance = open_issuance(home)
    if issuance.has_issued and issuance.ledger.log.state().key is not None:
        hint = "its key never changes; another log begins with: leafward ca log restart --at REFERENCE"
        raise AlreadyExists("the issuance log has its key", why="it was signed", hint=hint)
    made = place_key(home.maker, at, parse_key_type(key) if key else default_key_type(at), origin=origin)
    if as_json:
        voice.say_json({"place": at.label, **(_facts(made) if made else {"origin": None, "key": None, "key_id": None})})
        return
    voice.say(f"made: {at.label}")
    if made is not None:
        voice.say(str(made))
    else:
        voice.hint("the log gets its name when it is signed first; leafward ca log key prints both then")


def _facts(key: "VerifierKey") -> dict[str, object]:
    return {"origin": key.name, "key": str(key), "key_id": key.key_id.hex(), "algorithm": key.algorithm}
