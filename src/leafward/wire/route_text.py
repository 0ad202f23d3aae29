"""The text of a route: a reader that goes from left to right and says where it stopped and what it expected.

    route      = [SELECT *] FROM source [WHERE condition] INTO endpoint
    condition  = either {?? either}
    either     = both {OR both}
    both       = single {AND single}
    single     = NOT single | equality
    equality   = order [(= | != | <>) order]
    order      = sum [(< | <= | > | >=) sum]
    sum        = product {(+ | - | '||') product}
    product    = factor {(* | / | %) factor}
    factor     = - factor | operand
    operand    = '(' condition ')' | function '(' [condition {, condition}] ')' | literal | reference
    reference  = name | '{' any name '}' | $system | $body.path[0]

Key words and functions are the same in any case. An operator that can never have an answer, because an operand is
known to be of the wrong kind, is refused as well.
"""

import math
import re
from collections.abc import Callable
from typing import NoReturn

from leafward.errors import SettingsError
from leafward.wire.route_conditions import (
    EQUALITY,
    UNDEFINED,
    AllOf,
    AnyOf,
    Arithmetic,
    Body,
    Call,
    Comparison,
    Condition,
    FirstDefined,
    IsDefined,
    Literal,
    Not,
    Property,
    SystemProperty,
    Value,
)
from leafward.wire.route_functions import FUNCTIONS, Function, Kind

MAX_LENGTH = 4096  # characters of a route
MAX_DEPTH = 32  # of parentheses, NOTs and calls, one in the other

_BLANKS = re.compile(r"\s*")
_SOURCE = re.compile(r"/\S*")
_STRING = re.compile(r"'((?:[^'\\]|\\.|'')*)'|\"((?:[^\"\\]|\\.)*)\"")
_ESCAPE = re.compile(r"\\(?:[uU]([0-9a-fA-F]{4})|(.))", re.DOTALL)
_NUMBER = re.compile(r"(\d+(\.\d+)?|\.\d+)([eE][+-]?\d+)?(?![\w.])", re.ASCII)
_HEXADECIMAL = re.compile(r"0[xX]([0-9a-fA-F]{1,16})(?![\w.])", re.ASCII)
# IoT Edge's hub lets names go on with these two signs: `a-b` is one name, `a - b` a difference.
_WORD = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_BRACED = re.compile(r"\{\s*(\$?)([^{}]+?)\s*\}")
_SYSTEM = re.compile(r"\$([A-Za-z_]\w*)", re.ASCII)
_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d{1,6})\]", re.ASCII)
_EQUAL = re.compile(r"=|!=|<>")
_ORDER = re.compile(r"<=|>=|<(?!>)|>")
_SUM = re.compile(r"\|\||\+|-")
_PRODUCT = re.compile(r"[*/%]")
_CALLED = re.compile(r"\s*\(")
_OPEN, _MINUS, _COALESCE = re.compile(r"\("), re.compile(r"-"), re.compile(r"\?\?")
_GOT = re.compile(r"\w+|\S|$")

_RESERVED = frozenset(["FROM", "WHERE", "INTO", "AND", "OR", "NOT", "TRUE", "FALSE", "NULL", "UNDEFINED"])
_CONSTANTS: dict[str, Value] = {"TRUE": True, "FALSE": False, "NULL": None, "UNDEFINED": UNDEFINED}
_OPERAND = ("a property", "a value", "NOT", "'('")


class RouteError(SettingsError):
    """A route that is not understood: `text`, and `position` in it from 0, where the reader stopped."""

    def __init__(self, why: str, text: str, position: int) -> None:
        super().__init__("the route is not understood", why=why, hint=f"the route is: {text[:200]}")
        self.text = text
        self.position = position

    def pointed(self) -> str:
        """The line with a caret below the place; of a long one what is around it.

        >>> print(RouteError("", "FROM /* INTO nowhere", 13).pointed())
        FROM /* INTO nowhere
                     ^
        """
        before = self.text[: self.position]
        start = before.rfind("\n") + 1
        if self.position - start > 80:
            start = self.position - 60
        line = self.text[start:].partition("\n")[0][:120]
        shown = "".join(letter if letter.isprintable() else " " for letter in line)
        return f"{shown}\n{' ' * (self.position - start)}^"


class RouteText:
    """A cursor over the text. Each method skips blanks first; what is not understood raises `RouteError`."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_LENGTH:
            raise SettingsError(
                "the route is too long", why=f"got {len(text)} characters, at most {MAX_LENGTH} are read"
            )
        self._text = text
        self._position = 0
        self._depth = 0

    # -- words and signs ---------------------------------------------------------------------------------------------

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

    def source(self) -> tuple[str, int]:
        """`/messages/*` and the like, and where it stands."""
        match = self._take(_SOURCE)
        if match is None:
            self.fail("a source such as /messages/*")
        return match[0], match.start()

    def upstream(self) -> bool:
        """Takes `$upstream` if it is next."""
        match = self._peek(_SYSTEM)
        if match is None or match[1].lower() != "upstream":
            return False
        self._position = match.end()
        return True

    def string(self) -> tuple[str, int] | None:
        """Takes a string in single or double quotes if one is next: its text, and where it stands."""
        match = self._take(_STRING)
        if match is None:
            return None
        single = match[1] is not None
        inner = _ESCAPE.sub(_unescaped, match[1] if single else match[2])
        return (inner.replace("''", "'") if single else inner), match.start()

    def expect(self, sign: str) -> None:
        """Takes exactly `sign`."""
        if not self._take(re.compile(re.escape(sign))):
            self.fail(repr(sign))

    def end(self) -> None:
        """Nothing may follow."""
        if self._here() < len(self._text):
            self.fail("the end")

    def fail(self, *expected: str) -> NoReturn:
        """Says what stands here and what could."""
        got = _GOT.match(self._text, self._here())
        found = repr(got[0][:40]) if got and got[0] else "the end"
        self.fail_at(self._position, f"got {found}, expected {' or '.join(expected)}")

    def fail_at(self, position: int, why: str) -> NoReturn:
        """Says what is wrong with what stands at `position`."""
        raise RouteError(f"at character {position + 1}: {why}", self._text, position)

    # -- conditions, from what binds least to what binds most --------------------------------------------------------

    def condition(self) -> Condition:
        """`condition` of the grammar above."""
        operands = [self._either()]
        while self._take(_COALESCE):
            operands.append(self._either())
        return operands[0] if len(operands) == 1 else FirstDefined(tuple(operands))

    def _either(self) -> Condition:
        return self._chain("OR", self._both, AnyOf)

    def _both(self) -> Condition:
        return self._chain("AND", self._single, AllOf)

    def _chain(
        self, word: str, part: Callable[[], Condition], whole: Callable[[tuple[Condition, ...]], Condition]
    ) -> Condition:
        start = self._here()
        operands = [part()]
        while self.keyword(word):
            if len(operands) == 1:
                self._is_of(operands[0], start, word, "boolean", "null")
            start = self._here()
            operands.append(part())
            self._is_of(operands[-1], start, word, "boolean", "null")
        return operands[0] if len(operands) == 1 else whole(tuple(operands))

    def _single(self) -> Condition:
        if not self.keyword("NOT"):
            return self._equality()
        self._deeper()
        start = self._here()
        operand = self._single()
        self._is_of(operand, start, "NOT", "boolean", "null")
        self._depth -= 1
        return Not(operand)

    def _equality(self) -> Condition:
        left = self._order()
        sign = self._take(_EQUAL)
        return left if sign is None else self._compared(sign[0], left, self._order)

    def _order(self) -> Condition:
        left = self._sum()
        sign = self._take(_ORDER)
        return left if sign is None else self._compared(sign[0], left, self._sum)

    def _compared(self, sign: str, left: Condition, part: Callable[[], Condition]) -> Condition:
        start = self._here()
        right = part()
        kinds = {one.gives for one in (left, right) if not isinstance(one, Property | SystemProperty)} - {None, "null"}
        if len(kinds) > 1:
            self.fail_at(start, f"a {left.gives} is never comparable with a {right.gives}")
        if sign not in EQUALITY and kinds & {"boolean"}:
            self.fail_at(start, f"{sign} is for numbers and strings")
        return Comparison(sign, left, right)

    def _sum(self) -> Condition:
        start = self._here()
        left = self._product()
        while sign := self._take(_SUM):
            kind: Kind = "string" if sign[0] == "||" else "number"
            self._is_of(left, start, sign[0], kind)
            at = self._here()
            right = self._product()
            self._is_of(right, at, sign[0], kind)
            joined = sign[0] == "||"
            left = Call(FUNCTIONS["concat"], (left, right)) if joined else Arithmetic(sign[0], left, right)
        return left

    def _product(self) -> Condition:
        start = self._here()
        left = self._factor()
        while sign := self._take(_PRODUCT):
            self._is_of(left, start, sign[0], "number")
            at = self._here()
            right = self._factor()
            self._is_of(right, at, sign[0], "number")
            left = Arithmetic(sign[0], left, right)
        return left

    def _factor(self) -> Condition:
        if not self._take(_MINUS):
            return self._operand()
        self._deeper()
        start = self._here()
        operand = self._factor()
        self._is_of(operand, start, "-", "number")
        self._depth -= 1
        if isinstance(operand, Literal) and isinstance(operand.constant, int | float):
            return Literal(-operand.constant)
        return Arithmetic("-", Literal(0), operand)

    def _operand(self) -> Condition:
        if self._take(_OPEN):
            self._deeper()
            inner = self.condition()
            self.expect(")")
            self._depth -= 1
            return inner
        return self._call() or self._literal() or self._reference()

    # -- calls -------------------------------------------------------------------------------------------------------

    def _call(self) -> Condition | None:
        """A function, where a word is next that names one, or that a '(' follows."""
        word = self._peek(_WORD)
        if word is None or word[0].upper() in _RESERVED:
            return None
        name, opened = word[0].lower(), _CALLED.match(self._text, word.end())
        if name != "is_defined" and not opened:
            return None
        function = FUNCTIONS.get(name)
        if function is None and name != "is_defined":
            self.fail_at(word.start(), f"there is no function {word[0][:40]!r}; there are {_names()}")
        self._position = word.end()
        self.expect("(")
        self._deeper()
        arguments = self._arguments(function, 1 if function is None else function.fewest)
        self._depth -= 1
        return IsDefined(arguments[0]) if function is None else Call(function, arguments)

    def _arguments(self, function: Function | None, fewest: int) -> tuple[Condition, ...]:
        """Up to the ')', which is taken. `function` is None for IS_DEFINED, which takes one of any kind."""
        arguments: list[Condition] = []
        while True:
            at = self._here()
            arguments.append(self.condition())
            if function is not None:
                self._is_of(arguments[-1], at, function.name.upper(), *function.kinds_of(len(arguments) - 1))
            more = function is not None and bool(function.kinds_of(len(arguments)))
            if len(arguments) < fewest:
                self.expect(",")
            elif not (more and self._take(re.compile(","))):
                break
        self.expect(")")
        return tuple(arguments)

    def _is_of(self, operand: Condition, at: int, what: str, *kinds: Kind) -> None:
        """Refuses an operand that is known to be of another kind."""
        if operand.gives is None or operand.gives in kinds:
            return
        why = f"{what} takes a {kinds[0]}, and this is a {operand.gives}"
        if kinds[0] == "number" and operand.gives == "string":
            why += ": AS_NUMBER(…) makes one of it"
        self.fail_at(at, why)

    # -- literals and references -------------------------------------------------------------------------------------

    def _literal(self) -> Literal | None:
        if (text := self.string()) is not None:
            return Literal(text[0])
        if (hexadecimal := self._take(_HEXADECIMAL)) is not None:
            return Literal(int(hexadecimal[1], 16))
        number = self._peek(_NUMBER)
        if number is not None:
            value = float(number[0]) if number[2] or number[3] or "." in number[1] else int(number[0][:400])
            if not math.isfinite(value):
                self.fail("a smaller number")
            self._position = number.end()
            return Literal(value)
        return next((Literal(value) for word, value in _CONSTANTS.items() if self.keyword(word)), None)

    def _reference(self) -> Condition:
        system = self._take(_SYSTEM)
        if system is not None:
            return self._body() if system[1].lower() == "body" else SystemProperty(system[1])
        braced = self._take(_BRACED)
        if braced is not None:
            return SystemProperty(braced[2], braced=True) if braced[1] else Property(braced[2])
        word = self._peek(_WORD)
        if word is None or word[0].upper() in _RESERVED:
            self.fail(*_OPERAND)
        self._position = word.end()
        return Property(word[0])

    def _body(self) -> Body:
        path: list[str | int] = []
        while step := _STEP.match(self._text, self._position):
            path.append(step[1] if step[1] is not None else int(step[2]))
            self._position = step.end()
        return Body(tuple(path))

    # -- the cursor --------------------------------------------------------------------------------------------------

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail(f"at most {MAX_DEPTH} levels of parentheses and NOT")

    def _here(self) -> int:
        """Where the next thing begins."""
        match = _BLANKS.match(self._text, self._position)
        self._position = match.end() if match else self._position
        return self._position

    def _peek(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        return pattern.match(self._text, self._here())

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = self._peek(pattern)
        if match is not None:
            self._position = match.end()
        return match


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] is not None else match[2]


def _names() -> str:
    return ", ".join(sorted(name.upper() for name in (*FUNCTIONS, "is_defined")))
