"""How wide a name is: in columns of a terminal, and in points of a picture. Names of CAs are in every script."""

import unicodedata
from collections.abc import Callable

# Of Helvetica, in parts of the font's size. What stands in none of these is taken for as wide as most letters are.
_USUAL, _IDEOGRAPH = 0.6, 1.0
_NARROW = dict.fromkeys(" iljtf.,:;'|!()[]-rI/", 0.36)
_BROAD = dict.fromkeys("WMmw@%", 0.95) | dict.fromkeys("ABCDEGHKNOPQRSUVXYZ&", 0.75)
_LETTERS = _NARROW | _BROAD


def columns(text: str) -> int:
    """Columns of a terminal: two for ideographs, none for marks above a letter."""
    return sum(map(_columns, text))


def pad(text: str, width: int) -> str:
    """The text with blanks behind it, up to a width in columns."""
    return text + " " * max(width - columns(text), 0)


def cut(text: str, width: int) -> str:
    """The text, or as much of it as fits into a width in columns, with an ellipsis."""
    return text if columns(text) <= width else _beginning(text, width - 1, _columns)


def points(text: str, size: float) -> float:
    """About how wide a bold sans-serif text is drawn; rather too much than too little."""
    return sum(map(_part, text)) * size


def cut_points(text: str, size: float, width: float) -> str:
    """The text, or as much of it as fits into a width of a picture, with an ellipsis."""
    return text if points(text, size) <= width else _beginning(text, width / size - 1, _part)


def _beginning(text: str, width: float, measure: Callable[[str], float]) -> str:
    used = 0.0
    for number, letter in enumerate(text):
        used += measure(letter)
        if used > width:
            return f"{text[:number].rstrip()}…"
    return text


def _columns(letter: str) -> int:
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _part(letter: str) -> float:
    return _IDEOGRAPH if _columns(letter) == 2 else _LETTERS.get(letter, _USUAL)
