"""`leafward ca import`: certificates of CAs from elsewhere."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.ca_options import passphrase_option
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.imports import Imported

WORDS = {
    "completed": "signed, and ready to issue",
    "added": "known",
    "renewed": "renewed",
    "cross-signed": "cross-signed, or an older certificate of it",
    "known": "known already",
}


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--key", metavar="REFERENCE", help="Where the key of one of them is: file:/PATH, pkcs11:…, tpm:…")
@click.option("--name", metavar="NAME", help="Short name of the lowest CA; default: made of its common name.")
@passphrase_option
@home_option
@json_option
def command(files: tuple[Path, ...], *, key: str | None, name: str | None, home: Home, as_json: bool) -> None:
    """Imports CA certificates: a purchased or corporate root, or the answer to `leafward ca intermediate --csr-out`.

    \b
    FILE is PEM, DER or PKCS#7, in any order. What each certificate is, is worked out:
    it completes a CA that waits, renews or cross-signs one that is known, or becomes
    known as a CA whose key is elsewhere. Chains must reach a root.
    """
    from leafward import disk
    from leafward.authority.authorities import short_name
    from leafward.authority.imports import import_files
    from leafward.keys.key_reference import KeyReference

    imported = import_files(
        open_issuance(home).authorities,
        [disk.read_file(path) for path in files],
        now=system_clock(),
        key=KeyReference.parse(key) if key else None,
        name=short_name(name) if name else None,
    )
    show_imported(imported, as_json)


def imported_facts(imported: "list[Imported]") -> list[dict[str, object]]:
    """What an import made of each CA, as JSON values."""
    from leafward.pki.chain import fingerprint
    from leafward.pki.names import common_name

    return [
        {
            "name": one.authority.name,
            "common_name": common_name(one.authority.chain.leaf.subject),
            "sha256": fingerprint(one.authority.chain.leaf),
            "how": one.how,
            "key": one.authority.key is not None,
        }
        for one in imported
    ]


def show_imported(imported: "list[Imported]", as_json: bool) -> None:
    """What an import made of each CA."""
    rows = imported_facts(imported)
    if as_json:
        voice.say_json(list(rows))
        return
    for row in rows:
        key = "" if row["key"] else "; its key is elsewhere"
        voice.say(f"{str(row['sha256'])[:16]}  {row['name']:<34}  {WORDS[str(row['how'])]}{key}")
