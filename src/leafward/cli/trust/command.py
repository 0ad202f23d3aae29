"""What the three commands share: their options, and how the outcome is told."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option, yes_option
from leafward.errors import LeafwardError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.cli.trust.anchor import Anchor
    from leafward.cli.trust.find import Wanted
    from leafward.cli.trust.work import Aim, Stores, Work

KINDS = ("system", "nss", "java", "all")
DONE = {"install": "installed", "uninstall": "removed"}

Command = TypeVar("Command", bound=Callable[..., Any])


def root_option(command: Command) -> Command:
    """`--root FILE`: which root; default the home's."""
    return click.option(
        "--root",
        "root_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The root certificate; default: the home's trust/root.pem.",
    )(command)


def store_option(default: str) -> Callable[[Command], Command]:
    """`--store`: which stores."""
    return click.option(
        "--store", "wanted", type=click.Choice(KINDS), default=default, show_default=True, help="Which stores."
    )


def changing_options(command: Command) -> Command:
    """What `install` and `uninstall` take."""
    for option in (
        json_option,
        home_option,
        yes_option,
        click.option("--dry-run", is_flag=True, help="Show what would be done; change nothing."),
        store_option("system"),
        root_option,
    ):
        command = option(command)
    return command


def chosen(root_file: Path | None, home: Home, wanted: "Wanted") -> "tuple[Anchor, Stores]":
    """The root and the stores that are meant. Raises `NotFound` where there is neither a root nor a store."""
    from leafward.cli.edge import require_root
    from leafward.cli.trust.anchor import read_anchor
    from leafward.cli.trust.find import find_stores
    from leafward.cli.trust.machine import Machine
    from leafward.cli.trust.work import Stores

    anchor = read_anchor(require_root(home) if root_file is None else root_file)
    machine = Machine.here()
    return anchor, Stores(machine, tuple(find_stores(machine, wanted)))


def change(
    aim: "Aim", root_file: Path | None, home: Home, wanted: "Wanted", *, dry_run: bool, yes: bool, as_json: bool
) -> int:
    """Installs or uninstalls, after it was shown and agreed to. Raises the first error where a store failed."""
    anchor, stores = chosen(root_file, home, wanted)
    plans = stores.plan(aim, anchor)
    to_do = [work for work in plans if work.to_do]
    if to_do and not dry_run:
        if not yes:
            voice.agree(_question(aim, anchor, to_do))
        stores.do(aim, anchor, plans)
    if as_json:
        voice.say_json({**facts_of(anchor), "stores": [_facts(work, aim) for work in plans]})
    else:
        _say(aim, anchor, plans)
    _warn(aim, home, anchor, plans)
    _raise_first(plans, wanted)
    return 0


def facts_of(anchor: "Anchor") -> dict[str, Any]:
    """The root, for programs."""
    return {"root": str(anchor.path), "common_name": anchor.name, "sha256": anchor.sha256}


def found_facts(work: "Work") -> dict[str, Any]:
    """Where a store stands, for programs. `error` is null where it could be looked at."""
    return {
        "kind": work.store.kind,
        "name": work.store.name,
        "where": work.store.where,
        "trusted": None if work.error else work.found.trusted,
        "by_leafward": None if work.error else work.found.ours,
        "error": None if work.error is None else str(work.error),
    }


def _facts(work: "Work", aim: "Aim") -> dict[str, Any]:
    did = DONE[aim] if work.done else "failed" if work.error else f"would {aim}" if work.steps else "nothing"
    return {**found_facts(work), "did": did, "note": work.note, "steps": [str(step) for step in work.steps]}


def _question(aim: "Aim", anchor: "Anchor", to_do: "Sequence[Work]") -> str:
    where = "; ".join(f"{work.store.name} ({work.store.where})" for work in to_do)
    if aim == "install":
        return f"Let everything that reads {where} trust whatever {anchor.name!r} signs?"
    return f"Take {anchor.name!r} out of {where}?"


def _say(aim: "Aim", anchor: "Anchor", plans: "Sequence[Work]") -> None:
    voice.say(f"{anchor.name}  sha256 {anchor.sha256}")
    for work in plans:
        state = DONE[aim] if work.done else "failed" if work.error else f"would {aim}" if work.steps else "unchanged"
        voice.say(f"  {state:<14} {work.store.name}, {work.store.where}{f': {work.note}' if work.note else ''}")
        for step in work.steps:
            voice.say(f"                 {step}")


def _warn(aim: "Aim", home: Home, anchor: "Anchor", plans: "Sequence[Work]") -> None:
    for work in plans:
        if work.error is not None:
            voice.warn(str(work.error))
    ours = home.maker / "development.json"
    if aim == "install" and anchor.path.is_relative_to(home.root) and ours.exists():
        voice.warn(
            f"this is a development root: whoever reads {home.maker} can make a certificate for any name, and this "
            "machine trusts it. leafward trust uninstall takes it out again"
        )


def _raise_first(plans: "Sequence[Work]", wanted: "Wanted") -> None:
    """With `--store all` a store that cannot be looked at (no certutil) was told of and is passed over."""
    failed: list[LeafwardError] = [
        work.error for work in plans if work.error is not None and (work.steps or wanted != "all")
    ]
    if failed:
        raise failed[0]
