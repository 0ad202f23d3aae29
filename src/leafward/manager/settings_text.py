"""Settings as the text of a leafward.toml: tables of plain values, each with a comment about where it came from.

Small on purpose: what it cannot write it refuses, and whoever writes with it reads the text back and compares.
"""

from collections.abc import Mapping, Sequence

from leafward.errors import SettingsError

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def settings_text(
    tables: Mapping[str, Mapping[str, object]], *, head: Sequence[str] = (), comments: Mapping[str, str] | None = None
) -> str:
    """TOML 1.0. `comments` stand behind the values of `table.key`, `head` at the top.

    >>> print(settings_text({"device": {"hostname": "gw"}}, comments={"device.hostname": "hostname, line 3"}), end="")
    [device]
    hostname = "gw"  # hostname, line 3
    """
    told = comments or {}
    blocks = ["".join(f"# {line}".rstrip() + "\n" for line in head)] if head else []
    for table, values in tables.items():
        lines = [f"[{_key(table)}]"]
        for key, value in values.items():
            comment = told.get(f"{table}.{key}")
            lines.append(f"{_key(key)} = {_value(value)}" + (f"  # {_one_line(comment)}" if comment else ""))
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _key(text: str) -> str:
    plain = text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    return text if plain else _string(text)


def _value(value: object) -> str:
    # bool before int: it is one.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    raise SettingsError("a setting cannot be written", why=f"got {type(value).__name__}, expected text or a number")


def _string(text: str) -> str:
    return '"' + "".join(_character(one) for one in text) + '"'


def _character(one: str) -> str:
    if one in _ESCAPES:
        return _ESCAPES[one]
    # TOML 1.0: no control character stands in a string as it is.
    return f"\\u{ord(one):04x}" if ord(one) < 0x20 or ord(one) == 0x7F else one


def _one_line(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text)
