"""A chain drawn as a tree, the root at the top: what `leafward up` and `leafward chain` show."""

from collections.abc import Sequence

import click

from leafward.cli.chain_view import Shown, top_down
from leafward.cli.text_width import columns, pad
from leafward.pki.chain import Chain


def draw_chain(chain: Chain) -> list[str]:
    """The lines of the tree.

    root CA             Azure IoT Hub CA Cert Test Only              ec-p256  until 2046-11-19
    └─ intermediate CA  Azure IoT Hub Intermediate Cert Test Only    ec-p256  until 2036-11-21
    """
    shown = top_down(chain)
    return _columns([f"{branch(depth)}{one.role}" for depth, one in enumerate(shown)], shown)


def branch(depth: int) -> str:
    """What stands before a label at this depth, the root's being 0."""
    return "   " * (depth - 1) + "└─ " if depth else ""


def _columns(labels: Sequence[str], shown: Sequence[Shown]) -> list[str]:
    left, middle = max(map(len, labels)), max(columns(one.name) for one in shown)
    return [
        f"{label:<{left}}  {click.style(pad(one.name, middle), bold=True)}  {one.summary.key}  "
        f"until {one.summary.not_after[:10]}"
        for label, one in zip(labels, shown, strict=True)
    ]
