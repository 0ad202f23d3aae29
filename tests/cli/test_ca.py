"""`leafward ca`: the maker's authority by its commands; openssl judges what it makes."""

import stat
import subprocess
from pathlib import Path

import pytest

from tests.edge import leafward, leafward_json


def ca(home: Path, *arguments: str) -> None:
    done = leafward("ca", *arguments, home=home)
    assert done.returncode == 0, done.stderr


def openssl_verify(root: Path, chain: Path) -> str:
    arguments = ["-x509_strict", "-CAfile", str(root), "-untrusted", str(chain), str(chain)]
    done = subprocess.run(["openssl", "verify", *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_any_number_of_intermediates(tmp_path: Path, depth: int) -> None:
    """root -> 0, 1 or 3 intermediates -> device CA."""
    ca(tmp_path, "init", "--cn", "Root")
    for level in range(depth):
        ca(tmp_path, "intermediate", f"Level {level}", "--intermediates-below", str(depth - level - 1))
    ca(tmp_path, "device", "gw.ca", "--out", str(tmp_path / "gw"))
    root = tmp_path / "maker" / "authorities" / "root" / "certificate.pem"
    assert openssl_verify(root, tmp_path / "gw" / "certificate.pem").endswith(": OK\n")
    listed = leafward_json("ca", "list", home=tmp_path)
    assert len(listed) == depth + 2


@pytest.mark.parametrize("key", ["ec-p384", "rsa-3072"])
def test_other_kinds_of_key(tmp_path: Path, key: str) -> None:
    ca(tmp_path, "init", "--cn", "Root", "--key", key)
    ca(tmp_path, "device", "gw.ca", "--key", key, "--out", str(tmp_path / "gw"))
    described = leafward_json("chain", str(tmp_path / "gw" / "certificate.pem"), home=tmp_path)
    assert {c["key"] for c in described["certificates"]} == {key}


def test_from_a_request_made_on_the_device(tmp_path: Path) -> None:
    """The device keeps its key; nothing of ours writes one."""
    request, key = tmp_path / "device.csr", tmp_path / "device.key"
    subprocess.run(
        ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=whatever",
         "-keyout", str(key), "-out", str(request)],
        check=True, capture_output=True,
    )  # fmt: skip
    ca(tmp_path, "init", "--cn", "Root")
    ca(tmp_path, "device", "gw.ca", "--csr", str(request), "--out", str(tmp_path / "gw"))
    assert [path.name for path in (tmp_path / "gw").iterdir()] == ["certificate.pem"]
    described = leafward_json("chain", str(tmp_path / "gw" / "certificate.pem"), home=tmp_path)
    assert described["certificates"][0]["common_name"] == "gw.ca"


def test_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    ca(tmp_path, "init", "--cn", "Root")
    for key in tmp_path.rglob("key.pem"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["init", "--cn", "Root"], "exists"),
        (["intermediate", "X", "--issuer", "nobody"], "none matches"),
        (["device", "gw.ca", "--csr", "/no/such.csr", "--out", "gw"], "does not exist"),
        (["leaf", "gw", "--csr", "garbage.csr", "--out", "leaf"], "certificate request"),
        (["leaf", "a b"], "no device id"),
        (["leaf", "gw", "--profile", "device_identity"], "serial_number"),
        (["device", "gateway.test", "--hostname", "Gateway.test"], "must not be named"),
    ],
)
def test_refusals_say_what_to_do_and_leave_nothing_half_done(tmp_path: Path, arguments: list[str], words: str) -> None:
    ca(tmp_path, "init", "--cn", "Root")
    (tmp_path / "garbage.csr").write_text("garbage")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    done = leafward("ca", *arguments, home=tmp_path, cwd=tmp_path)
    assert done.returncode == 3
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_files_go_below_the_working_folder_whatever_the_name_is(tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    here.mkdir()
    ca(home, "init", "--cn", "Root")
    assert leafward("ca", "device", "../../escape", home=home, cwd=here).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] in (["home", "here"], ["here", "home"])
    assert len(list(here.iterdir())) == 1


def test_two_names_that_read_alike_without_their_letters_are_two(tmp_path: Path) -> None:
    for name in ("Ünter CA", "Önter CA", "日本", ".."):
        ca(tmp_path, "init", "--cn", name)
    assert len(leafward_json("ca", "list", home=tmp_path)) == 4


def test_an_unknown_kind_of_key_is_wrong_use(tmp_path: Path) -> None:
    done = leafward("ca", "init", "--cn", "New", "--key", "rsa-1024", home=tmp_path)
    assert done.returncode == 2
    assert "rsa-3072" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_intermediate_with_no_room_below_signs_no_device_ca(tmp_path: Path) -> None:
    """root -> intermediate (pathlen 2) -> intermediate (pathlen 2 does not fit below 2)."""
    ca(tmp_path, "init", "--cn", "Root")
    ca(tmp_path, "intermediate", "One")
    done = leafward("ca", "intermediate", "Two", home=tmp_path)
    assert done.returncode == 3
    assert "path" in done.stderr.lower()


def test_installing_a_device_ca_named_like_the_host_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leafward.toml").write_text('[device]\nhostname = "gateway.test"\n')
    ca(tmp_path, "init", "--cn", "Root")
    done = leafward("ca", "device", "GATEWAY.test", "--install", home=tmp_path)
    assert done.returncode == 3
    assert "GATEWAY.test.ca" in done.stderr
    assert not (tmp_path / "manager" / "device-ca").exists()
