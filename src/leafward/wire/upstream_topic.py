"""The topic of a message at a broker of somebody else's: a template such as `plant/{device}/{module}/{output}`.

Ids and outputs may hold what a topic may not, or what would make two levels of one: such a sign is percent-encoded. A
level that is empty once the names stand in it is left out: `plant/leaf1` for what a leaf device sends.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from leafward.errors import SettingsError

NAMES = ("device", "module", "output", "gateway")
_FIELD = re.compile(r"\{([^{}]*)\}")
_UNSAFE = re.compile(r"[%/+#\x00-\x1f\x7f]")
_MOST_REMEMBERED = 4096


class Sent(Protocol):
    """Who sent a message."""

    @property
    def device_id(self) -> str: ...
    @property
    def module_id(self) -> str | None: ...
    @property
    def output(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class TopicTemplate:
    """A template that is one. `levels`: its levels as they were written."""

    levels: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "TopicTemplate":
        """Raises `SettingsError` for a template that no topic can come of.

        >>> TopicTemplate.parse("plant/{device}").levels
        ('plant', '{device}')
        """
        what = f"{text[:200]!r} is no topic template"
        if unknown := [name for name in _FIELD.findall(text) if name not in NAMES]:
            known = ", ".join(f"{{{name}}}" for name in NAMES)
            raise SettingsError(what, why=f"{{{unknown[0]}}} is not known, known are {known}")
        bare = _FIELD.sub("x", text)
        if "{" in bare or "}" in bare:
            raise SettingsError(what, why="a brace stands alone")
        if "+" in bare or "#" in bare or bare.startswith("$") or not bare:
            raise SettingsError(what, why="a topic has no wildcards and does not begin with '$'")
        if not bare.isprintable():
            raise SettingsError(what, why="it has a control character")
        levels = tuple(text.split("/"))
        if "" in levels:
            raise SettingsError(what, why="it has an empty level")
        if not any("{device}" in level or "{gateway}" in level or "{" not in level for level in levels):
            raise SettingsError(what, why="it is empty for a leaf device, which has no module and no output")
        return cls(levels)


class TopicWriter:
    """Writes the topics of one template. The same few senders ask again and again."""

    def __init__(self, template: TopicTemplate, gateway: str) -> None:
        self._template = template
        self._gateway = gateway
        self._known: dict[tuple[str, str | None, str | None], str] = {}

    def topic_of(self, message: Sent) -> str:
        """The topic of a message."""
        sender = (message.device_id, message.module_id, message.output)
        found = self._known.get(sender)
        if found is None:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            found = self._known[sender] = self._write(message)
        return found

    def _write(self, message: Sent) -> str:
        values = {
            "device": message.device_id,
            "module": message.module_id or "",
            "output": message.output or "",
            "gateway": self._gateway,
        }
        safe = {name: _UNSAFE.sub(_percent, value) for name, value in values.items()}
        levels = [_FIELD.sub(lambda match: safe[match[1]], level) for level in self._template.levels]
        topic = "/".join(level for level in levels if level)
        # What brokers keep for themselves begins with '$': `$edgeHub` as a first level does not.
        return "%24" + topic[1:] if topic.startswith("$") else topic


def _percent(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"
