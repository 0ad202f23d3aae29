"""`leafward ca adopt`: somebody's CA goes on here, with all that it issued and revoked."""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.authority.adopt_folders import OpensslCa, openssl
from tests.edge import leafward, leafward_json

EASYRSA = Path("/usr/share/easy-rsa/easyrsa")


def adopt(home: Path, folder: Path, *options: str) -> Any:
    return leafward_json("ca", "adopt", str(folder), *options, home=home)


def refused(home: Path, folder: Path, *options: str) -> str:
    done = leafward("ca", "adopt", str(folder), *options, home=home)
    assert done.returncode == 3
    return done.stderr


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file with its digest and mode: what a look must not change."""
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def status(home: Path) -> dict[str, str]:
    found = leafward_json("ca", "search", "--lot", "adopted", home=home)
    rows = found["certificates"] if isinstance(found, dict) else found
    return {row["name"]: row["status"] for row in rows}


def secret(folder: Path, text: str) -> str:
    path = folder / f"{text}.pass"
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


@pytest.fixture(scope="module")
def certgen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certgen")
    for arguments in (
        ["create_root_and_intermediate"],
        ["create_edge_device_ca_certificate", "gw"],
        ["create_edge_device_identity_certificate", "gw"],
        ["create_device_certificate", "pump-7"],
        ["create_verification_certificate", "7A8B"],
    ):
        assert leafward("certgen", *arguments, "--key", "ec-p256", cwd=folder).returncode == 0
    return folder


def test_a_scripts_folder(certgen: Path, tmp_path: Path) -> None:
    """root -> intermediate -> device CA, identity, device; root -> verification. The next one is issued from here."""
    before = contents(certgen)
    shown = adopt(tmp_path, certgen, "--dry-run")
    assert [one["role"] for one in shown["authorities"]] == ["root_ca", "intermediate_ca"]
    assert [one["issued"] for one in shown["authorities"]] == [1, 3]
    assert leafward_json("ca", "list", home=tmp_path) == []
    done = adopt(tmp_path, certgen)
    assert [(one["how"], one["key"]) for one in done["authorities"]] == [("added", True), ("added", True)]
    assert (done["recorded"], done["skipped"]) == (6, [])
    found = leafward_json("ca", "search", "--lot", "adopted", home=tmp_path)
    kinds = {row["kind"] for row in (found["certificates"] if isinstance(found, dict) else found)}
    assert kinds == {"root_ca", "intermediate_ca", "device_ca", "device_identity", "leaf_device", "verification"}
    out = tmp_path / "out"
    assert leafward("ca", "device", "gw-2.ca", "--out", str(out), home=tmp_path).returncode == 0
    chain, root = str(out / "certificate.pem"), str(certgen / "certs/azure-iot-test-only.root.ca.cert.pem")
    assert ": OK" in openssl(tmp_path, "verify", "-x509_strict", "-CAfile", root, "-untrusted", chain, chain)
    again = adopt(tmp_path, certgen)
    assert (again["recorded"], again["known"]) == (0, 6)
    assert {one["how"] for one in again["authorities"]} == {"known"}
    assert contents(certgen) == before


def test_what_came_later_is_taken_too(certgen: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(certgen, folder)
    adopt(tmp_path, folder)
    leafward("certgen", "create_device_certificate", "later", "--key", "ec-p256", cwd=folder)
    assert adopt(tmp_path, folder)["recorded"] == 1


def test_keys_under_a_new_passphrase(certgen: Path, tmp_path: Path) -> None:
    adopt(tmp_path, certgen, "--new-passphrase-file", secret(tmp_path, "mine"))
    keys = list((tmp_path / "maker" / "authorities").glob("*/key.pem"))
    assert len(keys) == 2
    assert all(b"ENCRYPTED" in key.read_bytes() and key.stat().st_mode & 0o077 == 0 for key in keys)
    done = leafward("ca", "leaf", "x", "--out", str(tmp_path / "x"), home=tmp_path)
    assert done.returncode == 3
    opened = ["--passphrase-file", secret(tmp_path, "mine")]
    assert leafward("ca", "leaf", "x", "--out", str(tmp_path / "x"), *opened, home=tmp_path).returncode == 0


def test_openssl_ca(tmp_path: Path) -> None:
    """A root that issued two and revoked one: its list goes on with the next number, and names the revoked one."""
    ca = OpensslCa(tmp_path / "theirs", passphrase="theirs")
    ca.issue("good")
    ca.revoke(ca.issue("bad"), "keyCompromise")
    ca.publish()
    home = tmp_path / "home"
    assert "nobody to ask" in refused(home, ca.folder)
    wrong = refused(home, ca.folder, "--passphrase-file", secret(tmp_path, "wrong"))
    assert "did not open" in wrong
    assert leafward_json("ca", "list", home=home) == []
    done = adopt(home, ca.folder, "--passphrase-for", f"{ca.key}={secret(tmp_path, 'theirs')}")
    assert (done["recorded"], done["revoked"], done["lists"]) == (3, 1, 1)
    assert status(home) == {"Their CA": "valid", "good": "valid", "bad": "revoked"}
    opened = ["--passphrase-file", secret(tmp_path, "theirs")]
    assert leafward("ca", "crl", *opened, home=home).returncode == 0
    (published,) = (home / "maker" / "crl").rglob("complete.crl")
    text = openssl(tmp_path, "crl", "-inform", "DER", "-in", str(published), "-noout", "-text")
    assert "Key Compromise" in text
    assert "Serial Number: 1001" in text
    number = text.split("X509v3 CRL Number:")[1].split()[0]
    assert int(number) == 8


def test_without_the_key(tmp_path: Path) -> None:
    ca = OpensslCa(tmp_path / "theirs", passphrase="theirs")
    home = tmp_path / "home"
    done = adopt(home, ca.folder, "--skip-locked")
    assert [one["key"] for one in done["authorities"]] == [False]
    done = adopt(home, ca.folder, "--passphrase-file", secret(tmp_path, "theirs"))
    assert [(one["how"], one["key"]) for one in done["authorities"]] == [("key added", True)]


def test_easyrsa(tmp_path: Path) -> None:
    """Its roots are flawed (basicConstraints not critical): mended by consent, and old trust goes on."""
    ca = OpensslCa(tmp_path / "pki", easy=True)
    ca.revoke(ca.issue("stolen"), "superseded")
    ca.issue("kept")
    home = tmp_path / "home"
    assert "--mend-root" in refused(home, ca.folder)
    for how in ("mended", "known"):
        done = adopt(home, ca.folder, "--mend-root")
        assert [one["how"] for one in done["authorities"]] == [how]
    assert status(home)["stolen"] == "revoked"
    assert leafward("ca", "leaf", "new", "--out", str(tmp_path / "new"), home=home).returncode == 0
    new, mended = str(tmp_path / "new" / "certificate.pem"), str(home / "maker/authorities/their-ca/certificate.pem")
    assert ": OK" in openssl(tmp_path, "verify", "-CAfile", str(ca.certificate), new)
    assert ": OK" in openssl(tmp_path, "verify", "-x509_strict", "-CAfile", mended, new)


@pytest.mark.skipif(not EASYRSA.exists(), reason="easy-rsa is not installed")
def test_the_real_easyrsa(tmp_path: Path) -> None:
    settings = {"EASYRSA_BATCH": "1", "EASYRSA_ALGO": "ec", "EASYRSA_CURVE": "prime256v1", "PATH": "/usr/bin:/bin"}
    for command in (
        "init-pki",
        "build-ca nopass",
        "build-client-full a nopass",
        "build-client-full b nopass",
        "revoke b",
    ):
        name = {"EASYRSA_REQ_CN": "Easy"} if "build-ca" in command else {}
        subprocess.run(
            [EASYRSA, *command.split()], cwd=tmp_path, env={**settings, **name}, check=True, capture_output=True
        )
    home = tmp_path / "home"
    assert adopt(home, tmp_path / "pki", "--mend-root")["revoked"] == 1
    assert status(home) == {"Easy": "replaced", "a": "valid", "b": "revoked"}


def test_bare_files(tmp_path: Path) -> None:
    """A root, its key and a chain in one folder, and what does not belong: each is told, none stops the rest."""
    ca, other = OpensslCa(tmp_path / "a"), OpensslCa(tmp_path / "b")
    folder = tmp_path / "bare"
    folder.mkdir()
    shutil.copy(ca.certificate, folder / "root.pem")
    shutil.copy(ca.key, folder / "root.key")
    shutil.copy(ca.issue("mine"), folder / "mine.pem")
    shutil.copy(other.issue("foreign"), folder / "foreign.pem")
    (folder / "damaged.pem").write_bytes((folder / "mine.pem").read_bytes()[:300])
    (folder / "again.pem").write_bytes((folder / "mine.pem").read_bytes())
    (folder / "notes.txt").write_text("nothing")
    done = adopt(tmp_path / "home", folder)
    assert done["recorded"] == 2
    skipped = {Path(one["path"]).name: one["why"] for one in done["skipped"]}
    assert set(skipped) == {"damaged.pem", "foreign.pem"}
    assert "is not here" in skipped["foreign.pem"] or "foreign" in skipped["foreign.pem"]


def pfx(ca: OpensslCa, out: Path, password: str, *options: str) -> Path:
    """The CA's certificate and key in one PKCS#12 file, and its PEM key gone."""
    out.parent.mkdir(exist_ok=True)
    openssl(ca.folder, "pkcs12", "-export", "-in", str(ca.certificate), "-inkey", str(ca.key),
            "-passout", f"pass:{password}", "-out", str(out), *options)  # fmt: skip
    return out


def test_pkcs12(tmp_path: Path) -> None:
    """A CA that is a .pfx and nothing else, under a password of its own; what it issued lies beside it."""
    ca = OpensslCa(tmp_path / "theirs")
    folder = tmp_path / "bare"
    held = pfx(ca, folder / "ca.pfx", "opensesame")
    shutil.copy(ca.issue("mine"), folder / "mine.pem")
    home = tmp_path / "home"
    assert "there is nobody to ask" in refused(home, folder)
    assert "there is nobody to ask" in refused(home, folder, "--dry-run", "--skip-locked")
    assert "ca.pfx does not open" in refused(home, folder, "--passphrase-file", secret(tmp_path, "wrong"))
    before = contents(folder)
    done = adopt(home, folder, "--passphrase-for", f"{held}={secret(tmp_path, 'opensesame')}")
    assert [(one["name"], one["key"]) for one in done["authorities"]] == [("their-ca", True)]
    assert (done["recorded"], done["skipped"], contents(folder)) == (2, [], before)
    kept = next(home.rglob("their-ca/key.pem")).read_text()
    assert "ENCRYPTED" in kept
    issued = ["ca", "leaf", "pump-9", "--issuer", "their-ca", "--passphrase-file", secret(tmp_path, "opensesame")]
    assert leafward(*issued, home=home, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(("password", "options"), [("", ()), ("1234", ()), ("1234", ("-legacy",))])
def test_pkcs12_that_anybody_opens(tmp_path: Path, password: str, options: tuple[str, ...]) -> None:
    ca = OpensslCa(tmp_path / "theirs")
    pfx(ca, tmp_path / "bare" / "root.p12", password, *options)
    done = adopt(tmp_path / "home", tmp_path / "bare")
    assert [(one["name"], one["key"]) for one in done["authorities"]] == [("their-ca", True)]
    assert "ENCRYPTED" not in next((tmp_path / "home").rglob("their-ca/key.pem")).read_text()


def test_pkcs12_beside_its_pem_files(tmp_path: Path) -> None:
    """What the scripts make for each device: under any password, nobody is asked."""
    ca = OpensslCa(tmp_path / "theirs")
    issued = ca.issue("mine")
    openssl(ca.folder, "pkcs12", "-export", "-in", str(issued), "-inkey", "private/mine.key",
            "-passout", "pass:whatever", "-out", "issued/mine.pfx")  # fmt: skip
    (ca.folder / "issued" / "damaged.pfx").write_bytes(b"0\x82nonsense")
    done = adopt(tmp_path / "home", ca.folder, "--skip-locked")
    assert done["recorded"] == 2
    assert [Path(one["path"]).name for one in done["skipped"]] == ["damaged.pfx"]


def test_roles_by_hand(tmp_path: Path) -> None:
    """root -> `Line.ca`: by its name a device CA, unless a person says that it is an intermediate."""
    ca = OpensslCa(tmp_path / "theirs")
    line = ca.issue("Line.ca", extensions="ca_critical")
    assert len(adopt(tmp_path / "one", ca.folder, "--dry-run")["authorities"]) == 1
    done = adopt(tmp_path / "two", ca.folder, "--role", f"{line}=intermediate_ca")
    assert [(one["name"], one["key"]) for one in done["authorities"]] == [("their-ca", True), ("line.ca", True)]
    wrong = leafward("ca", "adopt", str(ca.folder), "--role", f"{line}=king", home=tmp_path / "three")
    assert wrong.returncode == 2


def test_nothing_to_adopt(tmp_path: Path) -> None:
    assert "there is no folder" in refused(tmp_path / "home", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "there is no CA in" in refused(tmp_path / "home", tmp_path / "empty")
