"""Wipe for resale: the operator's half is destroyed, the maker's stays byte for byte, and the device CA says so.

    1  plan      manager/wipe.json: what goes, what stays, what the receipt will say; from here on there is no way back
    2  settings  only what says where the maker's half is; the root, where the device CA's file lacks it
    3  list      the device CA retires what it signed below it (`wipe_retirement`)
    4  destroy   everything that does not stay (`wipe_contents`)
    5  receipt   signed by the device CA, kept in manager/receipts/: destroyed first, said afterwards
    6  epoch     the device has its next owner
    7  copy      the receipt where the command's caller wants it
    8  done      the plan goes

Each step can be repeated, so a wipe that was killed is carried out again from the second one on, by whoever comes next:
this command, `leafward manager run`, `leafward up`. Nothing else starts before that.
"""

import contextlib
import hashlib
import logging
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward import disk
from leafward.errors import AlreadyExists, Busy, LeafwardError, NotFound, StoreError, UsageError
from leafward.manager.time_floor import TimeFloor
from leafward.manager.wipe_contents import LOCKS, described, destroy, doomed
from leafward.manager.wipe_epoch import receipt_path, receipts, write_owner_epoch
from leafward.manager.wipe_issued import LEAF
from leafward.manager.wipe_maker import MakersHalf
from leafward.manager.wipe_owner import hand_over, remove_new_locks
from leafward.manager.wipe_plan import Plan, read_plan, write_plan
from leafward.manager.wipe_planning import make_plan
from leafward.manager.wipe_retirement import list_number, retire
from leafward.manager.wipe_settings import ROOT
from leafward.pki.chain import fingerprint
from leafward.pki.receipt import Statement, device_name, read_receipt, sign_receipt
from leafward.store.home import Home
from leafward.store.lock import HomeLock

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What the command's caller wants. `copy_to`: where the receipt goes, None for a wipe without one; `config`:
    another settings file than the home's, which the manager ran with.
    """

    copy_to: Path | None
    challenge: str | None = None
    config: Path | None = None


@dataclass(frozen=True)
class Wiped:
    """What was done. `owner_epoch` is that of the owner whose time ended; `resumed`: an earlier wipe was finished;
    `repeated`: there was nothing to destroy since the last wipe, whose receipt this is.
    """

    owner_epoch: int
    receipt: Path | None
    resumed: bool = False
    repeated: bool = False


def wipe(home: Home, time: TimeFloor, wanted: Wanted) -> Wiped:
    """Wipes a home that nobody uses, or finishes a wipe that was interrupted.

    Raises `Busy` where the home is in use; before anything is changed, `AlreadyExists`, `UsageError` or `StoreError`
    for where the receipt is to go, and what `make_plan` raises; `StoreError` and what the device CA's key raises later,
    and then the next start goes on.
    """
    if not home.manager.is_dir():
        raise NotFound("there is no gateway here to wipe", why=f"{home.manager} does not exist", hint="give --home")
    with _alone(home, LOCKS):
        unfinished = read_plan(home.wipe_marker)
        _check_copy(home, wanted.copy_to, unfinished)
        if unfinished is not None:
            plan = _as_wanted(unfinished, wanted)
        else:
            signed, challenge = wanted.copy_to is not None, wanted.challenge
            plan = make_plan(home, time, signed=signed, challenge=challenge, config=wanted.config)
            plan = plan.model_copy(update={"copy_to": _text(wanted.copy_to)})
            if (last := _still_good(home, plan)) is not None:
                _copy(last, plan)
                return Wiped(plan.owner_epoch - 1, last, repeated=True)
        write_plan(home.wipe_marker, plan)
        hand_over(home)
        return Wiped(plan.owner_epoch, _carry_out(home, plan, time), resumed=unfinished is not None)


def resume_wipe(home: Home, time: TimeFloor) -> bool:
    """Finishes a wipe that was interrupted; False where there is none. For a start that holds the manager's lock.

    Settings that were read before are the former owner's where this is True. Raises as `wipe`: nothing may start then.
    """
    plan = read_plan(home.wipe_marker)
    if plan is None:
        return False
    _log.warning("finishing the wipe of owner %d, which was interrupted", plan.owner_epoch)
    with _alone(home, LOCKS[1:-1]):
        # Whoever wanted the receipt elsewhere asks for it again: a start must not fail for a stick that was pulled out.
        kept = _carry_out(home, plan.model_copy(update={"copy_to": None}), time)
    _log.warning("the wipe is done; its receipt: %s", kept or "none was asked for")
    return True


def finish_wipe(home: Home, time: TimeFloor) -> None:
    """`resume_wipe` for a start that does not hold the manager's lock."""
    with _alone(home, LOCKS[-1:]):
        resume_wipe(home, time)


def preview(home: Home, time: TimeFloor, config: Path | None = None) -> tuple[Plan, dict[Path, str]]:
    """What a wipe would do, without doing it: the plan, and every path that would go with what it is.

    Of a wipe that was interrupted: what is left to do. Raises what `make_plan` raises.
    """
    plan = read_plan(home.wipe_marker) or make_plan(home, time, signed=False, config=config)
    going = doomed(home, plan.keep)
    if plan.settings is None and home.settings.exists():
        going.append(home.settings)
    return plan, {path: described(home, path) for path in going}


def _carry_out(home: Home, plan: Plan, time: TimeFloor) -> Path | None:
    """Steps 2 to 8. Where the receipt is kept."""
    _settle_settings(home, plan)
    kept = None
    if plan.signed:
        maker = MakersHalf.find(home, time)
        retired = retire(home, maker.issuer, plan.retire, epoch=plan.owner_epoch, now=time.now())
        destroy(home, plan.keep)
        kept = receipt_path(home, plan.owner_epoch)
        _keep_receipt(kept, plan, maker, retired, time)
    else:
        destroy(home, plan.keep)
    write_owner_epoch(home, plan.owner_epoch + 1)
    _copy(kept, plan)
    hand_over(home)
    disk.remove_file(home.wipe_marker)
    return kept


def _as_wanted(unfinished: Plan, wanted: Wanted) -> Plan:
    """A plan that goes on: the receipt for whoever asks now; none, where it is to be finished without."""
    asked: dict[str, object] = {"copy_to": _text(wanted.copy_to)}
    if wanted.copy_to is None:
        asked["signed"] = False
    if wanted.challenge is not None:
        asked["challenge"] = wanted.challenge
    return unfinished.model_copy(update=asked)


def _copy(kept: Path | None, plan: Plan) -> None:
    if kept is not None and plan.copy_to is not None:
        disk.write_file(Path(plan.copy_to), disk.read_file(kept), mode=disk.PUBLIC)


def _settle_settings(home: Home, plan: Plan) -> None:
    """The root first: with the new settings it has to be there."""
    for path, text in ((home.root / ROOT, plan.root), (home.settings, plan.settings)):
        if text is None:
            disk.remove_file(path)
        elif not disk.holds(path, text.encode()):
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else disk.PUBLIC
            disk.write_file(path, text.encode(), mode=mode)


def _keep_receipt(
    path: Path, plan: Plan, maker: MakersHalf, retired: x509.CertificateRevocationList, time: TimeFloor
) -> None:
    """Signs the receipt, unless it is there already and says the same of the same list."""
    for leftover in disk.leftovers(path) if path.parent.is_dir() else ():
        disk.remove_file(leftover)
    crl = retired.public_bytes(Encoding.DER)
    digest = hashlib.sha256(crl).hexdigest()
    with contextlib.suppress(NotFound, LeafwardError):
        said = read_receipt(disk.read_file(path)).statement
        if (said.crl_sha256, said.challenge, said.begun) == (digest, plan.challenge, plan.begun):
            return
    chain = maker.issuer.chain
    statement = Statement(
        device=device_name(chain.leaf),
        development=maker.development,
        owner_epoch=plan.owner_epoch,
        begun=plan.begun,
        finished=time.now().replace(microsecond=0),
        clock_behind=time.in_use,
        challenge=plan.challenge,
        keys=plan.keys,
        counts=plan.counts,
        retired=tuple(one for one in plan.retire if one.kind != LEAF),
        retired_leaf_certificates=sum(one.kind == LEAF for one in plan.retire),
        crl_number=list_number(retired),
        crl_sha256=digest,
        chain=tuple(map(fingerprint, chain)),
    )
    disk.make_folder(path.parent)
    disk.write_file(path, sign_receipt(statement, maker.issuer, crl), mode=disk.PUBLIC)


def _still_good(home: Home, plan: Plan) -> Path | None:
    """The last receipt, where nothing has come into the home since, and it answers what is asked."""
    last = receipts(home).get(plan.owner_epoch - 1)
    if last is None or not plan.signed or doomed(home, plan.keep):
        return None
    with contextlib.suppress(LeafwardError):
        if plan.challenge in (None, read_receipt(disk.read_file(last)).statement.challenge):
            return last
    return None


def _check_copy(home: Home, path: Path | None, unfinished: Plan | None) -> None:
    """Raises where a receipt cannot be written to `path`: found out afterwards, it would be too late to choose."""
    if path is None:
        return
    if path.absolute().resolve().is_relative_to(home.root.resolve()):
        why = "what is in the home is wiped; a copy is kept in manager/receipts/ anyway"
        raise UsageError(f"the receipt cannot go to {path}", why=why, hint="name a file elsewhere")
    if path.is_dir() or (path.exists() and not _is_ours(home, path, unfinished)):
        raise AlreadyExists(f"{path} exists", why="it is never overwritten", hint="name another file for the receipt")
    probe = path.with_name(f".{path.name}.probe")
    try:
        disk.write_file(probe, b"", mode=disk.PUBLIC)
    except NotFound as error:
        raise NotFound(f"the receipt cannot go to {path}", why="its folder does not exist", hint=error.hint) from error
    except StoreError as error:
        raise StoreError(f"the receipt cannot go to {path}", why=error.why, hint=error.hint) from error
    disk.remove_file(probe)


def _is_ours(home: Home, path: Path, unfinished: Plan | None) -> bool:
    """Whether what stands there is from this wipe, or from the last one, killed just before its end."""
    if unfinished is not None and unfinished.copy_to == _text(path):
        return True
    last = max(receipts(home).items(), default=None)
    return last is not None and disk.read_file(path) == disk.read_file(last[1])


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


@contextlib.contextmanager
def _alone(home: Home, locks: tuple[str, ...]) -> Iterator[None]:
    """Holds the locks of all who could use the home. Raises `Busy` at once where one is held."""
    with contextlib.ExitStack() as held:
        new = [path for path in (home.root / name for name in locks) if not path.exists()]
        try:
            for name in locks:
                held.enter_context(HomeLock(home.root / name).hold("wipe"))
        except Busy as error:
            hint = "stop the edge first (leafward up, or the services of manager and hub)"
            raise Busy("the home is in use, so it cannot be wiped", why=error.why, hint=hint) from error
        held.callback(remove_new_locks, home, new)
        yield
