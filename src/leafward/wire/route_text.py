"""The text of a route: a reader that goes from left to right and says where it stopped and what it expected.

    route      = FROM source [WHERE either] INTO endpoint
    either     = both {OR both}
    both       = single {AND single}
    single     = NOT single | comparison
    comparison = operand [sign operand]
    operand    = '(' either ')' | IS_DEFINED '(' reference ')' | literal | reference
    reference  = name | '{' any name '}' | $system | $body.path[0]

Key words are the same in any case.
"""

import math
import re
from typing import NoReturn

from leafward.errors import SettingsError
from leafward.wire.route_conditions import (
    COMPARISONS,
    AllOf,
    AnyOf,
    Body,
    Comparison,
    Condition,
    IsDefined,
    Literal,
    Not,
    Property,
    SystemProperty,
)

MAX_LENGTH = 4096  # characters of a route
MAX_DEPTH = 32  # of parentheses and NOTs, one in the other

_BLANKS = re.compile(r"\s*")
_SOURCE = re.compile(r"/\S*")
_STRING = re.compile(r"'((?:[^'\\]|\\.|'')*)'|\"((?:[^\"\\]|\\.)*)\"")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?(?![\w.])", re.ASCII)
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_BRACED = re.compile(r"\{([^{}]+)\}")
_SYSTEM = re.compile(r"\$([A-Za-z_]\w*)", re.ASCII)
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d{1,6})\]", re.ASCII)
_SIGN = re.compile("|".join(sorted(map(re.escape, COMPARISONS), key=len, reverse=True)))
_GOT = re.compile(r"\w+|\S|$")

_RESERVED = frozenset(["FROM", "WHERE", "INTO", "AND", "OR", "NOT", "IS_DEFINED", "TRUE", "FALSE", "NULL"])
_CONSTANTS = {"TRUE": True, "FALSE": False, "NULL": None}


class RouteText:
    """A cursor over the text. Each method skips blanks first; what is not understood raises `SettingsError`."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise SettingsError(
                "the route is too long", why=f"got {len(text)} characters, at most {MAX_LENGTH} are read"
            )
        self._text = text
        self._position = 0
        self._depth = 0

    def keyword(self, word: str) -> bool:
        """Takes `word` if it is next."""
        match = self._peek(_WORD)
        if match is None or match[0].upper() != word:
            return False
        self._position = match.end()
        return True

    def expect_keyword(self, word: str, *others: str) -> None:
        """Takes `word`; `others` are what could stand there too, for the error."""
        if not self.keyword(word):
            self.fail(word, *others)

    def source(self) -> str:
        """`/messages/*` and the like."""
        match = self._take(_SOURCE)
        if match is None:
            self.fail("a source such as /messages/*")
        return match[0]

    def upstream(self) -> bool:
        """Takes `$upstream` if it is next."""
        match = self._peek(_SYSTEM)
        if match is None or match[1].lower() != "upstream":
            return False
        self._position = match.end()
        return True

    def string(self) -> str | None:
        """Takes a string in single or double quotes if one is next."""
        match = self._take(_STRING)
        if match is None:
            return None
        single = match[1] is not None
        inner = re.sub(r"\\(.)", r"\1", match[1] if single else match[2], flags=re.DOTALL)
        return inner.replace("''", "'") if single else inner

    def expect(self, sign: str) -> None:
        """Takes exactly `sign`."""
        if not self._take(re.compile(re.escape(sign))):
            self.fail(repr(sign))

    def end(self) -> None:
        """Nothing may follow."""
        self._blanks()
        if self._position < len(self._text):
            self.fail("the end")

    def condition(self) -> Condition:
        """`either` of the grammar above."""
        operands = [self._both()]
        while self.keyword("OR"):
            operands.append(self._both())
        return operands[0] if len(operands) == 1 else AnyOf(tuple(operands))

    def fail(self, *expected: str) -> NoReturn:
        """Says what stands here and what could."""
        self._blanks()
        got = _GOT.match(self._text, self._position)
        found = repr(got[0][:40]) if got and got[0] else "the end"
        why = f"at character {self._position + 1}: got {found}, expected {' or '.join(expected)}"
        raise SettingsError("the route is not understood", why=why, hint=f"the route is: {self._text[:200]}")

    def _both(self) -> Condition:
        operands = [self._single()]
        while self.keyword("AND"):
            operands.append(self._single())
        return operands[0] if len(operands) == 1 else AllOf(tuple(operands))

    def _single(self) -> Condition:
        if not self.keyword("NOT"):
            return self._comparison()
        self._deeper()
        negated = Not(self._single())
        self._depth -= 1
        return negated

    def _comparison(self) -> Condition:
        left = self._operand()
        sign = self._take(_SIGN)
        return left if sign is None else Comparison(sign[0], left, self._operand())

    def _operand(self) -> Condition:
        if self._take(re.compile(r"\(")):
            self._deeper()
            inner = self.condition()
            self.expect(")")
            self._depth -= 1
            return inner
        if self.keyword("IS_DEFINED"):
            self.expect("(")
            defined = IsDefined(self._reference("a property"))
            self.expect(")")
            return defined
        literal = self._literal()
        return literal or self._reference("a property", "a value", "NOT", "'('")

    def _literal(self) -> Literal | None:
        text = self.string()
        if text is not None:
            return Literal(text)
        number = self._peek(_NUMBER)
        if number is not None:
            value = float(number[0]) if number[1] or number[2] else int(number[0][:400])
            if not math.isfinite(value):
                self.fail("a smaller number")
            self._position = number.end()
            return Literal(value)
        return next((Literal(value) for word, value in _CONSTANTS.items() if self.keyword(word)), None)

    def _reference(self, *expected: str) -> Condition:
        system = self._take(_SYSTEM)
        if system is not None:
            return self._body() if system[1].lower() == "body" else SystemProperty(system[1].lower())
        braced = self._take(_BRACED)
        if braced is not None:
            return Property(braced[1])
        word = self._peek(_WORD)
        if word is None or word[0].upper() in _RESERVED:
            self.fail(*expected)
        self._position = word.end()
        return Property(word[0])

    def _body(self) -> Body:
        path: list[str | int] = []
        while step := _STEP.match(self._text, self._position):
            path.append(step[1] if step[1] is not None else int(step[2]))
            self._position = step.end()
        return Body(tuple(path))

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail(f"at most {MAX_DEPTH} levels of parentheses and NOT")

    def _blanks(self) -> None:
        match = _BLANKS.match(self._text, self._position)
        self._position = match.end() if match else self._position

    def _peek(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self._blanks()
        return pattern.match(self._text, self._position)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = self._peek(pattern)
        if match is not None:
            self._position = match.end()
        return match
