"""How a log line looks: text for people, JSON for programs, text with priorities for the journal; never with a secret.

    text     2026-06-01T12:00:00Z hub WARNING the serving certificate is due
    json     {"time": "2026-06-01T12:00:00.123Z", "part": "hub", "level": "warning", "message": "the serving …", …}
    journal  <4>hub: the serving certificate is due

No code of ours logs a key. The redaction here is the last line of defence, for a library that repeats what it was
given: connection strings, tokens, PEM keys, passwords in addresses.
"""

import json
import logging
import os
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

LogFormat = Literal["text", "json"]
FORMATS: tuple[LogFormat, ...] = ("text", "json")
REDACTED = "[redacted]"

_VALUE = r"""[^\s&;,"'<>\\]+"""
_ASSIGNED = r"""["']?\s*(?:=|:|%3D)\s*["']?"""
_NAMES = r"SharedAccessKey|(?<![A-Za-z])sig|primary_?key|secondary_?key|symmetric_?key|password|passphrase|pin-value"
_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Up to its end, or, where it is cut off, to the end of the text.
    (
        re.compile(r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL),
        rf"-----BEGIN \1-----{REDACTED}",
    ),
    (re.compile(rf"({_NAMES})({_ASSIGNED}){_VALUE}", re.IGNORECASE), rf"\1\2{REDACTED}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^/\s:@]*:)[^/\s@]+@", re.IGNORECASE), rf"\1{REDACTED}@"),
    (re.compile(r"""(authorization["']?\s*[:=]\s*["']?basic\s+)""" + _VALUE, re.IGNORECASE), rf"\1{REDACTED}"),
)
# What every record has; the rest was given with `extra`.
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
# sd-daemon(3): the levels of syslog.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7
# A text line must stay one line: what a client chose is not to look like a line of ours. Tabs and colours neither.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160))} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


def redacted(text: str) -> str:
    """The text with what looks like a secret taken out."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class TextLines(logging.Formatter):
    """One line a record, its time in UTC; a traceback follows on lines of its own."""

    converter = staticmethod(time.gmtime)

    def __init__(self, part: str) -> None:
        super().__init__(f"%(asctime)sZ {part} %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        record.message = record.message.translate(_CONTROLS)
        return super().formatMessage(record)


class JournalLines(TextLines):
    """For standard error that the journal reads: a priority before each line. The journal keeps the time itself."""

    def __init__(self, part: str) -> None:
        super().__init__(part)
        self._style = logging.PercentStyle(f"{part}: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_priority(record.levelno)}>"
        return "\n".join(f"{prefix}{line}" for line in super().format(record).splitlines())


class JsonLines(logging.Formatter):
    """One JSON object a line, ASCII: `time` (RFC 3339, UTC), `part`, `level`, `logger`, `message`; where there are any,
    `fields` (what the call gave as `extra`) and `exception` (the traceback).
    """

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
            "part": self._part,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        fields = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        if fields:
            line["fields"] = _plain(fields)
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line)


def formatter(part: str, form: LogFormat, stream: TextIO) -> logging.Formatter:
    """The formatter for lines of `part` on `stream`."""
    if form == "json":
        return JsonLines(part)
    return JournalLines(part) if is_journal(stream, os.environ) else TextLines(part)


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether the stream goes to systemd's journal: JOURNAL_STREAM names its device and inode (systemd.exec(5)).

    The variable alone says nothing: a child whose output goes to a file inherits it.
    """
    device, _, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def _priority(level: int) -> int:
    return next((priority for least, priority in _PRIORITIES if level >= least), _DEBUG_PRIORITY)


def _plain(value: Any) -> Any:
    """A value as JSON can say it, without secrets."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _named(str(key), one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    return redacted(str(value))


def _named(name: str, value: Any) -> Any:
    """A field that is called like a secret is one, whatever it looks like."""
    return REDACTED if re.fullmatch(rf"(?:{_NAMES})", name, re.IGNORECASE) else _plain(value)
