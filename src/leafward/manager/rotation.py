"""Every change of a certificate while the manager runs, one at a time: renewals, replacements, and those asked for.

    1. prepare    a new key and chain from a level down, in new slots
    2. prove      strict verification and a handshake with itself, before anything is switched
    3. activate   the manager answers with the new ones; events tell the hub and the modules
    4. verdict    the hub proves the new chain for itself, and serves it, or keeps the old one and says why
    5. settle     accepted: the old keys are destroyed
       take back  refused: the old ones are in use again

Between activate and verdict both exist. A manager that is killed there starts with the new ones, which were proved, and
the hub's verdict is asked for again. Where no hub runs, the first one that starts gives it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from leafward.errors import LeafwardError, NotFound
from leafward.manager.announcer import Announcer, certificates
from leafward.manager.device_ca_source import ReadDeviceCa
from leafward.manager.in_thread import in_thread
from leafward.manager.kept_certificate import KeptCertificate
from leafward.manager.renewal_journal import role_name
from leafward.manager.rotation_outcome import Outcome, State, changes, would_change
from leafward.manager.server_names import HUB
from leafward.manager.start import Standing
from leafward.pki.chain import fingerprint
from leafward.store.home import Home
from leafward.wire.rotation import LEVELS, HubVerdict, Level

# How long `rotate` waits for the hub to say what it found: it fetches, verifies and shakes hands with itself.
HUB_SECONDS = 15.0
ROLES: dict[Level, str] = {"device": "device_ca", "workload": "workload_ca", "hub": "hub_server"}

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Rotation:
    """For the loop's thread. `close` before the home is let go."""

    def __init__(self, home: Home, standing: Standing, *, hub_seconds: float = HUB_SECONDS) -> None:
        self._standing = standing
        self._hub_seconds = hub_seconds
        self._announcer = Announcer(home, standing)
        self._one_at_a_time = asyncio.Lock()
        self._awaited: dict[str, asyncio.Future[HubVerdict]] = {}
        self._running: set[asyncio.Task[Any]] = set()

    # ---- what others ask for

    async def renew(self, level: Level, reason: str) -> None:
        """Renews from `level` down. Raises what failed, which is in the journal then, with the old ones in use."""
        async with self._one_at_a_time:
            await self._change(level, reason, device=self._enrol(level), rekey=None)

    async def take_device_ca(self, reason: str) -> bool:
        """Reads the device CA's files, and works below what is there where that is another. True where it is.

        Raises why it is refused, which is in the journal then; the one in memory serves on.
        """
        async with self._one_at_a_time:
            return await self._take_device_ca(reason, rekey=None)

    async def tend_identity(self) -> None:
        """Renews the enrolled identity that asks for the device CA, where that is due. Raises as `Enrolment.tend`."""
        enrolment = self._standing.source.enrolment
        if enrolment is not None:
            async with self._one_at_a_time:
                await in_thread(enrolment.tend)

    def rotate(self, level: Level, *, dry_run: bool = False) -> "asyncio.Task[Outcome]":
        """Makes everything from `level` down anew, with new keys, and waits for the hub's verdict.

        A task, which goes on when whoever asked has gone. The device CA is enrolled anew where the settings say so;
        else its files must have been replaced before. Raises what failed, with the old ones in use; `NotFound` where
        the device CA's files are those in use.
        """
        return self._go(self._rotate(level, dry_run=dry_run))

    def verdict(self, verdict: HubVerdict) -> "asyncio.Task[None]":
        """What the hub found. Acted on in its turn, at once unless a change is under way: a task that ends then."""
        return self._go(self._take_verdict(verdict))

    async def close(self) -> None:
        """Lets what is under way come to its end: the disk is left as one step or the other."""
        self._standing.source.stop()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    # ---- prepare, prove, activate

    async def _rotate(self, level: Level, *, dry_run: bool) -> Outcome:
        if dry_run:
            present = certificates(self._standing)
            return Outcome(level, "dry-run", would_change({role: present[role] for role in self._roles_below(level)}))
        async with self._one_at_a_time:
            before, root = certificates(self._standing), self._standing.device_ca.root
            await self._make_anew(level)
            changed = changes(before, certificates(self._standing))
            warnings = [_OLD_LEAF_DEVICES] if level == "device" else []
            warnings += [] if self._standing.device_ca.root == root else [_OTHER_ROOT]
            awaited = self._await_verdict()
        verdict = await self._verdict(awaited)
        if verdict is None:
            return Outcome(level, "unproved", changed, _NO_HUB if awaited is None else _NO_VERDICT, None, warnings)
        state: State = "done" if verdict.accepted else "rolled-back"
        return Outcome(level, state, changed, verdict.reason, verdict, warnings)

    async def _make_anew(self, level: Level) -> None:
        enrol = self._enrol(level)
        if level != "device" or enrol is not None:
            await self._change(level, "asked for", device=enrol, rekey=True)
        elif not await self._take_device_ca("asked for", rekey=True):
            raise NotFound(
                "there is no other device CA",
                why=f"{self._standing.source.files.certificate} holds the one in use",
                hint="put the new certificate and key there first",
            )

    def _enrol(self, level: Level) -> Callable[[], ReadDeviceCa] | None:
        """How this level gets another device CA by itself; None where it needs none, or cannot."""
        source = self._standing.source
        return source.enrol if level == "device" and source.enrolment is not None else None

    async def _take_device_ca(self, reason: str, *, rekey: bool | None) -> bool:
        current = self._standing.current
        try:
            read = await in_thread(self._standing.source.read)
        except LeafwardError as error:
            self._failed("device", error)
            raise
        if read.device_ca.chain == current.value.chain:
            current.replace(read.device_ca, read.roots)  # the roots may be others
            self._announcer.tell()
            return False
        await self._change("device", reason, device=lambda: read, rekey=rekey)
        return True

    async def _change(
        self, level: Level, reason: str, *, device: Callable[[], ReadDeviceCa] | None, rekey: bool | None
    ) -> None:
        """Steps 1 to 3. What fails midway is taken back whole."""
        standing = self._standing
        standing.events.publish("rotation", level=level, state="started", reason=reason)
        _log.info("new certificates from the %s down: %s", role_name(ROLES[level]), reason)
        try:
            if device is not None:
                read = await in_thread(device)
                standing.current.replace(read.device_ca, read.roots)
            for kept in self._kept_below(level):
                await in_thread(partial(kept.renew, rekey=rekey))
        except LeafwardError as error:
            await self._take_back()
            self._failed(level, error)
            raise
        for role in self._roles_below(level):
            standing.journal.succeeded(role)
        self._announcer.tell()

    # ---- the hub's verdict

    async def _take_verdict(self, verdict: HubVerdict) -> None:
        async with self._one_at_a_time:
            if verdict.sha256 != fingerprint(self._standing.hub.certificate):
                _log.info("the hub speaks of a certificate that is not in use any more")
                return
            if verdict.accepted:
                await self._settle()
            else:
                await self._refused(verdict)
        awaited = self._awaited.pop(verdict.sha256, None)
        if awaited is not None and not awaited.done():
            awaited.set_result(verdict)

    async def _settle(self) -> None:
        standing, level = self._standing, self._on_probation()
        if level is None:
            return
        standing.current.settle()
        for settle in (standing.workload_ca.settle, standing.hub.settle, standing.source.settle):
            await self._tried(settle, "an old key could not be removed")
        self._announcer.tell()
        standing.events.publish("rotation", level=level, state="done")
        if level == "device":
            _log.warning("%s", _OLD_LEAF_DEVICES)
            standing.events.publish("warning", code="old-device-ca", text=_OLD_LEAF_DEVICES)

    async def _refused(self, verdict: HubVerdict) -> None:
        """Everything that is on probation goes back; the next renewal tries again in its time."""
        standing, level = self._standing, self._on_probation()
        reason = f"the hub refuses the new certificate: {verdict.reason or 'no reason given'}"
        _log.error("%s", reason)
        if level is None:
            standing.events.publish("warning", code="hub-refuses", text=f"{reason}; there is none to go back to")
            return
        await self._take_back()
        present, now = certificates(standing), standing.time.now()
        for role in self._roles_below(level):
            standing.journal.failed(role, reason, now)
            standing.journal.postpone(role, now, standing.settings.renewal.policy.retry_delay(present[role]))
        standing.events.publish("rotation", level=level, state="rolled-back", reason=reason)

    async def _take_back(self) -> None:
        """The last proved ones in use again, issuers first: a kill in between leaves a hub certificate to re-issue."""
        standing = self._standing
        if standing.current.roll_back():
            await self._tried(standing.source.take_back, "the enrolled device CA could not be taken back")
        for kept in (standing.workload_ca, standing.hub):
            await self._tried(kept.roll_back, f"the old {kept.name} could not be put back")
            if kept.fault(kept.pair) is not None:
                await self._tried(kept.renew, f"the {kept.name} could not be made anew")
        self._announcer.tell()

    def _on_probation(self) -> Level | None:
        """The highest level that has something to go back to."""
        standing = self._standing
        if standing.current.on_probation:
            return "device"
        if standing.workload_ca.on_probation:
            return "workload"
        return "hub" if standing.hub.on_probation else None

    def _await_verdict(self) -> "asyncio.Future[HubVerdict] | None":
        """What the hub's verdict on the certificate of now will be; None where no hub listens."""
        if not self._standing.events.is_heard_by(HUB):
            return None
        sha256 = fingerprint(self._standing.hub.certificate)
        return self._awaited.setdefault(sha256, asyncio.get_running_loop().create_future())

    async def _verdict(self, awaited: "asyncio.Future[HubVerdict] | None") -> HubVerdict | None:
        if awaited is None:
            return None
        done, _ = await asyncio.wait([awaited], timeout=self._hub_seconds)
        return awaited.result() if done else None

    # ---- what there is, and how it runs

    def _roles_below(self, level: Level) -> list[str]:
        """The roles from a level down, issuers first."""
        return [ROLES[one] for one in LEVELS[LEVELS.index(level) :]]

    def _kept_below(self, level: Level) -> tuple[KeptCertificate, ...]:
        hub, workload_ca = self._standing.hub, self._standing.workload_ca
        return (hub,) if level == "hub" else (workload_ca, hub)

    def _failed(self, level: Level, error: LeafwardError) -> None:
        standing, role, now = self._standing, ROLES[level], self._standing.time.now()
        _log.error("the %s was not replaced, the old one stays in use: %s", role_name(role), error)
        failures = standing.journal.failed(role, str(error), now)
        enrolment = standing.source.enrolment
        if level == "device" and enrolment is not None:
            pause = enrolment.next_attempt(failures)
        else:
            pause = standing.settings.renewal.policy.retry_delay(certificates(standing)[role])
        standing.journal.postpone(role, now, pause)
        standing.events.publish("rotation", level=level, state="failed", reason=str(error))

    async def _tried(self, function: Callable[[], object], otherwise: str) -> None:
        """For what is done on the way back or after the end: a failure is told, and does not stop the rest."""
        try:
            await in_thread(function)
        except LeafwardError as error:
            _log.error("%s: %s", otherwise, error)

    def _go(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


_OLD_LEAF_DEVICES = (
    "leaf devices with certificates of the old device CA reconnect until the hub is restarted: name it in hub.leaf_cas"
)
_OTHER_ROOT = "the root is another: leaf devices that trust only the old one must be given the new one"
_NO_HUB = "no hub listens: it proves the new certificate when it starts, and the old one is kept until then"
_NO_VERDICT = "the hub has not said what it found: the old certificate is kept until it has"
