"""A chain drawn as a tree, the root at the top: what `leafward up` and `leafward chain` show."""

from collections.abc import Sequence

import click

from leafward.cli.roles import ROLE_NAMES
from leafward.pki.chain import Chain
from leafward.pki.summary import CertificateSummary, roles, summarise


def draw_chain(chain: Chain) -> list[str]:
    """The lines of the tree.

    root CA             Azure IoT Hub CA Cert Test Only              ec-p256  until 2046-11-19
    └─ intermediate CA  Azure IoT Hub Intermediate Cert Test Only    ec-p256  until 2036-11-21
    """
    top_down = [
        summarise(certificate, role)
        for certificate, role in zip(chain.certificates, roles(chain.certificates), strict=True)
    ][::-1]
    labels = [_label(depth, summary) for depth, summary in enumerate(top_down)]
    return _columns(labels, top_down)


def _label(depth: int, summary: CertificateSummary) -> str:
    branch = "   " * (depth - 1) + "└─ " if depth else ""
    return branch + ROLE_NAMES.get(summary.role, summary.role)


def _columns(labels: Sequence[str], summaries: Sequence[CertificateSummary]) -> list[str]:
    names = [summary.common_name or " ".join(summary.san) or "(no name)" for summary in summaries]
    left, middle = max(map(len, labels)), max(map(len, names))
    return [
        f"{label:<{left}}  {click.style(f'{name:<{middle}}', bold=True)}  {summary.key}  until {summary.not_after[:10]}"
        for label, name, summary in zip(labels, names, summaries, strict=True)
    ]
