"""`leafward manager wipe`: the device is made ready for its next owner."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option, yes_option
from leafward.cli.service import system_clock
from leafward.errors import UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.manager.wipe import Wiped
    from leafward.manager.wipe_plan import Plan

# In the order and the words of the receipt.
COUNTS = {
    "devices": "leaf devices registered",
    "modules": "modules registered",
    "leaf_credentials": "leaf devices' keys made here",
    "messages": "messages",
    "sessions": "sessions",
}


@click.command("wipe")
@click.option("--receipt", type=click.Path(path_type=Path), metavar="FILE", help="Where the signed receipt goes.")
@click.option("--without-receipt", is_flag=True, help="For a device CA that cannot sign: the next owner has no proof.")
@click.option("--challenge", metavar="TEXT", help="A text of the buyer's, which the receipt then holds.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The settings file that the manager ran with, where it is not the home's.",
)
@click.option("--dry-run", is_flag=True, help="Show what would go and what would stay; change nothing.")
@yes_option
@home_option
@json_option
def command(
    *,
    receipt: Path | None,
    without_receipt: bool,
    challenge: str | None,
    config: Path | None,
    dry_run: bool,
    yes: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Destroys the operator's half of this device, for whoever sells it. The edge must be stopped.

    Goes: workload CA, the hub's and leaf devices' keys, registrations, messages, settings. Stays: device CA, device
    identity, the maker's root. The receipt is checked with `leafward manager verify-receipt`.

    \b
    Examples:
      leafward manager wipe --receipt /media/stick/receipt.pem --dry-run
      leafward manager wipe --receipt /media/stick/receipt.pem --challenge 4711
    """
    from leafward.manager.start import LAST_SEEN
    from leafward.manager.time_floor import TimeFloor
    from leafward.manager.wipe import Wanted, preview, wipe

    if (receipt is None) == (not without_receipt) and not dry_run:
        why = "one of --receipt FILE and --without-receipt is needed"
        raise UsageError("it is not said where the receipt goes", why=why, hint="leafward manager wipe --help")
    if challenge is not None and len(challenge) > 256:
        raise UsageError("the challenge is too long", why=f"got {len(challenge)} characters, expected 256 at most")
    time = TimeFloor(home.manager / LAST_SEEN, system_clock)
    if dry_run:
        _show_plan(home, *preview(home, time, config), as_json=as_json)
        return
    if not yes:
        voice.agree(f"Destroy the operator's half of {home.root}, for good?")
    _show_done(wipe(home, time, Wanted(receipt, challenge, config)), home, receipt, as_json=as_json)


def _show_plan(home: Home, plan: "Plan", going: dict[Path, str], *, as_json: bool) -> None:
    from leafward.manager.wipe_contents import STAYS

    goes = {str(path.relative_to(home.root)): what for path, what in going.items()}
    kept = [name for name in plan.keep if name not in goes and (home.root / name).exists()]
    stays = {name: STAYS.get(name, "named by the settings") for name in kept}
    if as_json:
        voice.say_json({"owner_epoch": plan.owner_epoch, "goes": goes, "stays": stays, "counts": plan.counts})
        return
    for title, names in (("goes", goes), ("stays", stays)):
        voice.say(f"{title}:")
        for name, what in names.items():
            voice.say(f"  {name:<32}  {what}")
    for line in _counted(plan.counts):
        voice.say(line)


def _show_done(done: "Wiped", home: Home, receipt: Path | None, *, as_json: bool) -> None:
    kept = None if done.receipt is None else str(done.receipt)
    if as_json:
        facts: dict[str, Any] = {"owner_epoch": done.owner_epoch, "resumed": done.resumed, "repeated": done.repeated}
        voice.say_json({**facts, "receipt": None if receipt is None else str(receipt), "kept_receipt": kept})
        return
    if done.repeated:
        voice.say(f"nothing came into {home.root} since owner {done.owner_epoch} left: the same receipt again")
    else:
        voice.say(
            f"owner {done.owner_epoch} has left {home.root}; the next start is owner {done.owner_epoch + 1}'s first"
        )
    if receipt is None:
        voice.warn("there is no receipt: the next owner has no proof")
        return
    voice.say(f"receipt  {receipt}")
    voice.say(f"it is checked with: leafward manager verify-receipt {receipt} --root ROOT")


def _counted(counts: dict[str, int | None]) -> list[str]:
    return [
        f"{'an unknown number of' if number is None else number} {COUNTS.get(name, name)}"
        for name, number in counts.items()
    ]
