"""The shared database of several gateways is away, for weeks and over a restart: Azure's clients go on as they did.

Python SDK ── gateway ── hub: registry.db          the devices that it knew
                     `── provisioning ── PostgreSQL away: new registrations wait
"""

from pathlib import Path

import pytest

from tests.clients.test_provisioning_sdk import leaf_of_device_ca, prove, provision
from tests.clients.test_python_sdk import messages_of
from tests.edge import StartEdge
from tests.postgresql import PostgreSql
from tests.provisioning.shared_database import Shared

pytest.importorskip("psycopg", reason="the Python module psycopg is not installed: make hardware")


def test_a_restart_of_the_gateway_while_it_is_away(
    start_edge: StartEdge, run_device, postgresql: PostgreSql, tmp_path: Path
) -> None:
    """By certificate and by derived key: registered before, cut off, everything restarted; both send; a third waits."""
    shared, home = Shared(postgresql.database(), tmp_path), tmp_path / "home"
    home.mkdir()
    (home / "leafward.toml").write_text(f'[provisioning]\ndatabase = "{shared.url}"\n')
    edge = start_edge(home, "--hostname", "gateway.test")
    prove(edge, edge.root, "root", "leafward-development-root-ca", tmp_path)
    edge.json("enrolment", "add", "line", "--group", "--certificate", f"{home}/manager/device-ca/certificate.pem")
    edge.json("enrolment", "add", "batch", "--group", "--symmetric-key")
    x509 = leaf_of_device_ca(edge, "away-x509", tmp_path)
    keys = {name: edge.json("enrolment", "device-key", "batch", name)["symmetric_key"] for name in ("away-key", "late")}
    assert provision(edge, "away-x509", x509=x509)["ok"]
    assert provision(edge, "away-key", symmetric_key=keys["away-key"])["ok"]
    shared.away()
    assert edge.stop() == 0
    edge = start_edge(home, address=edge.address)
    device = {**x509, "device_id": "away-x509", "gateway": edge.hostname}
    assert run_device(edge, x509=device, messages=[{"body": "by certificate"}]) == {"ok": True}
    text = f"HostName={edge.hostname};DeviceId=away-key;SharedAccessKey={keys['away-key']}"
    assert run_device(edge, connection_string=text, messages=[{"body": "by key"}]) == {"ok": True}
    assert {one["device_id"] for one in edge.json("device", "list")} >= {"away-x509", "away-key"}
    assert edge.run("enrolment", "list", "--group").returncode == 3
    shared.back()
    assert provision(edge, "late", symmetric_key=keys["late"], messages=["hello"])["ok"]
    for name, body in (("away-x509", "by certificate"), ("away-key", "by key"), ("late", "hello")):
        assert [m["body"] for m in messages_of(edge, name)] == [body]
    shared.close()
