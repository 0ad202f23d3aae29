"""A chain as a picture: one card a certificate, the maker's half in blue, the operator's in green.

Each card shows how much of the lifetime is over. Written by hand, so that no other program is needed.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape

from leafward.cli.chain_view import Half, Shown, top_down
from leafward.cli.text_width import cut_points, points
from leafward.pki.chain import Chain

WIDTH = 790
_MARGIN, _CARD, _GAP, _SIDE = 28, 104, 40, 160  # of a card, between cards, left of them
_INK, _GREY, _LINE = "#1c2430", "#5d6b7a", "#c9d2dc"
_COLOURS: dict[Half, tuple[str, str]] = {"maker": ("#1f5f8b", "#dbeaf5"), "operator": ("#2e7d4f", "#dcf0e3")}
_HALVES: dict[Half, str] = {"maker": "maker's half", "operator": "operator's half"}
_SIZES = (16, 14, 12)  # of a name, the first in which it fits
_ALARM = "#b3261e"


def draw_svg(chain: Chain, source: str, now: datetime) -> str:
    """The SVG. `source` is what the chain is of; `now`, aware UTC, is where the lifetimes stand."""
    shown = top_down(chain)
    height = _MARGIN * 2 + 54 + len(shown) * _CARD + (len(shown) - 1) * _GAP
    body = [*_head(source, chain, now), *_halves(shown)]
    for number, one in enumerate(shown):
        if number:
            body.append(_arrow(_top(number)))
        body += _card(one, _top(number), now)
    inside = "\n".join(f"  {line}" for line in body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="Helvetica, Arial, DejaVu Sans, sans-serif" role="img">\n'
        f"  <title>{_safe(f'The certificates of {source}')}</title>\n"
        f'  <rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n{inside}\n</svg>\n'
    )


def _top(number: int) -> int:
    return _MARGIN + 54 + number * (_CARD + _GAP)


def _head(source: str, chain: Chain, now: datetime) -> Iterator[str]:
    yield _text(_MARGIN, _MARGIN + 16, source, size=18, weight=700, room=WIDTH - 2 * _MARGIN)
    complete = "complete up to its root" if chain.is_complete else "its root is not presented"
    yield _text(
        _MARGIN,
        _MARGIN + 36,
        f"{len(chain)} certificate{'s' * (len(chain) > 1)}, {complete}; as of {now:%Y-%m-%d}",
        fill=_GREY,
    )


def _halves(shown: Sequence[Shown]) -> Iterator[str]:
    """A bar and a word beside the cards of each half."""
    for half, words in _HALVES.items():
        numbers = [number for number, one in enumerate(shown) if one.half == half]
        if not numbers:
            continue
        first, last = _top(numbers[0]), _top(numbers[-1]) + _CARD
        colour = _COLOURS[half][0]
        yield f'<rect x="{_SIDE - 14}" y="{first}" width="3" height="{last - first}" rx="1.5" fill="{colour}"/>'
        yield _text(_SIDE - 24, (first + last) // 2 + 4, words, fill=colour, weight=700, size=12, anchor="end")


def _card(shown: Shown, top: int, now: datetime) -> Iterator[str]:
    colour, pale = _COLOURS[shown.half]
    left, width = _SIDE, WIDTH - _SIDE - _MARGIN
    yield (
        f'<rect x="{left}" y="{top}" width="{width}" height="{_CARD}" rx="8" fill="#ffffff" stroke="{_LINE}" '
        'stroke-width="1.2"/>'
    )
    band = f"M{left + 8} {top} h{width - 16} a8 8 0 0 1 8 8 v20 h-{width} v-20 a8 8 0 0 1 8 -8 z"
    yield f'<path d="{band}" fill="{pale}"/>'
    title = f"{shown.title} · ended" if shown.end < now else shown.title
    yield _text(left + 14, top + 19, title, fill=colour, weight=700, size=12)
    summary = shown.summary
    yield _text(left + width - 14, top + 19, summary.key, fill=colour, size=12, anchor="end")
    room = width - 28
    size = next((one for one in _SIZES if points(shown.name, one) <= room), _SIZES[-1])
    yield _text(left + 14, top + 50, shown.name, size=size, weight=700, room=room)
    yield _text(left + 14, top + 68, _details(shown), fill=_GREY, size=11, room=room)
    yield from _lifetime(shown, left + 14, top + 82, width - 28, now)


def _details(shown: Shown) -> str:
    names = ", ".join(shown.summary.san)  # with their kind, as a certificate has them
    return f"sha256 {shown.summary.sha256[:16]}…" + (f" · {names}" if names else "")


def _lifetime(shown: Shown, left: int, top: int, width: int, now: datetime) -> Iterator[str]:
    """A bar between two dates, filled as far as the lifetime is over."""
    colour, pale = _COLOURS[shown.half]
    begin, length = left + 76, width - 152
    over = shown.end < now
    yield _text(left, top + 9, f"{shown.start:%Y-%m-%d}", fill=_GREY, size=11)
    yield _text(
        left + width, top + 9, f"{shown.end:%Y-%m-%d}", fill=_ALARM if over else _GREY, size=11, anchor="end",
        weight=700 if over else 400,
    )  # fmt: skip
    yield f'<rect x="{begin}" y="{top + 2}" width="{length}" height="6" rx="3" fill="{pale}"/>'
    used = length * shown.used(now)
    if used >= 1:
        fill = _ALARM if over else colour
        yield f'<rect x="{begin}" y="{top + 2}" width="{used:.1f}" height="6" rx="3" fill="{fill}"/>'


def _arrow(top: int) -> str:
    x, start = _SIDE + 34, top - _GAP
    return (
        f'<g stroke="{_GREY}" stroke-width="1.4" fill="none"><path d="M{x} {start + 5} V{top - 7}"/>'
        f'<path d="M{x - 4} {top - 12} L{x} {top - 6} L{x + 4} {top - 12}"/></g>'
        f'<text x="{x + 10}" y="{start + _GAP // 2 + 4}" font-size="11" fill="{_GREY}">signs</text>'
    )


def _text(
    x: int,
    y: int,
    text: str,
    *,
    size: int = 13,
    weight: int = 400,
    fill: str = _INK,
    anchor: str = "start",
    room: int = WIDTH,
) -> str:
    """One line; what has no room is cut, and the whole of it is shown where the pointer rests."""
    shown = cut_points(text, size, room)
    whole = f"<title>{_safe(text)}</title>" if shown != text else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}">'
        f"{whole}{_safe(shown)}</text>"
    )


def _safe(text: str) -> str:
    """A name of somebody else's as XML: no markup, and no character that XML 1.0 has not."""
    return escape("".join(one if one.isprintable() else " " for one in text))
