"""The condition of a route: values of a message, compared.

Three answers, as in the query language of IoT Hub: true, false, and undefined where a value is missing or two kinds
cannot be compared. A route takes a message only when the answer is true, so `NOT` of something missing does not match.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from leafward.errors import EncodingError
from leafward.wire.json_value import Json, read_body


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
    """A node: its value for one message."""

    def value(self, subject: Subject) -> Value: ...


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, number, boolean or null."""

    constant: Json

    def value(self, subject: Subject) -> Value:
        return self.constant


@dataclass(frozen=True, slots=True)
class Property:
    """An application property, by its exact name."""

    name: str

    def value(self, subject: Subject) -> Value:
        return subject.message.properties.get(self.name, UNDEFINED)


@dataclass(frozen=True, slots=True)
class SystemProperty:
    """`$contentType` and the like, by long name in any case. `$connectionModuleId` is undefined for a leaf device."""

    name: str  # lower-case, without the dollar sign

    def value(self, subject: Subject) -> Value:
        message = subject.message
        if self.name == "connectiondeviceid":
            return message.device_id
        if self.name == "connectionmoduleid":
            return UNDEFINED if message.module_id is None else message.module_id
        if self.name == "outputname":
            return UNDEFINED if message.output is None else message.output
        return next((value for name, value in message.system.items() if name.lower() == self.name), UNDEFINED)


@dataclass(frozen=True, slots=True)
class Body:
    """`$body.weather.temperatures[0]`: a value inside a JSON body."""

    path: tuple[str | int, ...]

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

    def value(self, subject: Subject) -> Value:
        return self.operand.value(subject) is not UNDEFINED


@dataclass(frozen=True, slots=True)
class Not:
    """NOT x; undefined where x is no boolean."""

    operand: Condition

    def value(self, subject: Subject) -> Value:
        value = self.operand.value(subject)
        return not value if isinstance(value, bool) else UNDEFINED


@dataclass(frozen=True, slots=True)
class AllOf:
    """x AND y …: false where one is false, undefined where none is and one is not true."""

    operands: tuple[Condition, ...]

    def value(self, subject: Subject) -> Value:
        return _first_or_undefined(self.operands, subject, decisive=False)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """x OR y …: true where one is true."""

    operands: tuple[Condition, ...]

    def value(self, subject: Subject) -> Value:
        return _first_or_undefined(self.operands, subject, decisive=True)


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """x = y and its kin. Only values of one kind compare; order is for numbers and strings.

    Properties are always text on the wire, so one that reads as a number or boolean compares with a number or boolean.
    """

    sign: str
    left: Condition
    right: Condition

    def value(self, subject: Subject) -> Value:
        left, right = self.left.value(subject), self.right.value(subject)
        if isinstance(self.left, Property | SystemProperty):
            left = _as_kind_of(right, left)
        if isinstance(self.right, Property | SystemProperty):
            right = _as_kind_of(left, right)
        kind = _kind(left)
        if kind is None or kind != _kind(right):
            return UNDEFINED
        if kind not in ("number", "string") and self.sign not in ("=", "!=", "<>"):
            return UNDEFINED
        return COMPARISONS[self.sign](left, right)


def _first_or_undefined(operands: tuple[Condition, ...], subject: Subject, *, decisive: bool) -> Value:
    answer: Value = not decisive
    for operand in operands:
        value = operand.value(subject)
        if value is decisive:
            return decisive
        if value is not (not decisive):
            answer = UNDEFINED
    return answer


def _kind(value: Value) -> str | None:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else None


def _as_kind_of(model: Value, value: Value) -> Value:
    if not isinstance(value, str):
        return value
    if isinstance(model, bool):
        return {"true": True, "false": False}.get(value.lower(), UNDEFINED)
    if isinstance(model, int | float):
        try:
            return float(value) if "_" not in value else UNDEFINED
        except ValueError:
            return UNDEFINED
    return value
