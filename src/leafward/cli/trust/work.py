"""Installing and uninstalling: look, plan, do, look again. A store that fails does not stop the others."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from leafward.cli.trust.anchor import Anchor
from leafward.cli.trust.machine import Machine
from leafward.cli.trust.steps import Ask, Step, ask_machine, take
from leafward.cli.trust.store import Found, TrustStore
from leafward.errors import LeafwardError, NotFound, StoreError

Aim = Literal["install", "uninstall"]


@dataclass
class Work:
    """One store: what was found, what is to be done, and in the end what came of it. `error`: why nothing did."""

    store: TrustStore
    found: Found
    steps: list[Step] = field(default_factory=list)
    note: str | None = None
    error: LeafwardError | None = None
    done: bool = False

    @property
    def to_do(self) -> bool:
        """Whether anything is to be changed."""
        return bool(self.steps) and self.error is None and not self.done


@dataclass(frozen=True)
class Stores:
    """The stores of a machine, and how its tools are asked."""

    machine: Machine
    stores: tuple[TrustStore, ...]
    ask: Ask = ask_machine

    def look(self, anchor: Anchor) -> list[Work]:
        """Where the root is. Changes nothing."""
        return [self._found(store, anchor) for store in self.stores]

    def plan(self, aim: Aim, anchor: Anchor) -> list[Work]:
        """What would be done. Changes nothing."""
        plans = self.look(anchor)
        for work in plans:
            if work.error is None:
                (_install if aim == "install" else _uninstall)(work, anchor)
        return plans

    def do(self, aim: Aim, anchor: Anchor, plans: Iterable[Work]) -> None:
        """Does it, and looks whether it came out so; what went wrong stands in each `error`."""
        for work in plans:
            if work.to_do:
                try:
                    for step in work.steps:
                        take(step, self.ask)
                    work.found = work.store.find(anchor, self.ask)
                    _refuse_no_effect(work, aim)
                    work.done = True
                except LeafwardError as error:
                    work.error = error

    def _found(self, store: TrustStore, anchor: Anchor) -> Work:
        try:
            self._require(store)
            return Work(store, store.find(anchor, self.ask))
        except LeafwardError as error:
            return Work(store, Found(False, False), error=error)

    def _require(self, store: TrustStore) -> None:
        if self.machine.which(store.program) is None:
            package = f"sudo apt-get install {store.package}, or what has it here" if store.package else None
            raise NotFound(f"{store.name} cannot be looked at", why=f"there is no {store.program}", hint=package)


def _install(work: Work, anchor: Anchor) -> None:
    if work.found.trusted:
        work.note = "trusted already" if work.found.ours else "trusted already, under another name"
    else:
        work.steps = work.store.install(anchor)


def _uninstall(work: Work, anchor: Anchor) -> None:
    if work.found.ours:
        work.steps = work.store.uninstall(anchor)
    elif work.found.trusted:
        work.note = "left: it is there under another name, so somebody else put it in"
    else:
        work.note = "it is not there"


def _refuse_no_effect(work: Work, aim: Aim) -> None:
    if aim == "install" and not work.found.trusted:
        raise StoreError(f"{work.store.name} does not trust it yet", why=f"{work.store.program} ended without a fault")
    if aim == "uninstall" and work.found.ours:
        raise StoreError(f"{work.store.name} still has it", why=f"{work.store.program} ended without a fault")
    if aim == "uninstall" and work.found.trusted:
        work.note = "it is still trusted: somebody else put it in as well"
