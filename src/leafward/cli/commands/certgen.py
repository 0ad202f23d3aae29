"""`leafward certgen`: the commands of the convenience scripts, bash and PowerShell."""

import contextlib
import gc
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.authority.certgen_commands import CHOICES, COMMANDS, Command, Paper, check_arguments, resolve
from leafward.authority.certgen_dialect import Dialect
from leafward.authority.certgen_keys import KeyMaker
from leafward.cli import voice
from leafward.cli.options import json_option
from leafward.errors import UsageError

if TYPE_CHECKING:
    from leafward.authority.certgen import Certgen, Made
    from leafward.authority.certgen_issue import Signer
    from leafward.authority.certgen_passwords import Passwords

DAYS_VARIABLE = "DEFAULT_VALIDITY_DAYS"
SILENCE_VARIABLE = "FORCE_NO_PROD_WARNING"
FORCE_VARIABLE = "CERTGEN_FORCE"
DEFAULT_DAYS = 30
MOST_DAYS = 36500
_FILE = click.Path(dir_okay=False, path_type=Path)


def _epilog() -> str:
    lines = ["\b", "Commands:"]
    for dialect, table in COMMANDS.items():
        lines.append(f"  {dialect}")
        lines += [f"    {command.name} {command.usage}".rstrip() for command in table.values()]
    return "\n".join(lines)


class _Command(click.Command):
    """Takes PEM text as an argument: it begins like an option, and an error about one would show a key."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        texts = [text for text in args if text.startswith("-----BEGIN")]
        held = {f"PEM {number}": text for number, text in enumerate(texts)}
        names = {text: name for name, text in held.items()}
        rest = super().parse_args(ctx, [names.get(text, text) for text in args])
        ctx.params["arguments"] = tuple(held.get(text, text) for text in ctx.params.get("arguments", ()))
        return rest


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No looks for garbage meanwhile: there is hardly any, and most of the command is loading what lives to its end."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@click.command("certgen", cls=_Command, epilog=_epilog())
@click.argument("name", metavar="COMMAND")
@click.argument("arguments", nargs=-1, metavar="[ARG]…")
@click.option("--dialect", type=click.Choice(list(CHOICES)), help="Whose command it is; default: by its name.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where the files are; default: here.",
)
@click.option("--key", metavar="TYPE", help="Kind of the new keys: rsa-4096, ec-p256 …; default: the script's.")
@click.option("--issuer", metavar="CA", help="Which CA signs: root, intermediate, a file prefix, or a PEM file.")
@click.option("--issuer-key", type=_FILE, help="The key of an --issuer that is a PEM file.")
@click.option("--root-password-file", type=_FILE, help="File, mode 0600; else ROOT_CA_PASSWORD, else 1234.")
@click.option(
    "--intermediate-password-file", type=_FILE, help="File, mode 0600; else INTERMEDIATE_CA_PASSWORD, else 1234."
)
@click.option("--pfx-password-file", type=_FILE, help="File, mode 0600; else PFX_PASSWORD, else the script's.")
@click.option("--ask-passwords", is_flag=True, help="Ask for the passwords that are not given.")
@click.option("--force", is_flag=True, envvar=FORCE_VARIABLE, help=f"Replace what is there (or {FORCE_VARIABLE}).")
@click.option("--dry-run", is_flag=True, help="Only say what would be written and removed.")
@json_option
@_uncollected()
def command(
    name: str,
    arguments: tuple[str, ...],
    *,
    dialect: str | None,
    folder: Path,
    key: str | None,
    issuer: str | None,
    issuer_key: Path | None,
    root_password_file: Path | None,
    intermediate_password_file: Path | None,
    pfx_password_file: Path | None,
    ask_passwords: bool,
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """The convenience scripts' commands: the same arguments, folders, file names and subjects.

    For trying things out, never for a product. What differs from the scripts: docs/certgen.md

    \b
    Examples:
      leafward certgen create_root_and_intermediate
      leafward certgen create_edge_device_ca_certificate gateway
      leafward certgen create_device_certificate pump-7
      leafward certgen New-CACertsCertChain rsa --dir certificates
    """
    spoken, wanted = resolve(name, dialect, folder)
    check_arguments(wanted, arguments)
    if wanted.does == "check":
        _check(spoken, folder, as_json)
        return
    with KeyMaker.on_idle_processors() as keys:
        if not dry_run:
            keys.expect(*_expected(spoken, wanted, arguments, folder, key))
        files = {"root": root_password_file, "intermediate": intermediate_password_file, "pfx": pfx_password_file}
        generator = _certgen(spoken, folder.absolute(), keys, _passwords(files, ask_passwords), key=key, force=force)
        if dry_run:
            _foresee(generator, wanted, arguments, as_json)
            return
        signer = _signer(generator, wanted, arguments, issuer, issuer_key)
        made = _run(generator, wanted, arguments, signer)
    _show(spoken, folder, made, as_json)


def _expected(
    dialect: Dialect, command: Command, arguments: tuple[str, ...], folder: Path, key: str | None
) -> tuple[str, int]:
    """Which keys will be asked for, known before anything slow is loaded: the search for them begins at once."""
    algorithm = _algorithm(dialect, command, arguments)
    if algorithm is not None:
        installs = command.does != "hierarchy"
        return key or dialect.keys[algorithm].ca, len(dialect.intermediates) + (0 if installs else 1)
    if not isinstance(command.does, Paper):
        return "", 0
    chosen = next(iter(dialect.keys))
    if dialect.remembers_algorithm:
        from leafward.authority.certgen_folder import Folder

        chosen = Folder(folder, dialect).algorithm()
    keys = dialect.keys[chosen]
    return key or (keys.ca if command.does.kind == "device-ca" else keys.other), 1


def _algorithm(dialect: Dialect, command: Command, arguments: tuple[str, ...]) -> str | None:
    """The word for the kind of keys of a command that makes CAs; None for the others. Raises `UsageError`."""
    if command.does not in ("hierarchy", "install-files", "install-text"):
        return None
    if not dialect.is_powershell:
        return next(iter(dialect.keys))
    word = arguments[0 if command.does == "hierarchy" else 2].lower()
    if word not in dialect.keys:
        what = f"no algorithm {word!r}"
        raise UsageError(what, why=f"expected {' or '.join(dialect.keys)}", hint="rsa is the one for edge devices")
    return word


def _passwords(files: dict[str, Path | None], ask: bool) -> "Passwords":
    from leafward.authority.certgen_passwords import Passwords
    from leafward.cli.secret_prompt import allow_asking
    from leafward.keys.passphrase import in_use

    if ask:
        allow_asking()
        if in_use().ask is None:
            hint = "run it at a terminal, or leave out --ask-passwords"
            raise UsageError("there is nobody to ask for passwords", hint=hint)
    given = {which: path for which, path in files.items() if path is not None}
    return Passwords(given, in_use().ask if ask else None)  # type: ignore[arg-type]  # the three names


def _certgen(
    dialect: Dialect, folder: Path, keys: KeyMaker, passwords: "Passwords", *, key: str | None, force: bool
) -> "Certgen":
    from leafward.authority.certgen import Certgen
    from leafward.authority.certgen_folder import Folder
    from leafward.pki.key_types import parse_key_type

    return Certgen(
        Folder(folder, dialect),
        now=datetime.now(UTC),
        lifetime=timedelta(days=_days()),
        keys=keys,
        passwords=passwords,
        key_type=parse_key_type(key).name if key else None,
        force=force,
        warn=voice.warn,
    )


def _days() -> int:
    text = os.environ.get(DAYS_VARIABLE) or str(DEFAULT_DAYS)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_DAYS:
        why = f"got {text!r}, expected a number of days from 1 to {MOST_DAYS}"
        raise UsageError(f"{DAYS_VARIABLE} is no lifetime", why=why, hint=f"export {DAYS_VARIABLE}={DEFAULT_DAYS}")
    return int(text)


def _signer(
    generator: "Certgen", command: Command, arguments: tuple[str, ...], issuer: str | None, issuer_key: Path | None
) -> "Signer | None":
    """The CA that was named: by option, or as the PowerShell functions' second argument."""
    named = issuer or (arguments[1] if isinstance(command.does, Paper) and len(arguments) > 1 else None)
    if issuer_key is not None:
        if named is None:
            raise UsageError("--issuer-key is for an --issuer that is a PEM file", hint="give --issuer FILE too")
        return generator.signer_in_files(Path(named), issuer_key)
    if named is None:
        return None
    if not isinstance(command.does, Paper):
        raise UsageError(f"{command.name} has no issuer to choose", hint="leave out --issuer")
    return generator.signer(named)


def _run(generator: "Certgen", command: Command, arguments: tuple[str, ...], signer: "Signer | None") -> "list[Made]":
    does = command.does
    if isinstance(does, Paper):
        return [generator.paper(does, arguments[0].strip(), signer)]
    if does == "hierarchy":
        return generator.hierarchy(_algorithm(generator.dialect, command, arguments))
    if does == "edge-files":
        return [generator.edge_files(arguments[0])]
    if does == "environment":
        wants = len(arguments) > 2 and arguments[2].strip("$").lower() in ("true", "1")
        return [generator.environment(arguments[0], arguments[1], with_intermediate=wants)]
    return _install(generator, command, arguments)


def _install(generator: "Certgen", command: Command, arguments: tuple[str, ...]) -> "list[Made]":
    """Somebody's root. Its password may come as it does to the script: whoever calls so has shown it already."""
    from leafward import disk

    algorithm = _algorithm(generator.dialect, command, arguments)
    rest = arguments[3:] if generator.dialect.is_powershell else arguments[2:]
    secret = rest[0] if rest and rest[0] != "-" else None
    shown = [word for word, given in (("the password", secret), ("the key", command.does == "install-text")) if given]
    if shown:
        voice.warn(f"{' and '.join(shown)} stood in the command line, where every user of this machine could read it")
    if command.does == "install-text":
        return generator.install(arguments[0].encode(), arguments[1].encode(), secret, algorithm)
    certificate, key = (disk.read_file(Path(path)) for path in arguments[:2])
    return generator.install(certificate, key, secret, algorithm)


def _check(dialect: Dialect, folder: Path, as_json: bool) -> None:
    """What the PowerShell functions need: no hierarchy from before. No OpenSSL is needed here."""
    from leafward.authority.certgen_dialect import found_in

    there = found_in(folder)
    if as_json:
        voice.say_json({"dialect": dialect.name, "folder": str(folder.absolute()), "found": there and there.name})
    elif there is None:
        voice.say(f"{folder.absolute()} is free for a new hierarchy")
    else:
        voice.say(f"{folder.absolute()} has a hierarchy of {there.name} already")
    if there is not None:
        raise click.exceptions.Exit(1)


def _foresee(generator: "Certgen", command: Command, arguments: tuple[str, ...], as_json: bool) -> None:
    folder = generator.folder
    if isinstance(command.does, Paper):
        prefix = command.does.prefix.format(arguments[0].strip())
        paths = list(folder.files(prefix, verification=command.does.kind == "verification").every)
        removed = [path for path in paths if path.exists()]
    else:
        paths = [path for files in folder.authorities() for path in files.every]
        removed = folder.contents() if generator.force else []
    if as_json:
        voice.say_json({"writes": [str(path) for path in paths], "replaces": [str(path) for path in removed]})
        return
    for path in removed:
        voice.say(f"replaces {path}" if generator.force else f"exists   {path}")
    for path in paths:
        voice.say(f"writes   {path}")


def _show(dialect: Dialect, folder: Path, made: "list[Made]", as_json: bool) -> None:
    from leafward.cli.tree import draw_chain
    from leafward.pki.chain import fingerprint

    last = next((one.chain for one in reversed(made) if one.chain is not None), None)
    if as_json:
        facts = [
            {
                "name": one.name,
                "sha256": fingerprint(one.chain.leaf) if one.chain else None,
                "files": [str(path) for path in one.files if path.exists()],
            }
            for one in made
        ]
        voice.say_json({"dialect": dialect.name, "folder": str(folder.absolute()), "made": list(facts)})
    else:
        for line in draw_chain(last) if last is not None else ():
            voice.say(line)
        for path in dict.fromkeys(path for one in made for path in one.files if path.exists()):
            voice.say(f"  {path}")
    _warn(dialect, last.leaf.not_valid_after_utc.strftime("%Y-%m-%d") if last is not None else None)


def _warn(dialect: Dialect, end: str | None) -> None:
    """As the scripts: PowerShell's is silenced by the variable whatever it says, bash's by "true"."""
    text = os.environ.get(SILENCE_VARIABLE)
    if text is not None and (dialect.is_powershell or text == "true"):
        return
    ends = f"; these certificates end on {end}" if end else ""
    voice.warn(
        f"for trying things out, never for a product: unless you set others, everybody knows the passwords{ends}"
    )
