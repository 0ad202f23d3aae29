"""`leafward chain` and `leafward verify` on files, a live server, and lines of JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.edge import LEAFWARD, Edge, leafward, leafward_json


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root -> intermediate -> device CA -> leaf, by the commands."""
    home = tmp_path_factory.mktemp("maker")
    for arguments in (
        ["ca", "init", "--cn", "Root"],
        ["ca", "intermediate", "Factory"],
        ["ca", "device", "gw.ca", "--out", str(home / "gw")],
        ["ca", "leaf", "pump", "--out", str(home / "pump")],
    ):
        done = leafward(*arguments, home=home)
        assert done.returncode == 0, done.stderr
    return home


def root_of(maker: Path) -> str:
    return str(maker / "maker" / "authorities" / "root" / "certificate.pem")


def test_a_file_as_a_tree(maker: Path) -> None:
    done = leafward("chain", str(maker / "gw" / "certificate.pem"))
    assert [line.strip().split("  ")[0] for line in done.stdout.splitlines()] == [
        "root CA", "└─ intermediate CA", "└─ device CA",
    ]  # fmt: skip


def test_json_has_the_contracts_keys(maker: Path) -> None:
    described = leafward_json("chain", str(maker / "gw" / "certificate.pem"), home=maker)
    assert set(described) == {"source", "certificates", "complete", "anchor"}
    leaf, intermediate, root = described["certificates"]
    assert set(leaf) == {
        "role", "subject", "common_name", "issuer", "serial", "not_before", "not_after", "key", "sha256", "ca",
        "path_length", "san",
    }  # fmt: skip
    assert [c["role"] for c in described["certificates"]] == ["device_ca", "intermediate_ca", "root_ca"]
    assert (leaf["ca"], leaf["path_length"], leaf["key"], leaf["san"]) == (True, 1, "ec-p256", [])
    assert intermediate["issuer"] == root["subject"] == "CN=Root"
    assert described["complete"]
    assert described["anchor"] == root["sha256"]


def test_a_chain_without_its_root_is_not_complete(maker: Path, tmp_path: Path) -> None:
    text = (maker / "gw" / "certificate.pem").read_text()
    partial = tmp_path / "partial.pem"
    partial.write_text(text[: text.rindex("-----BEGIN")])
    described = leafward_json("chain", str(partial), home=maker)
    assert not described["complete"]
    assert described["anchor"] is None
    assert "not presented" in leafward("chain", str(partial)).stderr


def test_a_server_where_nobody_listens(maker: Path) -> None:
    done = leafward("chain", "127.0.0.1:1")
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr


def test_a_live_chain_verifies_for_its_name_and_no_other(edge: Edge, tmp_path: Path) -> None:
    chain = edge.home / "live.pem"
    where = edge.ready["mqtts"]
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"{where['host']}:{where['port']}", "-showcerts"],
        input="", capture_output=True, text=True, check=False,
    )  # fmt: skip
    chain.write_text(shown.stdout)
    good = leafward("verify", str(chain), "--root", str(edge.root), "--name", "GATEWAY.test")
    assert (good.returncode, good.stdout) == (0, "valid\n")
    bad = leafward_json_of(1, "verify", str(chain), "--root", str(edge.root), "--name", "other.test")
    assert (bad["valid"], bad["rule"], bad["path"]) == (False, "hostname-mismatch", None)
    assert "other.test" in bad["reason"]


def test_a_home_a_server_and_a_file_are_one_chain(edge: Edge) -> None:
    where = edge.ready["mqtts"]
    (file,) = (edge.home / "manager" / "hub-server").glob("*/certificate.pem")
    targets = (str(edge.home), f"{where['host']}:{where['port']}", str(file))
    assert len({json.dumps(leafward_json("chain", target, home=edge.home)["certificates"]) for target in targets}) == 1


def leafward_json_of(code: int, *arguments: str) -> dict[str, object]:
    done = leafward(*arguments, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_verify_a_client_certificate(maker: Path) -> None:
    chain = str(maker / "pump" / "certificate.pem")
    valid = leafward_json_of(0, "verify", chain, "--root", root_of(maker), "--purpose", "client")
    assert valid["valid"] is True
    assert (valid["reason"], valid["rule"]) == (None, None)
    assert len(valid["path"]) == 3
    late = leafward_json_of(
        1, "verify", chain, "--root", root_of(maker), "--purpose", "client", "--at", "2090-01-01T00:00:00Z"
    )
    assert late["rule"] == "certificate-expired"
    server = leafward_json_of(1, "verify", chain, "--root", root_of(maker), "--name", "pump")
    assert server["valid"] is False


def test_batch_answers_each_line_in_order(maker: Path) -> None:
    chain = (maker / "pump" / "certificate.pem").read_text()
    questions = [
        {"chain": chain, "root": root_of(maker), "purpose": "client"},
        {"chain": chain, "root": root_of(maker), "purpose": "client", "at": "1999-01-01T00:00:00Z"},
        {"chain": "/no/such/file", "root": root_of(maker)},
        {"chain": chain, "root": root_of(maker), "surprise": "x"},
    ]
    lines = [json.dumps(question) for question in questions] + ["not json", "[" * 100_000, '{"chain": "\\u0000"}']
    lines += [json.dumps({"chain": "\ud800", "root": "x"}), json.dumps(questions[0])]
    done = subprocess.run(
        [str(LEAFWARD), "verify", "--batch"], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [answer["valid"] for answer in answers] == [True, *[False] * 7, True]
    assert [answer.get("error", False) for answer in answers] == [False, False, *[True] * 6, False]
    assert answers[1]["rule"] == "certificate-not-yet-valid"
    assert "does not exist" in answers[2]["reason"]
    assert "surprise" in answers[3]["reason"]
    assert "JSON" in answers[4]["reason"]


def test_a_chain_file_that_begins_with_its_root(maker: Path, tmp_path: Path) -> None:
    text = (maker / "pump" / "certificate.pem").read_text()
    blocks = [f"-----BEGIN{block}" for block in text.split("-----BEGIN")[1:]]
    backwards = tmp_path / "backwards.pem"
    backwards.write_text("".join(reversed(blocks)))
    answer = leafward_json_of(1, "verify", str(backwards), "--root", root_of(maker), "--purpose", "client")
    assert answer["rule"] == "chain-file-leaf-not-first"


def test_an_intermediate_alone_is_no_root(maker: Path) -> None:
    factory = str(maker / "maker" / "authorities" / "factory" / "certificate.pem")
    text = Path(factory).read_text()
    only = maker / "only-factory.pem"
    only.write_text(text[: text.rindex("-----BEGIN")])
    chain = str(maker / "pump" / "certificate.pem")
    answer = leafward_json_of(1, "verify", chain, "--root", str(only), "--purpose", "client")
    assert answer["valid"] is False
    assert answer["rule"] is not None


def test_a_key_where_a_certificate_belongs(maker: Path) -> None:
    done = leafward("chain", str(maker / "gw" / "key.pem"))
    assert done.returncode == 3
    assert "key" in done.stderr
    assert "PRIVATE" not in done.stderr
    assert sys.executable not in done.stderr
