"""What TLS stacks say when they refuse, as sets of codes: a text alone names few faults, and rarely one.

Texts are those that the stacks print (`error_words/`), held to them by `tests/doctor/test_error_texts.py` and, where a
stack is installed, by `tests/doctor/test_clients.py`. The likeliest code stands first.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from leafward.doctor.error_words import GENERAL, SPECIAL
from leafward.doctor.error_words.codes import Words

MOST_TEXT = 16 * 1024
# The Azure SDK for Node says this of whatever went wrong with a first connection; it speaks of no login.
_WRAPPED = re.compile(r"Failure on first connection \(Not authorized\)", re.IGNORECASE)
_WRAPPING = re.compile(r"UnauthorizedError|\(Not authorized\)", re.IGNORECASE)


def _compiled(table: Words) -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), tuple(codes.split())) for pattern, codes in table)


_SPECIAL, _GENERAL = _compiled(SPECIAL), _compiled(GENERAL)


@dataclass(frozen=True, slots=True)
class ErrorReading:
    """A text, the codes that it may stand for (the likeliest first), and the words that said so. `general`: the text
    says no more than that it failed, so it speaks against nothing.
    """

    text: str
    codes: tuple[str, ...]
    words: tuple[str, ...]
    general: bool = False


def read_error(text: str) -> ErrorReading:
    """What a stack's text may mean; no codes where it is none that is known.

    >>> read_error("SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired").codes
    ('certificate-expired', 'clock-wrong')
    """
    rest = text[:MOST_TEXT]
    if _WRAPPED.search(rest):
        rest = _WRAPPING.sub(" ", rest)
    found = _found(text, rest, _SPECIAL)
    if found is None and (found := _found(text, rest, _GENERAL)) is not None:
        return replace(found, general=True)
    return found or ErrorReading(text, (), ())


def _found(text: str, rest: str, patterns: Iterable[tuple[re.Pattern[str], tuple[str, ...]]]) -> ErrorReading | None:
    codes, words = list[str](), list[str]()
    for pattern, meant in patterns:
        found = pattern.search(rest)
        if found is None:
            continue
        codes += meant
        words += [found[0][:200]] if found[0] else []
        rest = pattern.sub(" ", rest)
    return ErrorReading(text, tuple(dict.fromkeys(codes)), tuple(words)) if codes else None
