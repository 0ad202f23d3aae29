"""The offline root: two machines, two homes, and nothing between them but a folder that plays the stick."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.machines import Machines
from tests.edge import leafward, leafward_json


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root made offline, known online."""
    return Machines(tmp_path_factory.mktemp("begun") / "machines").begin().folder


@pytest.fixture
def machines(begun: Path, tmp_path: Path) -> Machines:
    """A copy of them for one test."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    return Machines(tmp_path)


def test_from_the_root_to_a_device_ca(machines: Machines, tmp_path: Path) -> None:
    """Offline: root. Online: request. Offline: signed. Online: completed, and a device CA that openssl verifies."""
    digest = machines.ask("--permit-dns", "maker.example", "--days", "900")
    shown = machines.off("ceremony", "show", str(machines.stick))
    assert shown["digest"] == digest
    assert any("CA, path length 2" in line for line in shown["lines"])
    assert any("maker.example" in line for line in shown["lines"])
    machines.off("ceremony", "sign", str(machines.stick), "--expect", digest, "--by", "A. Person", "--yes")
    imported = machines.on("ceremony", "import", str(machines.stick))
    assert [(one["name"], one["how"]) for one in imported][-1] == ("factory-ca", "completed")
    machines.on("device", "gw-ca", "--out", str(tmp_path / "gw"))
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", str(machines.stick / "root.pem"), "-untrusted",
         "gw/certificate.pem", "gw/certificate.pem"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.stdout.endswith(": OK\n"), done.stderr


def test_no_key_leaves_its_machine(machines: Machines) -> None:
    digest = machines.ask()
    machines.off("ceremony", "sign", str(machines.stick), "--expect", digest, "--by", "A. Person", "--yes")
    machines.on("ceremony", "import", str(machines.stick))
    for path in machines.stick.rglob("*"):
        assert b"PRIVATE" not in path.read_bytes()
    assert not (machines.online / "maker" / "authorities" / "offline-root" / "key.pem").exists()
    assert not (machines.offline / "maker" / "authorities" / "factory-ca").exists()


def test_the_transcript_tells_all(machines: Machines) -> None:
    digest = machines.ask()
    people = ("--by", "A. Person", "--by", "B. Witness")
    machines.off("ceremony", "sign", str(machines.stick), "--expect", digest[:8], *people, "--yes")
    text = (machines.stick / "transcript.txt").read_text()
    answer = json.loads((machines.stick / "response.json").read_text())
    chain = leafward_json("chain", str(machines.stick / answer["items"][0]["file"]), home=machines.offline)
    root, signed = chain["certificates"][1], chain["certificates"][0]
    for wanted in (
        "people: A. Person, B. Witness",
        "time: 20",
        "machine: ",
        "versions: leafward ",
        "OpenSSL ",
        digest,
        hashlib.sha256((machines.stick / "1-factory-ca.csr").read_bytes()).hexdigest(),
        f"sha256       {signed['sha256']}",
        f"serial       {signed['serial']}",
        f"sha256: {root['sha256']}",
        "key reference: file:",
        "basicConstraints (critical): CA, path length 2",
        "BEGIN CERTIFICATE",
    ):
        assert wanted in text
    kept = machines.offline / "maker" / "ceremonies" / "0002-sign.txt"
    assert kept.read_text() == text
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == answer["transcript"]
    received = list((machines.online / "maker" / "ceremonies" / "received").glob("*.txt"))
    assert not received
    machines.on("ceremony", "import", str(machines.stick))
    (received,) = (machines.online / "maker" / "ceremonies" / "received").glob("*.txt")
    assert received.read_text() == text


def test_transcripts_are_chained(machines: Machines) -> None:
    """A changed or removed transcript breaks the chain."""
    for name in ("Factory CA", "Factory CA 2"):
        digest = machines.ask(name=name)
        machines.off("ceremony", "sign", str(machines.stick), "--expect", digest, "--by", "A. Person", "--yes")
        shutil.rmtree(machines.stick)
    found = machines.off("ceremony", "verify")
    folder = machines.offline / "maker" / "ceremonies"
    paths = sorted(folder.glob("*.txt"))
    assert [one["sha256"] for one in found] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    whole = paths[1].read_text()
    paths[1].write_text(whole.replace("A. Person", "C. Person"))
    assert "0003" in machines.refuse(machines.offline, "verify")
    paths[1].unlink()
    assert "0003" in machines.refuse(machines.offline, "verify")
    paths[1].write_text(whole)
    assert len(machines.off("ceremony", "verify")) == 3


def test_another_digest_signs_nothing(machines: Machines) -> None:
    """The stick was swapped on the way: what it asks is not what the paper says."""
    machines.ask()
    before = machines.off("list")
    for told in ("00000000", "abc", ""):
        arguments = ["sign", str(machines.stick), "--expect", told or " ", "--by", "A. Person", "--yes"]
        assert "written down" in machines.refuse(machines.offline, *arguments)
    assert machines.off("list") == before
    assert not (machines.stick / "response.json").exists()
    assert [path.name for path in (machines.offline / "maker" / "ceremonies").glob("*.txt")] == ["0001-root.txt"]


def test_it_asks_before_it_signs(machines: Machines) -> None:
    digest = machines.ask()
    arguments = ("ca", "ceremony", "sign", str(machines.stick), "--by", "A. Person")
    no = leafward(*arguments, home=machines.offline, input=f"{digest[:8]}\nn\n")
    assert no.returncode != 0
    assert not (machines.stick / "response.json").exists()
    yes = leafward(*arguments, home=machines.offline, input=f"{digest[:8]}\ny\n")
    assert yes.returncode == 0, yes.stderr
    assert digest in yes.stdout
    assert "answered with yes" in (machines.stick / "transcript.txt").read_text()


@pytest.mark.parametrize("name", ["1-factory-ca.csr", "request.json"])
def test_a_request_changed_on_the_way(machines: Machines, name: str) -> None:
    digest = machines.ask()
    path = machines.stick / name
    path.write_bytes(path.read_bytes().replace(b"Factory", b"Fuctory") + b"\n")
    said = machines.refuse(machines.offline, "sign", str(machines.stick), "--expect", digest, "--by", "A", "--yes")
    assert "changed on the way" in said or "written down" in said
    assert not (machines.stick / "response.json").exists()


@pytest.mark.parametrize("name", ["1-factory-ca.pem", "transcript.txt", "request.json"])
def test_an_answer_changed_on_the_way(machines: Machines, name: str) -> None:
    digest = machines.ask()
    machines.off("ceremony", "sign", str(machines.stick), "--expect", digest, "--by", "A. Person", "--yes")
    path = machines.stick / name
    path.write_bytes(path.read_bytes() + b"\n")
    assert "changed on the way" in machines.refuse(machines.online, "import", str(machines.stick))
    assert "factory-ca" not in {one["name"] for one in machines.on("list")}


def test_a_bundle_that_leads_out_of_its_folder(machines: Machines) -> None:
    """`../../etc/passwd` as a file of the request: not understood."""
    machines.ask()
    path = machines.stick / "request.json"
    path.write_text(re.sub(r"1-factory-ca.csr", "../offline/secret", path.read_text()))
    assert "not understood" in machines.refuse(machines.offline, "show", str(machines.stick))


def test_one_bad_request_of_two_signs_neither(machines: Machines) -> None:
    """Two requests, the second with more room below than the root's rules leave: nothing is signed."""
    machines.ask()
    path = machines.stick / "request.json"
    bundle = json.loads(path.read_text())
    bundle["items"].append({**bundle["items"][0], "profile": "hub_server"})
    path.write_text(json.dumps(bundle))
    before = machines.off("list")
    machines.refuse(machines.offline, "sign", str(machines.stick), "--expect", "0" * 8, "--by", "A", "--yes")
    assert machines.off("list") == before


def test_several_requests_on_one_stick(machines: Machines) -> None:
    machines.ask()
    digest = machines.ask(name="Second Factory CA")
    machines.off("ceremony", "sign", str(machines.stick), "--expect", digest, "--by", "A. Person", "--yes")
    imported = machines.on("ceremony", "import", str(machines.stick))
    assert {one["name"] for one in imported if one["how"] == "completed"} == {"factory-ca", "second-factory-ca"}
    assert "has its answer" in _ask_again(machines)


def test_a_rollover_offline(machines: Machines, tmp_path: Path) -> None:
    """The new root and both cross-signed certificates reach the machine online, which can give all of them out."""
    stick = tmp_path / "stick2"
    machines.off("ceremony", "rollover", "Offline Root", "--by", "A. Person", "--stick", str(stick))
    machines.on("import", *(str(stick / name) for name in ("root.pem", "old-with-new.pem", "new-with-old.pem")))
    from leafward.authority.authorities import Authorities

    for home in (machines.offline, machines.online):
        authorities = Authorities(home / "maker")
        found = authorities.rollover_certificates(authorities.get("offline-root-2"))
        assert len(found) == 3
        assert found[0] == authorities.get("offline-root").chain
    assert "NewWithOld" in (stick / "0002-rollover.txt").read_text()


def _ask_again(machines: Machines) -> str:
    csr = machines.folder / "again.csr"
    machines.on("intermediate", "Third Factory CA", "--csr-out", str(csr))
    return machines.refuse(machines.online, "request", str(machines.stick), str(csr))
