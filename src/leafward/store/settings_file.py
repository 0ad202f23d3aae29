"""`leafward.toml`: read once, checked whole, every fault told at once with the path of its key.

Each part has a model of its own table and leaves the others' alone. A key that is not known is refused with the nearest
one that is: a misspelt `hostnam` must not become a gateway with the wrong name.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from leafward import disk
from leafward.errors import NotFound, SettingsError

# Every table of the file, whoever reads it.
TABLES = ("device", "renewal", "hub", "provisioning", "maker", "est", "enrolment", "manager")


class Table(BaseModel):
    """A table of the file: keys that are not known are refused, and no error repeats a value that may be a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)


Model = TypeVar("Model", bound=BaseModel)


def read_tables(path: Path) -> dict[str, Any]:
    """The tables of the file; none where there is no such file. Raises `SettingsError` for what is no TOML."""
    try:
        tables = tomllib.loads(disk.read_file(path).decode("utf-8"))
    except NotFound:
        return {}
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read", why=str(error), hint="it is a TOML file in UTF-8") from error
    return tables


def checked(model: type[Model], tables: Mapping[str, Any], source: Path) -> Model:
    """`tables` as a model whose fields are the tables that a part reads. The tables of other parts are left out.

    Raises `SettingsError` naming `source` and every wrong key.
    """
    wanted = set(model.model_fields)
    ours = {name: table for name, table in tables.items() if name in wanted or name not in TABLES}
    try:
        return model.model_validate(ours)
    except ValidationError as error:
        faults = [_sentence(model, fault) for fault in error.errors(include_url=False, include_input=False)]
        raise SettingsError(
            f"{source} has {len(faults)} wrong setting{'s' * (len(faults) > 1)}",
            why="; ".join(dict.fromkeys(faults)),
            hint="correct the keys named, or remove them to get their defaults",
        ) from error


def _sentence(model: type[BaseModel], fault: Any) -> str:
    """One fault as `path.of.key: what is wrong`."""
    location = fault["loc"]
    key = ".".join(map(str, _without_branches(model, location)))
    if fault["type"] != "extra_forbidden":
        return f"{key}: {fault['msg'].removeprefix('Value error, ')}"
    known = _known_keys(model, location[:-1])
    nearest = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    meant = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(known)}"
    return f"{key}: not known, {meant}"


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
    return list(kind.model_fields) if _is_table(kind) else []


def _kind_of(kind: Any, key: str | int) -> Any:
    """What stands at `key` of a table; None where that is no table's."""
    field = kind.model_fields.get(str(key)) if _is_table(kind) else None
    return field.annotation if field is not None else None


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
