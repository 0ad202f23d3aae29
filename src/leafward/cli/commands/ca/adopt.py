"""`leafward ca adopt`: takes over the CA in a folder of a script, of EasyRSA, of `openssl ca`, or of bare files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.ca_options import encrypt_options
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.cli.roles import ROLE_NAMES
from leafward.cli.service import system_clock
from leafward.errors import UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.adopt import Adopted
    from leafward.authority.adopt_keys import FolderKeys
    from leafward.authority.adopt_plan import Member, Plan
    from leafward.errors import KeyUnavailable


@click.command("adopt")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only show what would be taken over.")
@click.option(
    "--role",
    "roles",
    multiple=True,
    metavar="FILE=KIND",
    help="What FILE's certificate is: intermediate_ca, device_ca …",
)
@click.option(
    "--passphrase-for",
    "passphrases",
    multiple=True,
    metavar="KEY=FILE",
    help="The passphrase of one key or PKCS#12 file is in FILE, mode 0600.",
)
@click.option(
    "--mend-root",
    is_flag=True,
    help="A root that is refused for a flaw of its certificate (EasyRSA's): make a better one for its name and key.",
)
@click.option("--skip-locked", is_flag=True, help="Leave a CA without a key where its key does not open.")
@encrypt_options
@home_option
@json_option
def command(
    folder: Path,
    *,
    dry_run: bool,
    roles: tuple[str, ...],
    passphrases: tuple[str, ...],
    mend_root: bool,
    skip_locked: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Takes over the CA in FOLDER: its certificates and keys, all that it issued, and what it revoked.

    \b
    Any layout will do: a convenience script's, EasyRSA's, that of `openssl ca`, or bare
    files, PEM or PKCS#12. Nothing in FOLDER is changed. Running it again takes over what is new.

    \b
    Examples:
      leafward ca adopt ./certgen --dry-run
      leafward ca adopt /etc/easy-rsa/pki --mend-root --passphrase-file ca.pass
      leafward ca adopt ./demoCA --passphrase-for demoCA/private/cakey.pem=ca.pass --encrypt
    """
    from leafward.authority.adopt import adopt, refuse_locked
    from leafward.authority.adopt_folder import read_folder
    from leafward.authority.adopt_keys import find_keys
    from leafward.authority.adopt_pkcs12 import open_stores
    from leafward.authority.adopt_plan import make_plan
    from leafward.keys.passphrase import in_use

    issuance, now = open_issuance(home), system_clock()
    known = [certificate for authority in issuance.authorities for certificate in authority.chain]
    found, told = (
        read_folder(folder),
        {key: Path(file) for key, file in _pairs(passphrases, "--passphrase-for").items()},
    )
    locked = open_stores(found, in_use(), told)
    plan = make_plan(found, known, now=now, roles=_pairs(roles, "--role"), mend_roots=mend_root)
    if locked and not (skip_locked or dry_run):
        raise next(iter(locked.values()))  # there may be a CA in it of which there is no other sign
    if not plan.authorities and not plan.issued:
        _show_nothing(plan, locked)
    new = in_use().for_new("of this home").text if in_use().encrypt_new and not dry_run else None
    keys = find_keys(plan, in_use(), told, new=new)
    if dry_run:
        _show_plan(plan, keys, as_json)
        return
    if not skip_locked:
        refuse_locked(plan, keys)
    _show_done(adopt(issuance, plan, keys, now=now), plan, keys, as_json)


def _pairs(texts: Sequence[str], option: str) -> dict[Path, str]:
    pairs = {}
    for text in texts:
        path, equals, value = text.rpartition("=")
        if not equals or not path or not value:
            raise UsageError(f"{option} {text!r} has no '='", hint=f"{option} FILE=…")
        pairs[Path(path).resolve()] = value
    return pairs


def _show_nothing(plan: "Plan", locked: "Mapping[Path, KeyUnavailable]") -> None:
    from leafward.errors import NotFound

    for one in plan.skipped:
        voice.warn(f"{one.path}: {one.why}")
    for error in locked.values():
        raise error
    hint = "give the folder that holds certs/, pki/ or index.txt"
    raise NotFound(f"there is no CA in {plan.folder.root}", why="no certificate that could be taken over", hint=hint)


def _show_plan(plan: "Plan", keys: "FolderKeys", as_json: bool) -> None:
    if as_json:
        voice.say_json({"folder": str(plan.folder.root), "authorities": _facts(plan, keys), **_counts(plan)})
        return
    for line in _tree(plan, keys):
        voice.say(line)
    _show_skipped(plan.skipped, plan.folder.duplicates)


def _show_done(done: "Adopted", plan: "Plan", keys: "FolderKeys", as_json: bool) -> None:
    facts: dict[str, Any] = {
        "authorities": [{"name": one.name, "how": how, "key": one.key is not None} for one, how in done.authorities],
        "recorded": done.recorded,
        "known": done.known,
        "revoked": done.revoked,
        "lists": done.lists,
        "skipped": [{"path": str(one.path), "why": one.why} for one in done.skipped],
    }
    if as_json:
        voice.say_json(facts)
    else:
        for line in _tree(plan, keys):
            voice.say(line)
        voice.say(f"recorded {done.recorded}, known before {done.known}, revoked {done.revoked}")
        _show_skipped(done.skipped, plan.folder.duplicates)
    if any(one.was_known and one.secret is None for one in keys.opened.values()):
        voice.warn("keys that were under the scripts' own password are kept without one, mode 0600")
        voice.hint("leafward ca adopt --encrypt, before the first time, keeps them under a passphrase")
    for one, how in done.authorities:
        if one.key is None and how != "known":
            voice.warn(f"the key of {one.name!r} is not in the folder: it issues nothing here")
    if done.revoked:
        voice.hint("publish what is revoked: leafward ca crl")


def _show_skipped(skipped: "Sequence[Any]", duplicates: int) -> None:
    for one in skipped:
        voice.warn(f"skipped {one.path}: {one.why}")
    if duplicates:
        voice.say(f"{duplicates} files repeat certificates of others")


def _counts(plan: "Plan") -> dict[str, Any]:
    return {
        "issued": len(plan.issued),
        "revoked": sum(one.revoked is not None for one in plan.issued),
        "duplicates": plan.folder.duplicates,
        "skipped": [{"path": str(one.path), "why": one.why} for one in plan.skipped],
    }


def _facts(plan: "Plan", keys: "FolderKeys") -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "role": one.kind,
            "depth": len(one.chain) - 1,
            "certificate": str(one.path),
            "key": _key_words(one, keys),
            "issued": len(_below(plan, one)),
        }
        for one in _ordered(plan)
    ]


def _tree(plan: "Plan", keys: "FolderKeys") -> list[str]:
    """Each authority below its issuer, with where its key is and how much it issued."""
    lines = []
    for one in _ordered(plan):
        depth, issued = len(one.chain) - 1, _below(plan, one)
        branch = "   " * (depth - 1) + "└─ " if depth else ""
        revoked = sum(child.revoked is not None for child in issued)
        told = f", {revoked} revoked" if revoked else ""
        lines.append(
            f"{branch}{ROLE_NAMES.get(one.kind, one.kind)}  {click.style(one.name, bold=True)}  "
            f"key: {_key_words(one, keys)}  issued: {len(issued)}{told}"
        )
    return lines


def _ordered(plan: "Plan") -> "list[Member]":
    """As a tree is read: every CA before those below it, siblings by name."""
    return sorted(
        plan.authorities, key=lambda one: [c.subject.rfc4514_string() for c in reversed(one.chain.certificates)]
    )


def _below(plan: "Plan", authority: "Member") -> "list[Member]":
    return [one for one in plan.issued if len(one.chain) > 1 and one.chain.issuers[0] == authority.chain.leaf]


def _key_words(one: "Member", keys: "FolderKeys") -> str:
    from leafward.authority.adopt_keys import key_of

    opened = key_of(keys, one.chain.leaf)
    if opened is not None:
        return str(opened.path)
    return "did not open" if keys.locked else "not here"
