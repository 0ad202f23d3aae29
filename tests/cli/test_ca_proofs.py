"""A proof beside each certificate, and an auditor who has nothing else but the log's public key."""

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from tests.authority.lot_line import csr, json_line, pem
from tests.edge import leafward, leafward_json
from tests.oracles import tlog_reader

JOINED = ("certificate", "old_with_new", "new_with_old")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root -> Factory CA, the root with its proof."""
    folder = tmp_path_factory.mktemp("maker")
    leafward_json("ca", "init", "--cn", "Root", "--proof", str(folder / "root.tlog-proof"), home=folder / "home")
    leafward_json("ca", "intermediate", "Factory CA", "--proof", str(folder / "ca.tlog-proof"), home=folder / "home")
    return folder


@pytest.fixture
def maker(begun: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    return tmp_path


def issue(maker: Path, *arguments: object) -> dict[str, str]:
    answer: dict[str, str] = leafward_json("ca", *map(str, arguments), home=maker / "home")
    return answer


def key_of(maker: Path) -> str:
    return str(leafward_json("ca", "log", "key", home=maker / "home")["key"])


def verify(maker: Path, certificate: Path, proof: Path, key: str | None = None) -> tuple[int, str]:
    """As an auditor, whose home is empty, and stays so."""
    nowhere = maker / "auditor"
    done = leafward(
        "ca", "log", "verify-proof", str(certificate), str(proof), "--key", key or key_of(maker), home=nowhere
    )
    assert not nowhere.exists()
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_proof_with_each_certificate(maker: Path) -> None:
    """root, intermediate, device CA with its identity, leaf, a signed request: all proved, here and by another."""
    key, proofs = key_of(maker), maker / "proofs"
    issue(maker, "device", "gw.ca", "--out", maker / "gw", "--proof", proofs / "gw", "--with-identity",
          "--identity-proof", proofs / "id")  # fmt: skip
    issue(maker, "leaf", "pump-1", "--out", maker / "pump", "--proof", proofs / "pump")
    (maker / "asked.csr").write_bytes(pem(csr("gw-2")))
    answer = issue(
        maker, "sign", maker / "asked.csr", "--profile", "device_ca", "--out", maker / "gw-2.pem",
        "--proof", proofs / "gw-2",
    )  # fmt: skip
    assert answer["proof"] == str(proofs / "gw-2")
    authorities = maker / "home" / "maker" / "authorities"
    pairs = {
        maker / "root.tlog-proof": authorities / "root" / "certificate.pem",
        maker / "ca.tlog-proof": authorities / "factory-ca" / "certificate.pem",
        proofs / "gw": maker / "gw" / "certificate.pem",
        proofs / "id": maker / "gw" / "identity" / "certificate.pem",
        proofs / "pump": maker / "pump" / "certificate.pem",
        proofs / "gw-2": maker / "gw-2.pem",
    }
    for proof, certificate in pairs.items():
        code, said = verify(maker, certificate, proof, key)
        assert code == 0, said
        assert "proved" in said
        tlog_reader.check_proof(proof.read_text(), key)
    code, said = verify(maker, maker / "gw" / "certificate.pem", proofs / "pump", key)
    assert (code, "of another certificate" in said) == (1, True)


def test_what_an_auditor_refuses(maker: Path) -> None:
    """Another key, a changed proof, a file that is no proof; no key is wrong use, a missing file cannot be judged."""
    issue(maker, "leaf", "pump-1", "--out", maker / "pump", "--proof", maker / "proof")
    certificate, proof, key = maker / "pump" / "certificate.pem", maker / "proof", key_of(maker)
    other = key_of_another(maker)
    assert verify(maker, certificate, proof, other)[0] == 1
    text = proof.read_text()
    for changed in (text.replace("index 2", "index 1"), text.replace("extra bG", "extra bH"), "no proof"):
        proof.write_text(changed)
        assert verify(maker, certificate, proof, key)[0] == 1, changed
    assert verify(maker, certificate, maker / "nowhere", key)[0] == 3
    done = leafward("ca", "log", "verify-proof", str(certificate), str(proof), home=maker / "auditor")
    assert (done.returncode, "--key KEY" in done.stderr) == (2, True)
    done = leafward(
        "ca", "log", "verify-proof", str(certificate), str(proof), "--key", key, "--json", home=maker / "auditor"
    )
    assert (done.returncode, json.loads(done.stdout)["valid"]) == (1, False)


def key_of_another(maker: Path) -> str:
    """The key of another maker's log."""
    leafward_json("ca", "init", "--cn", "Other", home=maker / "other")
    return str(leafward_json("ca", "log", "key", home=maker / "other")["key"])


def test_proofs_of_what_joins_two_roots(maker: Path) -> None:
    """root -> (rollover) root 2, old with new, new with old; a root of a ceremony cross-signs Factory CA."""
    key, proofs = key_of(maker), maker / "joined"
    rolled = issue(maker, "rollover", "root", "--proofs")
    pairs = {Path(rolled[f"{label}_proof"]): Path(rolled[label]) for label in JOINED}
    issue(maker, "ceremony", "root", "--cn", "Other Root", "--by", "Ada", "--proof", proofs / "other")
    pairs[proofs / "other"] = maker / "home" / "maker" / "authorities" / "other-root" / "certificate.pem"
    issue(
        maker,
        "cross-sign",
        "factory-ca",
        "--by",
        "other-root",
        "--out",
        maker / "cross.pem",
        "--proof",
        proofs / "cross",
    )
    pairs[proofs / "cross"] = maker / "cross.pem"
    for proof, certificate in pairs.items():
        code, said = verify(maker, certificate, proof, key)
        assert code == 0, said
        tlog_reader.check_proof(proof.read_text(), key)


def test_a_proof_that_cannot_be_had_now(maker: Path) -> None:
    """The log's key is away: the certificate is issued and recorded, and its proof can be had later."""
    key = maker / "home" / "maker" / "log" / "key.pem"
    key.rename(maker / "key.pem")
    arguments = ["ca", "leaf", "pump-1", "--out", str(maker / "pump"), "--proof", str(maker / "proof")]
    done = leafward(*arguments, home=maker / "home")
    assert done.returncode == 3
    assert "the certificate is issued; its proof later: leafward ca log proof" in done.stderr
    assert (maker / "pump" / "certificate.pem").exists()
    assert not (maker / "proof").exists()
    (maker / "key.pem").rename(key)
    done = leafward("ca", "log", "proof", "pump-1", "--out", str(maker / "proof"), home=maker / "home")
    assert done.returncode == 0, done.stderr
    assert verify(maker, maker / "pump" / "certificate.pem", maker / "proof")[0] == 0


def test_proofs_of_a_lot(maker: Path) -> None:
    """As files, in a tar, as JSON: each certificate with the proof that is its own."""
    issue(maker, "lot", "open", "--quota", "10", "--lot", "spring")
    key = key_of(maker)
    for kind, names in (("files", ("a/b", "c")), ("tar", ("d",)), ("json", ("e", "f"))):
        source = maker / f"{kind}.jsonl"
        source.write_text("".join(json_line(csr(name)) for name in names))
        out = {"files": ["--out", str(maker / "out")], "tar": ["--out", str(maker / "out.tar")], "json": ["--json"]}
        command = ["ca", "lot", "issue", "spring", str(source), "--proofs", "--workers", "0", *out[kind]]
        done = leafward(*command, home=maker / "home")
        assert done.returncode == 0, done.stderr
    with tarfile.open(maker / "out.tar") as archive:
        archive.extractall(maker / "out", filter="data")
    for line in done.stdout.splitlines():
        if (event := json.loads(line))["event"] == "issued":
            (maker / "out" / f"{event['name']}.pem").write_text(event["certificate"])
            (maker / "out" / f"{event['name']}.tlog-proof").write_text(event["proof"])
    found = sorted(path.name for path in (maker / "out").iterdir())
    assert found == sorted(f"{n}.{ending}" for n in ("a%2Fb", "c", "d", "e", "f") for ending in ("pem", "tlog-proof"))
    for name in ("a%2Fb", "c", "d", "e", "f"):
        code, said = verify(maker, maker / "out" / f"{name}.pem", maker / "out" / f"{name}.tlog-proof", key)
        assert code == 0, said


def test_the_log_s_key_made_elsewhere(tmp_path: Path) -> None:
    """log key --at -> init: signed by that key; a second one is refused; restart asks where, and begins another log."""
    home, at = tmp_path / "home", f"file:{tmp_path}/log-key.pem"
    made = leafward_json("ca", "log", "key", "--at", at, "--origin", "log.example.com/maker", home=home)
    assert made["place"] == at
    leafward_json("ca", "init", "--cn", "Root", home=home)
    assert leafward_json("ca", "log", "key", home=home)["key"] == made["key"]
    assert leafward_json("ca", "log", "show", home=home)["signed"] == 1
    again = leafward("ca", "log", "key", "--at", f"file:{tmp_path}/other.pem", home=home)
    assert (again.returncode, "log restart --at" in again.stderr) == (3, True)
    assert not (tmp_path / "other.pem").exists()
    moved = leafward(
        "ca", "log", "restart", "--yes", "--at", f"file:{tmp_path}/other.pem", "--key", "ec-p256", home=home
    )
    assert moved.returncode == 0, moved.stderr
    key = leafward_json("ca", "log", "key", home=home)
    assert (key["algorithm"], key["key"] != made["key"]) == ("ECDSA", True)
    reference = home / "maker" / "log" / "key.ref"
    reference.write_text("tpm:/nowhere/log.tpm\n")
    refused = leafward("ca", "log", "restart", "--yes", home=home)
    assert (refused.returncode, "where shall the new key be made" in refused.stderr) == (2, True)
    wrong = leafward("ca", "log", "key", "--key", "ed25519", home=home)
    assert wrong.returncode == 2
