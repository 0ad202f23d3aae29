"""What `leafward ca lot` prints: a lot, all lots, the end of a run, and the account, as text and as JSON."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from leafward.cli import voice
from leafward.errors import AccessDenied

if TYPE_CHECKING:
    from leafward.authority.lot_run import Progress
    from leafward.authority.reconciliation import Reconciliation
    from leafward.store.lots import Lot

_SHOWN = 20


def show_lot(lot: "Lot", as_json: bool) -> None:
    """A lot that was opened."""
    if as_json:
        voice.say_json(_facts(lot))
        return
    voice.say(f"lot {lot.name}: {lot.quota:,} of {lot.kind}, signed by {lot.issuer}")
    voice.hint(f"leafward ca lot issue {lot.name} SOURCE")


def show_lots(lots: "Sequence[Lot]", as_json: bool) -> None:
    """All lots, a line each."""
    if as_json:
        voice.say_json([_facts(lot) for lot in lots])
        return
    for lot in lots:
        state = "open" if lot.closed is None else f"closed {lot.closed:%Y-%m-%d}"
        voice.say(f"{lot.name:<24}  {lot.kind:<16}  {lot.issued:>9,} of {lot.quota:>9,}  {state}")
    if not lots:
        voice.hint("no lot yet: leafward ca lot open --quota N --profile device_ca")


def say_summary(
    lot: "Lot", progress: "Progress", seconds: float, where: Path | None, as_json: bool, *, stopped: bool
) -> None:
    """The end of a run. Raises `AccessDenied` where requests found the quota used up."""
    if as_json:
        counts = {name: getattr(progress, name) for name in _COUNTS}
        voice.say_json(
            {"event": "summary", "lot": lot.name, **counts, "stopped": stopped, "seconds": round(seconds, 3)}
        )
    else:
        rate = f" ({progress.issued / seconds:,.0f} a second)" if seconds > 1 else ""
        voice.say(f"lot {lot.name}: {progress.issued:,} issued{rate}")
        for name, words in _COUNTS.items():
            if (count := getattr(progress, name)) and words:
                voice.say(f"  {count:,} {words}")
        if where is not None:
            voice.say(f"certificates: {where}")
        if progress.rejected:
            voice.hint(f"leafward ca lot status {lot.name} names those that were rejected")
    if stopped:
        voice.warn("stopped before the end")
        voice.hint("run the same command again: it goes on where it stopped")
    if progress.over_quota:
        raise AccessDenied(
            f"{progress.over_quota:,} requests got no certificate",
            why=f"the quota of {lot.quota:,} of the lot {lot.name!r} is used up",
            hint="open another lot for them",
        )


_COUNTS = {
    "issued": "",
    "repeated": "had their certificate before, and got no second one",
    "rejected": "rejected",
    "over_quota": "beyond the quota",
    "redelivered": "that an earlier run made, handed over now",
    "ignored": "files with another ending passed over",
}


def show_reconciliation(account: "Reconciliation", as_json: bool) -> None:
    """The account of a lot."""
    if as_json:
        voice.say_json(_account(account))
        return
    lot = account.lot
    state = "open" if lot.closed is None else f"closed {_time(lot.closed)}"
    voice.say(f"lot {lot.name} ({lot.kind}, signed by {lot.issuer}), opened {_time(lot.opened)}, {state}")
    voice.say(f"{lot.quota:>12,}  quota")
    voice.say(f"{account.issued:>12,}  issued")
    voice.say(f"{account.unused:>12,}  not used")
    voice.say(f"{len(account.spoiled):>12,}  spoiled, of those issued")
    for one in account.spoiled[:_SHOWN]:
        voice.say(f"{'':>14}{one.name}  {one.sha256[:16]}  {one.why}")
    voice.say(f"{sum(account.rejected.values()):>12,}  requests rejected")
    for code, count in account.rejected.items():
        voice.say(f"{'':>14}{count:,} {code}")
    for refused in account.rejections[:_SHOWN]:
        voice.say(f"{'':>14}{refused.source}: {refused.reason}")
    if max(len(account.rejections), len(account.spoiled)) > _SHOWN:
        voice.hint(f"the whole list: leafward ca lot status {lot.name} --json")
    if account.spoiled and lot.closed is not None:
        voice.hint("revoke what was spoiled: leafward ca revoke NAME")


def _facts(lot: "Lot") -> dict[str, object]:
    return {
        "lot": lot.name,
        "profile": lot.kind,
        "issuer": lot.issuer,
        "issuer_sha256": lot.issuer_sha256,
        "quota": lot.quota,
        "issued": lot.issued,
        "days": lot.days,
        "opened": _time(lot.opened),
        "closed": None if lot.closed is None else _time(lot.closed),
    }


def _account(account: "Reconciliation") -> dict[str, object]:
    return {
        **_facts(account.lot),
        "delivered": account.delivered,
        "not_delivered": account.not_delivered,
        "unused": account.unused,
        "rejected": sum(account.rejected.values()),
        "rejected_by_code": account.rejected,
        "rejections": [
            {"name": one.name, "source": one.source, "code": one.code, "reason": one.reason}
            for one in account.rejections
        ],
        "spoiled": [{"name": one.name, "sha256": one.sha256, "why": one.why} for one in account.spoiled],
    }


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
