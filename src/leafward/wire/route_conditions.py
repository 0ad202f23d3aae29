"""The condition of a route: values of a message, compared and counted with.

Three answers, as in the query language of IoT Hub: true, false, and undefined where a value is missing or of the wrong
kind. A route takes a message only when the answer is true, so `NOT` of something missing does not match.

Each node says by `gives` of which kind its value is, None where only the message knows: so a condition that can never
be true is refused when the route is set.
"""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, TypeGuard

from leafward.errors import EncodingError
from leafward.wire.json_value import Json, read_body
from leafward.wire.route_functions import (
    ABOUT_KINDS,
    Function,
    Kind,
    NoAnswerError,
    as_double,
    defined,
    kind_of,
    text_as_number,
)


class Routed(Protocol):
    """What of a message routes look at."""

    @property
    def device_id(self) -> str: ...
    @property
    def module_id(self) -> str | None: ...
    @property
    def output(self) -> str | None: ...
    @property
    def properties(self) -> Mapping[str, str]: ...
    @property
    def system(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Undefined(Enum):
    """The third answer, an enum so that types can tell it from values."""

    UNDEFINED = "undefined"


UNDEFINED: Final = Undefined.UNDEFINED
Value: TypeAlias = Json | Undefined


class Subject:
    """A message under the eyes of many routes: its body is parsed once, and only if a route asks for it."""

    __slots__ = ("_body", "_body_read", "message")

    def __init__(self, message: Routed) -> None:
        self.message = message
        self._body: Value = UNDEFINED
        self._body_read = False

    @property
    def body(self) -> Value:
        if not self._body_read:
            self._body_read = True
            try:
                self._body = read_body(self.message.body, self.message.system)
            except EncodingError:
                self._body = UNDEFINED
        return self._body


class Condition(Protocol):
    """A node: its value for one message, and the kind of it where that is known before."""

    @property
    def gives(self) -> Kind | None: ...
    def value(self, subject: Subject) -> Value: ...


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number, boolean, null or undefined."""

    constant: Value

    @property
    def gives(self) -> Kind | None:
        return kind_of(self.constant)

    def value(self, subject: Subject) -> Value:
        return self.constant


@dataclass(frozen=True, slots=True)
class Property:
    """An application property; its exact name before one that differs in case, as IoT Edge's hub takes it."""

    name: str

    @property
    def gives(self) -> Kind | None:
        return "string"

    def value(self, subject: Subject) -> Value:
        properties = subject.message.properties
        found = properties.get(self.name)
        return found if found is not None else _without_case(properties, self.name.lower())


@dataclass(frozen=True, slots=True)
class SystemProperty:
    """`$contentType` and the like, by long name in any case. `$connectionModuleId` is undefined for a leaf device.

    An application property that is called so, dollar sign included, comes first, unless the name stands in braces.
    """

    name: str  # without the dollar sign
    braced: bool = False

    @property
    def gives(self) -> Kind | None:
        return "string"

    def value(self, subject: Subject) -> Value:
        message, name = subject.message, self.name.lower()
        if not self.braced and (own := message.properties.get(f"${self.name}")) is not None:
            return own
        if name == "connectiondeviceid":
            return message.device_id
        if name == "connectionmoduleid":
            return UNDEFINED if message.module_id is None else message.module_id
        if name == "outputname":
            return UNDEFINED if message.output is None else message.output
        return _without_case(message.system, name)


@dataclass(frozen=True, slots=True)
class Body:
    """`$body.weather.temperatures[0]`: a value inside a JSON body."""

    path: tuple[str | int, ...]

    @property
    def gives(self) -> Kind | None:
        return None

    def value(self, subject: Subject) -> Value:
        value = subject.body
        for step in self.path:
            if isinstance(step, str) and isinstance(value, dict):
                value = value.get(step, UNDEFINED)
            elif isinstance(step, int) and isinstance(value, list) and step < len(value):
                value = value[step]
            else:
                return UNDEFINED
        return value


@dataclass(frozen=True, slots=True)
class IsDefined:
    """IS_DEFINED(x)."""

    operand: Condition

    @property
    def gives(self) -> Kind | None:
        return "boolean"

    def value(self, subject: Subject) -> Value:
        return self.operand.value(subject) is not UNDEFINED


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments; undefined where one is missing or of another kind than it takes."""

    function: Function
    arguments: tuple[Condition, ...]

    @property
    def gives(self) -> Kind | None:
        return self.function.gives

    def value(self, subject: Subject) -> Value:
        values = [argument.value(subject) for argument in self.arguments]
        if self.function.name not in ABOUT_KINDS:
            for number, value in enumerate(values):
                if kind_of(value) not in self.function.kinds_of(number):
                    return UNDEFINED
        try:
            answer: Value = self.function.work(*values)
        except NoAnswerError:
            return UNDEFINED
        return answer


@dataclass(frozen=True, slots=True)
class Not:
    """NOT x; undefined where x is neither boolean nor null."""

    operand: Condition

    @property
    def gives(self) -> Kind | None:
        return "boolean"

    def value(self, subject: Subject) -> Value:
        value = self.operand.value(subject)
        return not value if value is None or isinstance(value, bool) else UNDEFINED


@dataclass(frozen=True, slots=True)
class AllOf:
    """x AND y …: false where one is false, undefined where none is and one is not true."""

    operands: tuple[Condition, ...]

    @property
    def gives(self) -> Kind | None:
        return "boolean"

    def value(self, subject: Subject) -> Value:
        return _first_or_undefined(self.operands, subject, decisive=False)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """x OR y …: true where one is true."""

    operands: tuple[Condition, ...]

    @property
    def gives(self) -> Kind | None:
        return "boolean"

    def value(self, subject: Subject) -> Value:
        return _first_or_undefined(self.operands, subject, decisive=True)


@dataclass(frozen=True, slots=True)
class FirstDefined:
    """x ?? y …: the first that is defined."""

    operands: tuple[Condition, ...]

    @property
    def gives(self) -> Kind | None:
        kinds = {operand.gives for operand in self.operands if operand != Literal(UNDEFINED)}
        return kinds.pop() if len(kinds) == 1 else None

    def value(self, subject: Subject) -> Value:
        for operand in self.operands:
            if (value := operand.value(subject)) is not UNDEFINED:
                return value
        return UNDEFINED


COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "=": operator.eq,
        "!=": operator.ne,
        "<>": operator.ne,
        "<": operator.lt,
        ">": operator.gt,
        "<=": operator.le,
        ">=": operator.ge,
    }
)
EQUALITY = ("=", "!=", "<>")


@dataclass(frozen=True, slots=True)
class Comparison:
    """x = y and its kin. Only values of one kind compare; order is for numbers and strings.

    Properties are always text on the wire, so one that reads as a number or boolean compares with a number or boolean.
    """

    sign: str
    left: Condition
    right: Condition

    @property
    def gives(self) -> Kind | None:
        return "boolean"

    def value(self, subject: Subject) -> Value:
        left, right = self.left.value(subject), self.right.value(subject)
        if isinstance(self.left, Property | SystemProperty):
            left = _as_kind_of(right, left)
        if isinstance(self.right, Property | SystemProperty):
            right = _as_kind_of(left, right)
        kind = kind_of(left)
        if kind is None or kind != kind_of(right):
            return UNDEFINED
        if kind not in ("number", "string") and self.sign not in EQUALITY:
            return UNDEFINED
        return COMPARISONS[self.sign](left, right)


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    return defined(math.copysign(math.inf, left) * math.copysign(1, right) if left else math.nan)


def _remainder(left: float, right: float) -> float:
    try:
        return math.fmod(left, right)
    except ValueError:
        raise NoAnswerError from None


ARITHMETIC: Mapping[str, Callable[[float, float], float]] = MappingProxyType(
    {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divide, "%": _remainder}
)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """x + y and its kin, of numbers."""

    sign: str
    left: Condition
    right: Condition

    @property
    def gives(self) -> Kind | None:
        return "number"

    def value(self, subject: Subject) -> Value:
        left, right = self.left.value(subject), self.right.value(subject)
        if not (_is_number(left) and _is_number(right)):
            return UNDEFINED
        try:
            return defined(ARITHMETIC[self.sign](as_double(left), as_double(right)))
        except NoAnswerError:
            return UNDEFINED


def _is_number(value: Value) -> TypeGuard[float]:
    return kind_of(value) == "number"


def _first_or_undefined(operands: tuple[Condition, ...], subject: Subject, *, decisive: bool) -> Value:
    answer: Value = not decisive
    for operand in operands:
        value = operand.value(subject)
        if value is decisive:
            return decisive
        if value is not (not decisive):
            answer = UNDEFINED
    return answer


def _without_case(values: Mapping[str, str], lowered: str) -> Value:
    return next((value for name, value in values.items() if name.lower() == lowered), UNDEFINED)


def _as_kind_of(model: Value, value: Value) -> Value:
    if not isinstance(value, str):
        return value
    if isinstance(model, bool):
        return {"true": True, "false": False}.get(value.lower(), UNDEFINED)
    if isinstance(model, int | float):
        try:
            return text_as_number(value)
        except NoAnswerError:
            return UNDEFINED
    return value
