"""`leafward.toml`: read once, checked whole, every fault told at once with its line and the path of its key.

Each part has a model of its own table and leaves the others' alone. A key that is not known is refused with the nearest
one that is: a misspelt `hostnam` must not become a gateway with the wrong name.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from leafward import disk
from leafward.errors import Fault, LeafwardError, NotFound, SettingsError
from leafward.toml_lines import KeyPath, error_line, find_lines, line_of

# Every table of the file, whoever reads it.
TABLES = ("device", "renewal", "hub", "provisioning", "maker", "est", "enrolment", "manager")

LONGEST_SHOWN = 60  # characters of a value that a fault repeats
# A value under such a key is never repeated, whatever else is wrong with it: it may be a secret, or hold one.
_SECRET = re.compile(r"pass|pin|secret|token|key|database|url|uri|auth", re.IGNORECASE)
# What pydantic says, where our own words are plainer. The rest it says well.
_EXPECTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text in quotes",
    "tuple_type": "a list in [ ]",
    "dict_type": "a table",
    "model_type": "a table",
    "path_type": "a path in quotes",
    "missing": "a value",
}
_SHOULD = "Input should be "
_KINDS = {bool: "a boolean", int: "a whole number", float: "a number", str: "text", list: "a list", dict: "a table"}


class Table(BaseModel):
    """A table of the file: keys that are not known are refused, and no error repeats a value that may be a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


Model = TypeVar("Model", bound=BaseModel)


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of the file; none where there is no such file. Raises `SettingsError` for what is no TOML."""
    try:
        text = disk.read_file(path).decode("utf-8").removeprefix("\ufeff")
    except NotFound:
        return {}
    except UnicodeDecodeError as error:
        raise _unreadable(path, str(error), None) from error
    return parse_tables(text, path)


def parse_tables(text: str, source: Path) -> dict[str, Any]:
    """The tables of a text; `source` names it. Raises `SettingsError` for what is no TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(source, str(error), error_line(error, text)) from error
    except RecursionError:
        raise _unreadable(source, "it is nested too deeply", None) from None


def checked(model: type[Model], tables: Mapping[str, Any], source: Path) -> Model:
    """`tables` as a model whose fields are the tables that a part reads. The tables of other parts are left out.

    Raises `SettingsError` naming `source` and every wrong key, with lines where `source` is the file they come from.
    """
    wanted = set(model.model_fields)
    ours = {name: table for name, table in tables.items() if name in wanted or name not in TABLES}
    try:
        return model.model_validate(ours)
    except ValidationError as error:
        raise refused(source, _faults(model, ours, source, error)) from error


def refused(source: Path, faults: Sequence[Fault]) -> SettingsError:
    """The error that tells all `faults` of a file."""
    return SettingsError(
        f"{source} has {len(faults)} wrong setting{'s' * (len(faults) > 1)}",
        why="; ".join(fault.sentence for fault in faults),
        hint="correct the keys named, or remove them to get their defaults",
        faults=faults,
    )


def lines_of(path: Path) -> dict[KeyPath, int]:
    """The line of every key of a file; nothing where it cannot be read."""
    try:
        return find_lines(disk.read_file(path).decode("utf-8", "replace").removeprefix("\ufeff"))
    except LeafwardError:
        return {}


def _unreadable(path: Path, why: str, line: int | None) -> SettingsError:
    fault = Fault(str(path), line, "", why, expected="TOML in UTF-8")
    return SettingsError(f"{path} cannot be read", why=why, hint="it is a TOML file in UTF-8", faults=[fault])


def _faults(model: type[BaseModel], tables: Mapping[str, Any], source: Path, error: ValidationError) -> list[Fault]:
    # The file is read a second time, and only now: who reads settings without a fault needs no lines.
    lines = lines_of(source)
    told = error.errors(include_url=False)
    found = dict.fromkeys(_fault(model, tables, source, lines, one) for one in told)
    return sorted(found, key=lambda fault: fault.line or 0)


def _fault(
    model: type[BaseModel], tables: Mapping[str, Any], source: Path, lines: Mapping[KeyPath, int], told: Any
) -> Fault:
    path = _without_branches(model, told["loc"])
    key, line = ".".join(map(str, path)), line_of(lines, tuple(path))
    if told["type"] == "extra_forbidden":
        known = _known_keys(model, told["loc"][:-1])
        message, nearest = _not_known(model, path, known)
        return Fault(str(source), line, key, message, expected=f"one of {', '.join(known)}", nearest=nearest)
    message = told["msg"].removeprefix("Value error, ")
    got = _shown(model, path, tables)
    expected = _EXPECTED.get(told["type"]) or _asked_for(message)
    if told["type"] in _EXPECTED or message.startswith(_SHOULD):
        message = f"got {got or _kind(tables, path)}, expected {expected}"
    return Fault(str(source), line, key, message, expected=expected, got=got)


def _asked_for(message: str) -> str:
    """What was expected, out of a sentence that says so."""
    _, found, rest = message.partition("expected ")
    return rest if found else message.removeprefix(_SHOULD)


def _not_known(model: type[BaseModel], path: Sequence[str | int], known: Sequence[str]) -> tuple[str, str | None]:
    """What to say of an unknown key, and the key that is meant."""
    name = str(path[-1])
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if nearest and difflib.SequenceMatcher(None, name, nearest[0]).ratio() > 0.8:
        return f"not known, did you mean {nearest[0]!r}?", nearest[0]
    elsewhere = [other for other in _keys_of_tables(model) if other.rpartition(".")[2] == name]
    if elsewhere:
        return f"not known, known are {', '.join(known)}; did you mean {elsewhere[0]!r}?", elsewhere[0]
    if nearest:
        return f"not known, did you mean {nearest[0]!r}?", nearest[0]
    return f"not known, known are {', '.join(known)}", None


def _keys_of_tables(model: type[BaseModel]) -> Iterator[str]:
    """`table.key` of every table of a file's model."""
    for name, field in model.model_fields.items():
        table = next((kind for kind in (field.annotation, *get_args(field.annotation)) if _is_table(kind)), None)
        if table is not None:
            yield from (f"{name}.{key}" for key in table.model_fields)


def _shown(model: type[BaseModel], path: Sequence[str | int], tables: Mapping[str, Any]) -> str | None:
    """The value at fault, where it is one that can be no secret."""
    value = _value(tables, path)
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    hidden = any(_SECRET.search(str(part)) for part in path) or not _may_be_shown(model, path)
    if not isinstance(value, str) or hidden or len(value) > LONGEST_SHOWN:
        return None
    return repr(value)


def _may_be_shown(model: type[BaseModel], path: Sequence[str | int]) -> bool:
    """Whether no field on the way hides itself from `repr`."""
    kind: Any = model
    for part in path:
        field = kind.model_fields.get(str(part)) if _is_table(kind) else None
        if field is not None and not field.repr:
            return False
        kind = _kind_of(kind, part)
    return True


def _value(tables: Mapping[str, Any], path: Sequence[str | int]) -> Any:
    value: Any = tables
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _kind(tables: Mapping[str, Any], path: Sequence[str | int]) -> str:
    value = _value(tables, path)
    return "nothing" if value is None else _KINDS.get(type(value), "another kind of value")


def _without_branches(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str | int]:
    """pydantic puts the branch of a union behind the key; no reader of a settings file knows these names."""
    path: list[str | int] = []
    kind: Any = model
    for part in location:
        if _is_table(kind) or get_origin(kind) is dict or isinstance(part, int):
            path.append(part)
        kind = _kind_of(kind, part)
    return path


def _known_keys(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    kind: Any = model
    for part in path:
        kind = _kind_of(kind, part)
    if kind is model:
        return list(TABLES)
    # What is excluded is set by programs only.
    return [name for name, field in kind.model_fields.items() if not field.exclude] if _is_table(kind) else []


def _kind_of(kind: Any, key: str | int) -> Any:
    """What stands at `key` of a table; None where that is no table's."""
    if get_origin(kind) in {dict, list}:
        return get_args(kind)[-1]
    field = kind.model_fields.get(str(key)) if _is_table(kind) else None
    if field is None:
        return None
    # `EnrolmentSettings | None` is a table that may be left out.
    tables = [one for one in get_args(field.annotation) if _is_table(one)]
    return tables[0] if len(tables) == 1 and get_origin(field.annotation) not in {dict, list} else field.annotation


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
