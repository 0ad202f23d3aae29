"""A chain in Graphviz's words, for whoever draws it with `dot` or into a larger picture."""

from leafward.cli.chain_view import Shown, top_down
from leafward.pki.chain import Chain

_COLOURS = {"maker": "#1f5f8b", "operator": "#2e7d4f"}
_FILLS = {"maker": "#eaf3fa", "operator": "#eaf6ee"}


def draw_dot(chain: Chain) -> list[str]:
    """The lines of a directed graph: an arrow from each certificate to the one that it signed."""
    shown = top_down(chain)
    return [
        "digraph chain {",
        "  rankdir=TB;",
        '  node [shape=box, style="filled,rounded", fontname="Helvetica", margin="0.2,0.12"];',
        '  edge [color="#888888", arrowsize=0.7];',
        *(_node(number, one) for number, one in enumerate(shown)),
        *(f"  c{number} -> c{number + 1};" for number in range(len(shown) - 1)),
        "}",
    ]


def _node(number: int, shown: Shown) -> str:
    key, until = shown.summary.key, shown.summary.not_after[:10]
    label = "\\n".join(_escaped(line) for line in (shown.role, shown.name, f"{key}, until {until}"))
    colours = f'color="{_COLOURS[shown.half]}", fillcolor="{_FILLS[shown.half]}"'
    return f'  c{number} [label="{label}", tooltip="sha256 {shown.summary.sha256}", {colours}];'


def _escaped(text: str) -> str:
    """For a label in quotes; a name of somebody else's breaks out of nothing."""
    plain = "".join(one if one.isprintable() else " " for one in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"')
