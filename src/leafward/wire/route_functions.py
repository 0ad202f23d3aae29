"""The functions that conditions of routes may call: those of IoT Edge's hub, each by its name in any case.

A function is asked only with arguments of the kinds that it takes; for anything else the answer is undefined. Numbers
are doubles, as there: what is too large is infinite, and what is no number at all is undefined.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from leafward.wire.json_value import Json

Kind: TypeAlias = Literal["string", "number", "boolean", "null"]
ANY: tuple[Kind, ...] = ("string", "number", "boolean", "null")
STRING: tuple[Kind, ...] = ("string",)
NUMBER: tuple[Kind, ...] = ("number",)


class NoAnswerError(Exception):
    """A function has no answer for these arguments: it is undefined."""


@dataclass(frozen=True, slots=True)
class Function:
    """`takes`: the kinds of each argument. The last `optional` of them may be left out; `repeats`: the last may come
    again and again. `about_all`: it is asked about values of every kind, and undefined ones too (as None in `work`'s
    place, see `IS_DEFINED`). `gives` is the kind of its answer."""

    name: str
    takes: tuple[tuple[Kind, ...], ...]
    gives: Kind
    work: Callable[..., Any]
    optional: int = 0
    repeats: bool = False

    @property
    def fewest(self) -> int:
        """How many arguments it needs."""
        return len(self.takes) - self.optional

    def kinds_of(self, number: int) -> tuple[Kind, ...]:
        """What the argument of this number, from 0, may be; none where there may be no such argument."""
        if number >= len(self.takes):
            return self.takes[-1] if self.repeats else ()
        return self.takes[number]


def as_double(value: float) -> float:
    """A JSON number as a double: an integer of any length may be too large for one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def defined(value: float) -> float:
    """`value`; no answer for what is not a number. Raises `NoAnswerError`."""
    if math.isnan(value):
        raise NoAnswerError
    return value


def text_as_number(text: str) -> float:
    """The number that a text says. Raises `NoAnswerError`.

    >>> text_as_number(" 21.5 ")
    21.5
    """
    try:
        # Python reads digits in groups (1_000) and words (nan, infinity): on no other system are these numbers.
        if "_" in text or any(letter.isalpha() and letter not in "eE" for letter in text):
            raise NoAnswerError
        return float(text)
    except ValueError:
        raise NoAnswerError from None


def _as_number(value: str | float) -> float:
    return text_as_number(value) if isinstance(value, str) else as_double(value)


def _substring(text: str, start: float, length: float | None = None) -> str:
    begin, count = _index(start), None if length is None else _index(length)
    if begin > len(text) or (count is not None and begin + count > len(text)):
        raise NoAnswerError
    return text[begin:] if count is None else text[begin : begin + count]


def _index(value: float) -> int:
    if not math.isfinite(as_double(value)) or value < 0:
        raise NoAnswerError
    return int(value)


def _rounded(way: Callable[[float], int]) -> Callable[[float], float]:
    def work(value: float) -> float:
        double = as_double(value)
        return float(way(double)) if math.isfinite(double) else double

    return work


def _exp(value: float) -> float:
    try:
        return math.exp(as_double(value))
    except OverflowError:
        return math.inf


def power(base: float, exponent: float) -> float:
    """`base` to the `exponent`, as doubles."""
    try:
        return defined(math.pow(as_double(base), as_double(exponent)))
    except OverflowError:
        return math.inf
    except ValueError:  # a root of a negative number, or 0 to a negative one
        raise NoAnswerError from None


def _square_root(value: float) -> float:
    double = as_double(value)
    if double < 0:
        raise NoAnswerError
    return math.sqrt(double)


def _sign(value: float) -> float:
    return float((value > 0) - (value < 0))


def kind_of(value: object) -> Kind | None:
    """The kind of a JSON value; None for lists, objects and what is undefined."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else None


def _is(kind: Kind) -> Callable[[Json], bool]:
    return lambda value: kind_of(value) == kind


_ALL = (
    Function("as_number", (("string", "number"),), "number", _as_number),
    Function("abs", (NUMBER,), "number", lambda value: abs(as_double(value))),
    Function("exp", (NUMBER,), "number", _exp),
    Function("power", (NUMBER, NUMBER), "number", power),
    Function("square", (NUMBER,), "number", lambda value: as_double(value) * as_double(value)),
    Function("ceiling", (NUMBER,), "number", _rounded(math.ceil)),
    Function("floor", (NUMBER,), "number", _rounded(math.floor)),
    Function("sign", (NUMBER,), "number", _sign),
    Function("sqrt", (NUMBER,), "number", _square_root),
    Function("concat", (STRING, STRING), "string", lambda *texts: "".join(texts), repeats=True),
    Function("length", (STRING,), "number", len),
    Function("lower", (STRING,), "string", str.lower),
    Function("upper", (STRING,), "string", str.upper),
    Function("substring", (STRING, NUMBER, NUMBER), "string", _substring, optional=1),
    Function("index_of", (STRING, STRING), "number", str.find),
    Function("starts_with", (STRING, STRING), "boolean", str.startswith),
    Function("ends_with", (STRING, STRING), "boolean", str.endswith),
    Function("contains", (STRING, STRING), "boolean", str.__contains__),
    Function("is_bool", (ANY,), "boolean", _is("boolean")),
    Function("is_null", (ANY,), "boolean", _is("null")),
    Function("is_number", (ANY,), "boolean", _is("number")),
    Function("is_string", (ANY,), "boolean", _is("string")),
)
# These answer for what is undefined too: it is of no kind.
ABOUT_KINDS = frozenset(["is_bool", "is_null", "is_number", "is_string"])
FUNCTIONS: Mapping[str, Function] = MappingProxyType({function.name: function for function in _ALL})
