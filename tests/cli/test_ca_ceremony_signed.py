"""Transcripts of ceremonies are signed, as entries of the log; and an offline root revokes in a ceremony."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from leafward.authority import ceremony
from leafward.authority.issuance import Issuance
from leafward.authority.transcript_log import verify_transcripts
from leafward.errors import Damaged, KeyUnavailable, StoreError
from leafward.store.issuance_log.log import IssuanceLog
from tests.authority import hierarchy_tools as tools
from tests.cli.machines import Machines
from tests.edge import leafward
from tests.oracles import tlog_reader


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root (offline) -> Factory CA (online), the stick as it came back."""
    machines = Machines(tmp_path_factory.mktemp("begun") / "machines").begin()
    machines.sign(machines.ask())
    machines.on("ceremony", "import", str(machines.stick))
    return machines.folder


@pytest.fixture
def machines(begun: Path, tmp_path: Path) -> Machines:
    """A copy of them for one test."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    return Machines(tmp_path)


def ceremonies(machines: Machines) -> Path:
    return machines.offline / "maker" / "ceremonies"


# ---- signed transcripts


def test_a_transcript_is_signed_by_the_log(machines: Machines) -> None:
    """Its proof is beside it, on the stick and online; an auditor verifies it with the log's key and nothing else."""
    found = machines.off("ceremony", "verify")
    assert [Path(one["transcript"]).name for one in found] == ["0001-root.txt", "0002-sign.txt"]
    assert all(one["proof"] and one["log_index"] is not None for one in found)
    key = machines.log_key
    assert (machines.stick / "log-key").read_text().strip() == key
    (received,) = (machines.online / "maker" / "ceremonies" / "received").glob("*.txt")
    pairs = [
        (ceremonies(machines) / "0002-sign.txt", ceremonies(machines) / "0002-sign.tlog-proof"),
        (machines.stick / "transcript.txt", machines.stick / "transcript.tlog-proof"),
        (machines.stick / "0001-root.txt", machines.stick / "0001-root.tlog-proof"),
        (received, received.with_suffix(".tlog-proof")),
    ]
    for transcript, proof in pairs:
        done = leafward("ca", "log", "verify-proof", str(transcript), str(proof), "--key", key, home=machines.folder)
        assert done.returncode == 0, done.stderr
        assert "(ceremony)" in done.stdout
        entry = tlog_reader.check_proof(proof.read_text(), key)[2]
        assert entry.startswith(b"leafward/issuance/v1\nceremony\n")
    pairs[0][0].write_text(pairs[0][0].read_text().replace("B. Witness", "C. Witness"))
    done = leafward("ca", "log", "verify-proof", *map(str, pairs[0]), "--key", key, home=machines.folder)
    assert (done.returncode, "of another ceremony" in done.stderr) == (1, True)
    assert machines.off("log", "verify")["valid"]


def test_what_the_log_knows_better(machines: Machines) -> None:
    """The last transcript changed, removed, or another one put in: the chain of digests cannot tell, the log can."""
    last = ceremonies(machines) / "0002-sign.txt"
    whole = last.read_text()
    last.write_text(whole.replace("B. Witness", "C. Witness"))
    assert "0002 is gone, or is another one" in machines.refuse(machines.offline, "verify")
    last.unlink()
    assert "0002 is gone, or is another one" in machines.refuse(machines.offline, "verify")
    last.write_text(whole)
    digest = machines.off("ceremony", "verify")[-1]["sha256"]
    more = whole.replace("number: 2\n", "number: 3\n").replace(
        f"sha256: {whole.split('the one before, sha256: ')[1][:64]}\n", f"sha256: {digest}\n", 1
    )
    (ceremonies(machines) / "0003-sign.txt").write_text(more)
    assert "0003-sign.txt is not in the issuance log" in machines.refuse(machines.offline, "verify")


def test_a_proof_that_is_lost_or_changed_is_written_again(machines: Machines) -> None:
    proofs = sorted(ceremonies(machines).glob("*.tlog-proof"))
    before = [proof.read_text() for proof in proofs]
    proofs[0].unlink()
    proofs[1].write_text(before[1].replace("index ", "index 1"))
    machines.off("ceremony", "verify")
    for proof in proofs:
        tlog_reader.check_proof(proof.read_text(), machines.log_key)


def test_an_answer_of_another_machine(machines: Machines, tmp_path: Path) -> None:
    """With the offline log's key, online takes nothing whose transcript is not in that log."""
    shutil.rmtree(machines.stick)
    machines.sign(machines.ask(name="Second CA"))
    strange = Machines(tmp_path / "strange").begin().log_key
    said = machines.refuse(machines.online, "import", str(machines.stick), "--log-key", strange)
    assert "not signed by that log" in said
    assert "second-ca" not in {one["name"] for one in machines.on("list")}
    machines.on("ceremony", "import", str(machines.stick), "--log-key", machines.log_key)
    assert "second-ca" in {one["name"] for one in machines.on("list")}


def test_transcripts_from_before_they_were_logged(machines: Machines) -> None:
    """They are told apart, and nothing is held against them."""
    with Issuance(machines.offline / "maker") as issuance, issuance.ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE log_entries SET entry = replace(entry, 'ceremony', 'ceremonz')")
    assert [one["log_index"] for one in machines.off("ceremony", "verify")] == [None, None]


def plan(issuance: Issuance, machines: Machines) -> ceremony.Plan:
    return ceremony.plan(issuance, machines.stick, issuance.authorities.default_issuer(), now=tools.now())


def test_a_ceremony_that_is_cut_off(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the transaction: nothing happened. After it: the next run hands over what was signed."""
    shutil.rmtree(machines.stick)
    machines.ask(name="Second CA")

    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    for place, count in (
        ("leafward.authority.ledger.Ledger.record", 4),
        ("leafward.authority.transcript_log._put_in_place", 6),
        ("leafward.authority.stick._write", 6),
    ):
        with monkeypatch.context() as patched, Issuance(machines.offline / "maker") as issuance:
            asked = plan(issuance, machines)
            patched.setattr(place, kill)
            with pytest.raises(Killed):
                ceremony.sign(issuance, asked, by=["A"], confirmed="yes", now=tools.now())
            patched.undo()
            assert issuance.ledger.log.state().size == count
        with Issuance(machines.offline / "maker") as issuance:
            verify_transcripts(issuance)  # puts in its place, or removes, what is pending
            assert not list(ceremonies(machines).glob(".*"))
    with Issuance(machines.offline / "maker") as issuance:
        ceremony.sign(issuance, plan(issuance, machines), by=["A"], confirmed="yes", now=tools.now())
        assert issuance.ledger.log.state().size == 6
    machines.on("ceremony", "import", str(machines.stick), "--log-key", machines.log_key)
    assert "second-ca" in {one["name"] for one in machines.on("list")}


def test_a_log_that_cannot_be_signed_now(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ceremony is held all the same; its proof is written when the key is there again."""
    shutil.rmtree(machines.stick)
    machines.ask(name="Second CA")

    def away(*_: object) -> None:
        raise KeyUnavailable("the token is out")

    with monkeypatch.context() as patched, Issuance(machines.offline / "maker") as issuance:
        patched.setattr(IssuanceLog, "checkpoint", away)
        ceremony.sign(issuance, plan(issuance, machines), by=["A"], confirmed="yes", now=tools.now())
        assert verify_transcripts(issuance)[-1].proof is None
    assert json.loads((machines.stick / "response.json").read_text())["proof"] is None
    said = machines.refuse(machines.online, "import", str(machines.stick), "--log-key", machines.log_key)
    assert "no proof" in said
    assert machines.off("ceremony", "verify")[-1]["proof"]
    machines.on("ceremony", "import", str(machines.stick))


def test_a_ledger_that_refuses_leaves_no_transcript(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(machines.stick)
    machines.ask(name="Second CA")

    def refuse(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    before = sorted(ceremonies(machines).iterdir())
    with Issuance(machines.offline / "maker") as issuance:
        asked = plan(issuance, machines)
        monkeypatch.setattr(type(issuance.ledger), "record", refuse)
        with pytest.raises(StoreError):
            ceremony.sign(issuance, asked, by=["A"], confirmed="yes", now=tools.now())
    assert sorted(ceremonies(machines).iterdir()) == before
    assert not (machines.stick / "response.json").exists()


# ---- revocation


def ask_lists(machines: Machines, *options: str) -> str:
    shutil.rmtree(machines.stick, ignore_errors=True)
    asked = machines.on("ceremony", "request-crl", str(machines.stick), "--issuer", "offline-root", *options)
    return str(asked["digest"])


def verdict(machines: Machines, crl: Path) -> str:
    """What openssl says of the Factory CA with a list."""
    authorities = machines.online / "maker" / "authorities"
    root, chain = (authorities / name / "certificate.pem" for name in ("offline-root", "factory-ca"))
    pem = machines.folder / "crl.pem"
    subprocess.run(["openssl", "crl", "-inform", "DER", "-in", str(crl), "-out", str(pem)], check=True, timeout=30)
    command = ["openssl", "verify", "-crl_check_all", "-CRLfile", str(pem), "-CAfile", str(root), str(chain)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return done.stdout + done.stderr


def test_an_offline_root_revokes(machines: Machines) -> None:
    """online: asked. offline: shown, agreed to, revoked, signed, written down. online: kept and handed out."""
    digest = ask_lists(machines, "--days", "180")
    signed = machines.sign(digest)
    assert [Path(one).name for one in signed["revocation_lists"]] == ["offline-root-complete.crl"]
    (told,) = machines.on("ceremony", "import", str(machines.stick))
    assert (told["how"], told["number"], told["revoked"]) == ("revocation-list", 1, 0)
    published = Path(told["file"])
    assert "OK" in verdict(machines, published)
    digest = ask_lists(machines, "--revoke", "factory-ca=cACompromise", "--days", "180")
    lines = machines.off("ceremony", "show", str(machines.stick))["lines"]
    assert any("revoke intermediate_ca 'Factory CA'" in line and "cACompromise" in line for line in lines)
    machines.sign(digest)
    (told,) = machines.on("ceremony", "import", str(machines.stick), "--log-key", machines.log_key)
    assert (told["number"], told["revoked"]) == (2, 1)
    assert "certificate revoked" in verdict(machines, published)
    assert machines.on("crl", "show")[0]["number"] == 2
    crl = x509.load_der_x509_crl(published.read_bytes())
    assert crl.next_update_utc is not None
    assert (crl.next_update_utc - crl.last_update_utc).days == 180
    transcript = (ceremonies(machines) / "0004-sign.txt").read_text()
    for wanted in ("revoke intermediate_ca 'Factory CA'", "offline-root-complete.crl: number 2, 1 revoked", digest):
        assert wanted in transcript
    assert machines.off("log", "verify")["valid"]
    assert machines.off("list")[0]["name"] == "offline-root"


def test_certificates_and_lists_in_one_ceremony(machines: Machines) -> None:
    digest = ask_lists(machines, "--revoke", "factory-ca=superseded")
    assert machines.ask(name="Second CA") != digest
    asked = json.loads((machines.stick / "request.json").read_text())
    assert (len(asked["items"]), len(asked["lists"])) == (1, 1)
    assert "asked for in" in machines.refuse(
        machines.online, "request-crl", str(machines.stick), "--issuer", "offline-root"
    )
    machines.sign(machines.off("ceremony", "show", str(machines.stick))["digest"])
    told = machines.on("ceremony", "import", str(machines.stick))
    assert {one["how"] for one in told} == {"completed", "known", "revocation-list"} or len(told) == 2


def test_asked_again(machines: Machines) -> None:
    """Revoked before: shown so, and the lists are signed anew. The old answer, brought once more, is refused."""
    first = ask_lists(machines, "--revoke", "factory-ca=keyCompromise")
    machines.sign(first)
    old = machines.folder / "old"
    shutil.copytree(machines.stick, old)
    machines.on("ceremony", "import", str(machines.stick))
    machines.on("ceremony", "import", str(machines.stick))  # the same again changes nothing
    digest = ask_lists(machines, "--revoke", "factory-ca=keyCompromise")
    lines = machines.off("ceremony", "show", str(machines.stick))["lines"]
    assert any("revoked before, keyCompromise" in line for line in lines)
    machines.sign(digest)
    machines.on("ceremony", "import", str(machines.stick))
    assert "a newer revocation list is here" in machines.refuse(machines.online, "import", str(old))
    assert machines.on("crl", "show")[0]["number"] == 2


def test_what_is_refused(machines: Machines, tmp_path: Path) -> None:
    """An unknown reason, a CA that the root has not signed, a serial it never gave out, another root's lists."""
    stick = str(machines.stick)
    shutil.rmtree(machines.stick)
    for revoke, words in (
        ("factory-ca=bored", "no reason"),
        ("nobody!", "no authority"),
        ("offline-root", "not signed"),
    ):
        said = machines.refuse(machines.online, "request-crl", stick, "--issuer", "offline-root", "--revoke", revoke)
        assert words in said
    assert not machines.stick.exists()
    digest = ask_lists(machines, "--revoke", "4d2c=superseded")
    arguments = ("sign", stick, "--expect", digest, "--by", "A", "--yes")
    assert "no certificate '4d2c'" in machines.refuse(machines.offline, *arguments)
    strange = Machines(tmp_path / "strange").begin()
    machines.on("import", str(strange.stick / "root.pem"), "--name", "strange-root")
    shutil.rmtree(machines.stick)
    digest = machines.on("ceremony", "request-crl", stick, "--issuer", "strange-root")["digest"]
    arguments = ("sign", stick, "--expect", digest, "--by", "A", "--yes")
    assert "another CA's revocation lists" in machines.refuse(machines.offline, *arguments)


def test_a_list_that_cannot_be_believed(machines: Machines, tmp_path: Path) -> None:
    """Signed by another root of the same name, with the right digests: whoever swaps the stick has no root key."""
    strange = Machines(tmp_path / "strange").begin()
    forged = strange.off("crl")
    machines.sign(ask_lists(machines))
    place = machines.stick / "offline-root-complete.crl"
    place.write_bytes(Path(forged[0]["file"]).read_bytes())
    response = machines.stick / "response.json"
    told = json.loads(response.read_text())
    told["lists"][0]["sha256"] = hashlib.sha256(place.read_bytes()).hexdigest()
    response.write_text(json.dumps(told))
    said = machines.refuse(machines.online, "import", str(machines.stick))
    assert "cannot be believed" in said
    assert not (machines.online / "maker" / "crl").exists()
    place.write_bytes(b"")
    with pytest.raises(Damaged):
        ceremony.take_in(Issuance(machines.online / "maker"), machines.stick, now=tools.now())
