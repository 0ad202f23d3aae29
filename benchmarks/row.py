"""One line of a benchmark's table: a ratio of two figures of the same run on the same machine, and its bound."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Row:
    """`value` is to be at least `bound`, or at most where `at_most`. `details` are the figures behind it, with units.

    `skipped` says why there is no figure.
    """

    measure: str
    value: float | None
    bound: float
    at_most: bool = False
    details: Mapping[str, float] = field(default_factory=dict)
    skipped: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the bound is kept; a row that was skipped breaks none."""
        if self.value is None:
            return True
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def facts(self) -> dict[str, object]:
        """As JSON values."""
        return {**asdict(self), "holds": self.holds}


def table(rows: Sequence[Row]) -> list[str]:
    """The lines of a table, with the figures behind each ratio below it."""
    lines = [f"{'measure':<64} {'ratio':>7} {'bound':>8}"]
    for row in rows:
        bound = f"{'<=' if row.at_most else '>='} {row.bound:g}"
        shown = "skipped" if row.value is None else f"{row.value:.3f}"
        lines.append(f"{row.measure:<64} {shown:>7} {bound:>8}{'' if row.holds else '  NOT KEPT'}")
        if row.skipped:
            lines.append(f"    {row.skipped}")
        lines += [f"    {name:<58} {value:>14,.2f}" for name, value in row.details.items()]
    return lines
