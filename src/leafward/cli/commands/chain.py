"""`leafward chain`: the hierarchy of a PEM file, of a live server or of a home, as a tree or as a picture."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.options import json_option
from leafward.cli.service import system_clock
from leafward.errors import UsageError

if TYPE_CHECKING:
    from leafward.pki.chain import Chain


@click.command("chain")
@click.argument("target")
@click.option("--name", metavar="HOST", help="The name to ask the server for (SNI); default: the host.")
@click.option("--table", is_flag=True, help="As a Markdown table: what each certificate is, and its name.")
@click.option("--timeline", is_flag=True, help="Their lifetimes on a time line, and the next event.")
@click.option("--dot", is_flag=True, help="In Graphviz's language.")
@click.option("--svg", type=click.Path(path_type=Path), metavar="FILE", help="A picture, written to FILE (-: here).")
@json_option
def command(
    *, target: str, name: str | None, table: bool, timeline: bool, dot: bool, svg: Path | None, as_json: bool
) -> None:
    """The hierarchy of a PEM file, of HOST:PORT or of a home: a tree, unless another form is asked for.

    \b
    Examples:
      leafward chain gateway.local:8883
      leafward chain gateway.local:8883 --timeline
      leafward chain /var/lib/leafward --svg chain.svg
      leafward chain /etc/leafward/device-ca/certificate.pem --json
    """
    from leafward.cli.chain_source import read_chain

    if sum((table, timeline, dot, svg is not None, as_json)) > 1:
        why = "--table, --timeline, --dot, --svg and --json exclude each other"
        raise UsageError("two forms at once", why=why, hint="leafward chain --help")
    chain = read_chain(target, name)
    if svg is not None:
        _write_svg(target, chain, svg)
        return
    if as_json:
        from leafward.pki.summary import describe_chain

        voice.say_json(describe_chain(target, chain))
        return
    for line in _lines(target, chain, "table" if table else "timeline" if timeline else "dot" if dot else "tree"):
        voice.say(line)
    if not chain.is_complete:
        voice.warn(f"the chain ends below its root: {chain.top.issuer.rfc4514_string()} is not presented")


def _lines(target: str, chain: "Chain", form: str) -> list[str]:
    """Only the form that is asked for is loaded."""
    if form == "table":
        from leafward.cli.chart_table import draw_table

        return draw_table(chain)
    if form == "dot":
        from leafward.cli.chart_dot import draw_dot

        return draw_dot(chain)
    if form == "timeline":
        from leafward.cli.chain_source import renewal_policy
        from leafward.cli.timeline import draw_timeline

        columns = shutil.get_terminal_size((120, 24)).columns
        return draw_timeline(chain, system_clock(), columns=columns, policy=renewal_policy(target))
    from leafward.cli.tree import draw_chain

    return draw_chain(chain)


def _write_svg(target: str, chain: "Chain", path: Path) -> None:
    from leafward import disk
    from leafward.cli.chart_svg import draw_svg

    picture = draw_svg(chain, target, system_clock())
    if str(path) == "-":
        voice.say(picture.rstrip("\n"))
        return
    disk.write_file(path, picture.encode(), mode=disk.PUBLIC)
    voice.say(f"written: {path}")
