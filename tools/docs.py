"""Writes the generated pages of docs/ from the source, and with `--check` holds them in step with it.

One page a command (from its own help), a profile (its table and docstring) and a rule (its clause and docstring). Hand
written pages are checked for what they must name: every dependency its reason, the version its changelog entry.
"""

import argparse
import inspect
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
from cryptography.x509 import ObjectIdentifier

from leafward import __version__
from leafward.cli.main import COMMANDS, cli
from leafward.doctor.pages import diagnosis_pages
from leafward.hub.settings import Limits
from leafward.manager.settings import DaemonSettings, DeviceSettings, EnrolmentSettings, RenewalSettings
from leafward.pki.profile import NO_REV_AVAIL, Presence, Profile
from leafward.pki.profiles import PROFILES
from leafward.pki.rule import Rule
from leafward.pki.rules import RULES
from leafward.provisioning.settings import ProvisioningTable

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
# The folders whose every page is written here.
GENERATED = ("commands", "profiles", "rules", "diagnoses")
NOTE = "<!-- Written by tools/docs.py from the source; `make format` writes it again. -->\n\n"


def pages() -> Iterator[tuple[Path, str]]:
    """(path, text) of every generated page."""
    context = click.Context(cli, info_name="leafward")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is not None:
            yield DOCS / "commands" / f"{name}.md", command_page(command, f"leafward {name}", context)
    for profile in PROFILES.values():
        yield DOCS / "profiles" / f"{profile.kind}.md", profile_page(profile)
    for rule in RULES:
        yield DOCS / "rules" / f"{rule.code}.md", rule_page(rule)
    yield DOCS / "rules" / "README.md", rules_index()
    for name, text in diagnosis_pages(NOTE):
        yield DOCS / "diagnoses" / name, text


def command_page(command: click.Command, path: str, parent: click.Context) -> str:
    """The help of a command and of everything below it, as `--help` shows it."""
    parts = list(command_help(command, path, parent))
    (_, first), *below = parts
    text = f"# `{path}`\n\n{NOTE}```text\n{first}\n```\n"
    return text + "".join(f"\n## `{name}`\n\n```text\n{shown}\n```\n" for name, shown in below)


def command_help(command: click.Command, path: str, parent: click.Context) -> Iterator[tuple[str, str]]:
    """(path, help) of a command, then of each of its subcommands, however deep."""
    context = click.Context(command, info_name=path.rsplit(maxsplit=1)[-1], parent=parent, max_content_width=100)
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            if subcommand is not None:
                yield from command_help(subcommand, f"{path} {name}", context)


def profile_page(profile: Profile) -> str:
    """What a certificate of this kind is, and the table of what it must hold."""
    module = sys.modules[f"leafward.pki.profiles.{profile.kind}"]
    facts = "".join(f"| {name} | {value} |\n" for name, value in _facts(profile))
    rows = "".join(
        f"| {_oid_name(row.oid)} | {row.presence.value} | {'yes' if row.critical else 'no'} |\n"
        for row in profile.extensions
    )
    return (
        f"# {profile.kind}\n\n{NOTE}{inspect.getdoc(module)}\n\n"
        f"| | |\n| --- | --- |\n{facts}\n"
        f"| extension | present | critical |\n| --- | --- | --- |\n{rows}"
    )


def _facts(profile: Profile) -> Iterator[tuple[str, str]]:
    yield "signed by", ", ".join(sorted(profile.signed_by)) or "itself"
    yield "lifetime", f"{profile.lifetime.days} days" if profile.lifetime.days else f"{profile.lifetime} hours"
    yield "may never expire", "yes" if profile.may_never_expire else "no"
    yield "CA", "yes" if profile.ca else "no"
    if profile.ca:
        yield "path length", "as asked" if profile.path_length is None else str(profile.path_length)
    yield "key usage", ", ".join(sorted(profile.key_usage))
    if profile.key_usage_with_rsa:
        yield "key usage with an RSA key", f"also {', '.join(sorted(profile.key_usage_with_rsa))}"
    if profile.extended_key_usage:
        yield "extended key usage", ", ".join(map(_oid_name, profile.extended_key_usage))
    yield "key", profile.default_key_type or "as the issuer's"
    for field in fields(profile.subject):
        value = getattr(profile.subject, field.name)
        if isinstance(value, Presence):
            yield f"request's {field.name.replace('_', ' ')}", value.value
    if profile.subject.default_common_name:
        yield "common name", f"`{profile.subject.default_common_name}`"


def _oid_name(oid: ObjectIdentifier) -> str:
    return {NO_REV_AVAIL: "noRevAvail"}.get(oid, oid._name)  # noqa: SLF001 - the library's only way to the name


def rule_page(rule: Rule) -> str:
    """What a rule asks for, its clause, and why."""
    module = inspect.getmodule(rule.check)
    reasons = [inspect.getdoc(rule.check), inspect.getdoc(module) if module else None]
    text = f"# `{rule.code}`\n\n{NOTE}{rule.title[0].upper()}{rule.title[1:]}. Clause: {rule.clause}.\n"
    if rule.refused_at_issue:
        text += "\nA certificate that would break this rule is not issued, even where it is only a warning elsewhere.\n"
    return text + "".join(f"\n{reason}\n" for reason in reasons if reason)


def rules_index() -> str:
    """The list of all rules."""
    rows = "".join(f"| [`{r.code}`]({r.code}.md) | {r.title} | {r.clause} |\n" for r in sorted(RULES, key=_code))
    what = "The issuer refuses by them, the manager checks its inputs by them, `leafward verify` explains by them."
    return f"# Rules\n\n{NOTE}{what}\n\n| code | what is wrong | clause |\n| --- | --- | --- |\n{rows}"


def _code(rule: Rule) -> str:
    return rule.code


def complaints() -> Iterator[str]:
    """What the hand-written pages lack."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    reasons = (DOCS / "dependencies.md").read_text(encoding="utf-8")
    everything = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    for requirement in everything:
        name = re.split(r"[<>=;!\[ ]", requirement)[0]
        if f"`{name}`" not in reasons:
            yield f"docs/dependencies.md gives no reason for `{name}`"
    settings = (DOCS / "settings.md").read_text(encoding="utf-8")
    for table in (DeviceSettings, RenewalSettings, EnrolmentSettings, DaemonSettings, Limits, ProvisioningTable):
        written = (key for key, field in table.model_fields.items() if not field.exclude)
        missing = [key for key in written if f"`{key}`" not in settings]
        yield from (f"docs/settings.md does not say what `{key}` is" for key in missing)
    if f"## {__version__}" not in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"):
        yield f"CHANGELOG.md has no entry for {__version__}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    yield from (f"README.md does not say `{command}`" for command in ("make up", "make test") if command not in readme)


def main() -> int:
    """Writes the pages, or with `--check` names those out of step; exit code 1 then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    wrong = list(complaints())
    expected = dict(pages())
    written = (path for folder in GENERATED for path in (DOCS / folder).glob("*.md"))
    stale = set(written) - set(expected)
    for path, text in expected.items():
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            wrong.append(f"{path.relative_to(ROOT)} is out of step with the source: make format")
        elif not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    wrong += [f"{path.relative_to(ROOT)} describes nothing in the source" for path in sorted(stale)]
    print("\n".join(wrong) if wrong else f"docs: {len(expected)} generated pages in step")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
