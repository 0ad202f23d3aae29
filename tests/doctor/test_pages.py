"""Every code has a whole page, and what a page tells to run exists."""

import re

import click
import pytest

from leafward.cli.main import cli
from leafward.doctor.check import Check
from leafward.doctor.checks import CHECKS
from leafward.doctor.pages import diagnosis_pages, explain, page
from leafward.errors import UsageError
from leafward.pki.rules import RULES


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_a_page_is_whole(check: Check) -> None:
    """What it means, how it comes about, how to see it, how to mend it."""
    shown = page(check)
    assert [title for title, _ in shown.parts] == ["How it comes about", "How to see it", "How to mend it"]
    assert shown.title.endswith(".")
    assert all(len(body) > 8 for _, body in shown.parts)
    assert shown.text().startswith(f"{check.code}: ")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_the_commands_of_a_page_exist(check: Check) -> None:
    for words in re.findall(r"leafward ((?:[a-z][a-z-]*[ ,.;:)]?)+)", " ".join(check.text.split())):
        assert _exists(words.split()), words


def _exists(words: list[str]) -> bool:
    """The first word is a command; where that is a group, the second one is in it."""
    context = click.Context(cli)
    command: click.Command | None = cli
    for word in words:
        name = word.rstrip(",.;:)")
        if not isinstance(command, click.Group):
            return True
        found = command.get_command(context, name)
        if found is None:
            # Prose may follow: "a hub of leafward sends …".
            return command is cli
        command = found
        if word != name:
            return True
    return True


def test_every_rule_of_a_chain_has_a_check() -> None:
    """A rule without a check would be a fault that `verify` refuses and the doctor passes over."""
    assert {rule.code for rule in RULES} <= {check.code for check in CHECKS}


def test_files_of_the_docs() -> None:
    files = dict(diagnosis_pages("NOTE\n\n"))
    assert set(files) == {f"{check.code}.md" for check in CHECKS} | {"README.md"}
    assert all(f"({check.code}.md)" in files["README.md"] for check in CHECKS)
    assert "## How to mend it" in files["clock-wrong.md"]


def test_an_unknown_code() -> None:
    with pytest.raises(UsageError, match="no diagnosis") as caught:
        explain("root-is-missing")
    assert "intermediate-missing" in (caught.value.hint or "")
