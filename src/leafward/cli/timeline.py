"""Lifetimes on a time line in the terminal, and the next event that nobody here can put off.

A hub's certificate lives a month and its root twenty years, so the line is logarithmic: the next weeks have as
much room as the years at its end.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from leafward.cli.chain_view import Event, Shown, next_forced, next_renewal, top_down
from leafward.cli.text_width import columns as text_columns
from leafward.cli.text_width import cut, pad
from leafward.cli.tree import branch
from leafward.pki.chain import Chain
from leafward.pki.renewal import RenewalPolicy

_DAY = 86_400.0
_TICKS = (
    ("hour", 3600.0),
    ("day", _DAY),
    ("week", 7 * _DAY),
    ("month", 30 * _DAY),
    ("year", 365 * _DAY),
    ("10 years", 3650 * _DAY),
    ("100 years", 36_500 * _DAY),
)
_SHORTEST_NAME, _LONGEST_NAME = 14, 30  # of what a narrow and a wide terminal have room for
_NARROWEST, _WIDEST = 18, 90  # of the line, in characters
_BESIDE = 22  # columns between and after: the part used, the end
_FAR = 2  # units are told in the larger one from two of it on


class Axis:
    """From `now` to `until`, over `width` characters."""

    def __init__(self, now: datetime, until: datetime, width: int) -> None:
        self._now = now
        self._whole = max((until - now).total_seconds(), 1.0)
        # What is nearer than this is drawn to scale, what is further away is drawn closer together.
        self._unit = min(_DAY, self._whole / 20)
        self.width = width

    def column(self, at: datetime) -> int:
        """0 for now and before, `width - 1` for the end."""
        return self._column((at - self._now).total_seconds())

    def ticks(self) -> str:
        """The words above the line."""
        line = "now"
        for word, seconds in _TICKS:
            column = self._column(seconds)
            if seconds < self._whole and column > len(line) and column + len(word) <= self.width:
                line = f"{line:<{column}}{word}"
        return line

    def _column(self, seconds: float) -> int:
        part = math.log1p(max(seconds, 0.0) / self._unit) / math.log1p(self._whole / self._unit)
        return round(min(part, 1.0) * (self.width - 1))


def draw_timeline(chain: Chain, now: datetime, *, columns: int, policy: RenewalPolicy) -> list[str]:
    """The lines; `columns` is the terminal's width, `policy` what the gateway renews by, `now` aware UTC."""
    shown = top_down(chain)
    labels = [f"{branch(depth)}{one.role}" for depth, one in enumerate(shown)]
    left = max(map(len, labels))
    longest = min(max(columns - left - _BESIDE - _NARROWEST, _SHORTEST_NAME), _LONGEST_NAME)
    names = [cut(one.name, longest) for one in shown]
    middle = max(map(text_columns, names))
    width = min(max(columns - left - middle - _BESIDE, _NARROWEST), _WIDEST)
    axis = Axis(now, max(one.end for one in shown), width)
    lines = [f"{'':<{left + middle + 4}}used  {axis.ticks()}"]
    for label, name, one in zip(labels, names, shown, strict=True):
        used = f"{one.used(now):>4.0%}"
        bar = _bar(one, axis, now, policy)
        lines.append(f"{label:<{left}}  {pad(name, middle)}  {used}  {bar:<{width}}  {one.end:%Y-%m-%d}")
    return [*lines, "", *_events(shown, now, policy)]


def _bar(shown: Shown, axis: Axis, now: datetime, policy: RenewalPolicy) -> str:
    """━ until it is renewed, ╌ from then to its end; nothing for what has ended."""
    if shown.end <= now:
        return "✗ ended"
    end = axis.column(shown.end)
    due = axis.column(policy.due(shown.certificate)) if shown.renewed_here else end
    begin = axis.column(shown.start)
    solid = "━" * (max(due - begin, 0) + 1)
    return f"{'':<{begin}}{solid}{'╌' * (end - begin + 1 - len(solid))}"


def _events(shown: Sequence[Shown], now: datetime, policy: RenewalPolicy) -> Iterator[str]:
    renewal = next_renewal(shown, policy, now)
    if renewal is not None and renewal.shown.end > now:
        yield f"next    {_when(renewal, now)}: the gateway renews the {renewal.shown.role} certificate by itself"
    forced = next_forced(shown)
    what = f"the {forced.shown.role} {forced.shown.name!r}"
    if forced.at <= now:
        yield f"forced  {_when(forced, now)}: {what} ended, and nobody connects before it is replaced"
    else:
        yield f"forced  {_when(forced, now)}: {what} ends, and somebody has to replace it before"


def _when(event: Event, now: datetime) -> str:
    wait = event.at - now
    if abs(wait) < timedelta(minutes=1):
        return "now"
    far = f"in {_span(wait)}" if wait >= timedelta() else f"{_span(-wait)} ago"
    return f"{event.at:%Y-%m-%d %H:%M} UTC, {far}"


def _span(time: timedelta) -> str:
    for word, seconds in (("year", 365 * _DAY), ("month", 30 * _DAY), ("day", _DAY), ("hour", 3600.0)):
        if time.total_seconds() >= _FAR * seconds:
            return f"{int(time.total_seconds() // seconds)} {word}s"
    return f"{int(time.total_seconds() // 60)} minutes"
