"""The page of each code, from one source: the docstring of its check. `--explain` shows it, docs/diagnoses/ has it.

A docstring is a title, what the fault means, and three paragraphs that begin with "Comes about:", "See:" and "Mend:".
"""

from collections.abc import Iterator
from dataclasses import dataclass

from leafward.doctor.check import Check
from leafward.doctor.checks import CHECKS, check
from leafward.errors import UsageError

_HEADS = ("Comes about: ", "See: ", "Mend: ")
_TITLES = ("How it comes about", "How to see it", "How to mend it")
_FAMILIES = {"CA": "what a CA may do", "settings": "the leaf's settings", "device": "the device"}


@dataclass(frozen=True, slots=True)
class Page:
    """What a code means; the parts are paragraphs of plain text."""

    code: str
    family: str
    title: str
    meaning: tuple[str, ...]
    parts: tuple[tuple[str, str], ...]

    def text(self) -> str:
        """For a terminal."""
        lines = [f"{self.code}: {self.title}", "", *("\n\n".join(self.meaning).splitlines())]
        for title, body in self.parts:
            lines += ["", f"{title}:", *(f"  {line}" for line in body.splitlines())]
        return "\n".join(lines)

    def markdown(self, note: str) -> str:
        """For docs/; `note` stands below the title."""
        sections = "".join(f"\n## {title}\n\n{body}\n" for title, body in self.parts)
        meaning = "\n\n".join(self.meaning)
        return f"# `{self.code}`\n\n{note}{self.title}\n\n## What it means\n\n{meaning}\n{sections}"


def page(one: Check) -> Page:
    """The page of a check. Raises ValueError where its docstring lacks a part: a test holds all of them to it."""
    paragraphs = [part.strip() for part in one.text.split("\n\n") if part.strip()]
    found = {head: part for head in _HEADS for part in paragraphs if part.startswith(head)}
    if len(found) != len(_HEADS) or len(paragraphs) < len(_HEADS) + 2:
        raise ValueError(f"the page of {one.code} is not whole")
    meaning = tuple(part for part in paragraphs[1:] if not part.startswith(_HEADS))
    parts = tuple((title, _body(found[head], head)) for head, title in zip(_HEADS, _TITLES, strict=True))
    return Page(one.code, one.family, paragraphs[0], meaning, parts)


def explain(code: str) -> Page:
    """The page of a code. Raises `UsageError` for one that is none of ours, with those that look like it."""
    found = check(code)
    if found is None:
        near = [one.code for one in CHECKS if set(code.split("-")) & set(one.code.split("-"))][:5]
        hint = f"perhaps {', '.join(near)}" if near else "leafward doctor --explain all lists them"
        raise UsageError(f"no diagnosis has the code {code!r}", hint=hint)
    return page(found)


def diagnosis_pages(note: str) -> Iterator[tuple[str, str]]:
    """(file name, Markdown) of every page of docs/diagnoses/, the list of all of them among them."""
    for one in CHECKS:
        yield f"{one.code}.md", page(one).markdown(note)
    yield "README.md", _index(note)


def _index(note: str) -> str:
    text = f"# Diagnoses\n\n{note}What `leafward doctor` finds, family by family, each in the order in which a client "
    text += "meets it.\n"
    for family in dict.fromkeys(one.family for one in sorted(CHECKS, key=_family_order)):
        text += f"\n## {_FAMILIES.get(family, family)}\n\n| code | what is wrong |\n| --- | --- |\n"
        for one in CHECKS:
            if one.family == family:
                text += f"| [`{one.code}`]({one.code}.md) | {one.title} |\n"
    return text


_ORDER = (
    "reach",
    "files",
    "settings",
    "chain",
    "time",
    "name",
    "CA",
    "identifiers",
    "strength",
    "revocation",
    "device",
)


def _family_order(one: Check) -> int:
    return _ORDER.index(one.family)


def _body(paragraph: str, head: str) -> str:
    body = paragraph.removeprefix(head)
    return body[0].upper() + body[1:] if body[0].islower() and not body.startswith(_COMMANDS) else body


_COMMANDS = ("openssl", "leafward", "ls", "head", "curl", "chmod", "sed", "file", "date", "grep")
