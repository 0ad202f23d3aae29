"""A real edge is sold, its wipe is killed, and `leafward up` finishes it and starts as the next owner's.

root -> intermediate -> device CA -> leaf device "valve" of the former owner      retired
                                  -> leaf device "valve" of the next owner        admitted
"""

import shutil
from pathlib import Path

import pytest

from leafward.manager.start import LAST_SEEN
from leafward.manager.time_floor import TimeFloor
from leafward.manager.wipe import Wanted, wipe
from leafward.store.home import Home
from tests.clients.mqtt_client import password
from tests.clients.test_https import curl, events
from tests.edge import StartEdge, leafward, leafward_json

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


class Killed(BaseException):
    """The power is cut."""


def begin_and_be_killed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wipe that comes as far as its plan."""

    def cut(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("leafward.manager.wipe._carry_out", cut)
        with pytest.raises(Killed):
            wipe(home, TimeFloor(home.manager / LAST_SEEN), Wanted(home.root.with_name("receipt.pem"), "4711"))
    assert home.wipe_marker.exists()
    assert home.registry.exists()


def test_the_former_owners_devices_are_refused(
    start_edge: StartEdge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    edge = start_edge(home, "--hostname", "gateway.test")
    token = password(edge.json("device", "add", "pump")["connection_string"])
    valve = edge.json("device", "add", "valve", "--auth", "x509-ca")
    old = [shutil.copy(valve[name], tmp_path / f"old-{name}") for name in ("certificate", "private_key")]
    as_pump = ("-H", f"Authorization: {token}", "-d", "x")
    as_valve = ("--cert", str(old[0]), "--key", str(old[1]), "-d", "x")
    assert curl(edge, events("pump"), *as_pump)[0] == 204
    assert curl(edge, events("valve"), *as_valve)[0] == 204
    wipe = ("manager", "wipe", "--yes", "--receipt", str(tmp_path / "receipt.pem"))
    refused = leafward(*wipe, home=home)
    assert (refused.returncode, "stop the edge first" in refused.stderr) == (3, True)
    shutil.copy(edge.root, tmp_path / "root.pem")
    edge.stop()
    before = leafward_json("chain", str(home / "manager" / "device-ca" / "certificate.pem"), home=home)
    begin_and_be_killed(Home(home), monkeypatch)
    edge = start_edge(home, "--hostname", "gateway.test")
    assert edge.json("manager", "status")["owner_epoch"] == 2
    assert edge.json("chain", str(home / "manager" / "device-ca" / "certificate.pem")) == before
    assert edge.json("device", "list") == []
    assert curl(edge, events("pump"), *as_pump)[0] == 401
    # Both names are registered again, by somebody else.
    edge.json("device", "add", "pump")
    new = edge.json("device", "add", "valve", "--auth", "x509-ca")
    assert curl(edge, events("pump"), *as_pump)[0] == 401
    assert curl(edge, events("valve"), *as_valve)[0] == 401
    assert curl(edge, events("valve"), "--cert", new["certificate"], "--key", new["private_key"], "-d", "x")[0] == 204
    receipt = str(home / "manager" / "receipts" / "000001.pem")
    root = str(tmp_path / "root.pem")
    checked = leafward("manager", "verify-receipt", receipt, "--root", root, "--challenge", "4711")
    assert checked.returncode == 0, checked.stdout
