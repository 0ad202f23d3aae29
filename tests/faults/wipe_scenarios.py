"""A wipe for resale, killed: the next start finishes it before anything else, and nothing of the owner's is left."""

from pathlib import Path

from leafward.manager.wipe import finish_wipe
from leafward.store.home import Home
from tests.faults.homes import MAKER, time_of, with_device_ca
from tests.faults.look import Scenario
from tests.manager.conftest import NOW, set_device
from tests.manager.wipe_world import found_in, judged, kept_files, use, wiped

# What the one owner of the program's life left in the home, and what the maker did.
_secrets: set[bytes] = set()
_makers: dict[str, bytes] = {}


def _owned(home: Home) -> None:
    with_device_ca(home)
    _secrets.update(use(home, lambda: NOW).secrets)
    _makers.update({Path(path).name: data for path, data in kept_files(home).items()})


def _receipt(home: Home) -> Path:
    return home.root.with_name(f"{home.root.name}.receipt")


def _wipe(home: Home) -> None:
    wiped(home, lambda: NOW, _receipt(home))


def _resume(home: Home) -> None:
    """A start finishes what was begun; then the owner gives the command again, which finds nothing to do, or all."""
    finish_wipe(home, time_of(home))
    assert not home.wipe_marker.exists()
    _receipt(home).unlink(missing_ok=True)
    _wipe(home)
    set_device(home, hostname="next-owner.local")


def _gone(home: Home) -> None:
    assert not found_in(home, _secrets)
    assert {Path(path).name: data for path, data in kept_files(home).items()} == _makers
    verdict = judged(_receipt(home), MAKER.root.chain.leaf, NOW)
    assert verdict.valid, verdict.reason
    _receipt(home).unlink()


WIPE = Scenario("wipe for resale", _owned, _wipe, resume=_resume, holds=_gone)
