"""Snippets as they are pasted: each runs unchanged in its own tool, and its telemetry arrives.

    root -> intermediate -> device CA -> workload CA -> hub "127.x.y.z"; leaf devices by key and by certificate

The gateway is called by its address, so that every tool finds it with no help; a board wants a name. Azure's clients
for C and Java are in no package here: where docs/snippets.md was followed, their programs are built and run too.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leafward.cli.commands.device import snippet as snippet_command
from leafward.cli.snippets import kinds
from tests.clients.test_node_sdk import NODE
from tests.clients.test_python_sdk import messages_of
from tests.edge import LEAF_PYTHON, Edge, Edges, free_address, leafward

BODY = {"temperature": 21.5}
SHELL = ("mosquitto", "openssl", "curl")
KINDS = ("python", "node", "c", "csharp", "java", "arduino", *SHELL)
AUTH = ("sas", "x509-ca", "x509-thumbprint")
C_FLAGS, CLASSES = "LEAFWARD_TEST_C_FLAGS", "LEAFWARD_TEST_JAVA_CLASSPATH"
BOARD = Path(__file__).parent / "esp32"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    address = free_address()
    with Edges() as start:
        started = start(tmp_path_factory.mktemp("edge") / "home", "--hostname", address, address=address)
        for auth in AUTH:
            started.json("device", "add", f"leaf-{auth}", "--auth", auth)
        yield started


def snippet(edge: Edge, device: str, kind: str, *options: str) -> str:
    done = edge.run("device", "snippet", device, "--for", kind, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(command: list[str], *, given: str | None = None, cwd: Path | None = None) -> str:
    done = subprocess.run(command, input=given, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done
    return done.stdout


def arrived(edge: Edge, device: str) -> list[Any]:
    return [message["body"] for message in messages_of(edge, device)]


@pytest.mark.parametrize("auth", AUTH)
@pytest.mark.parametrize("kind", SHELL)
def test_command_lines(edge: Edge, kind: str, auth: str) -> None:
    if shutil.which("mosquitto_pub" if kind == "mosquitto" else kind) is None:
        pytest.skip(f"needs {kind}")
    device = f"leaf-{auth}"
    before = len(arrived(edge, device))
    said = run(["sh"], given=snippet(edge, device, kind, "--show-secret"))
    if kind != "mosquitto":
        assert "204" in said
    assert arrived(edge, device)[before:] == [BODY]


@pytest.mark.parametrize("auth", ["sas", "x509-ca"])
def test_python(edge: Edge, auth: str) -> None:
    device = f"leaf-{auth}"
    before = len(arrived(edge, device))
    assert (
        run([str(LEAF_PYTHON), "-W", "ignore", "-"], given=snippet(edge, device, "python", "--show-secret")) == "sent\n"
    )
    assert arrived(edge, device)[before:] == [BODY]


@pytest.mark.skipif(shutil.which("node") is None or not (NODE / "node_modules").exists(), reason="needs node: make dev")
@pytest.mark.parametrize("auth", ["sas", "x509-thumbprint"])
def test_node(edge: Edge, auth: str) -> None:
    device = f"leaf-{auth}"
    before = len(arrived(edge, device))
    assert run(["node", "-"], given=snippet(edge, device, "node", "--show-secret"), cwd=NODE) == "sent\n"
    assert arrived(edge, device)[before:] == [BODY]


@pytest.mark.skipif(C_FLAGS not in os.environ, reason=f"needs Azure's client for C, and {C_FLAGS}: docs/snippets.md")
@pytest.mark.parametrize("auth", AUTH)
def test_c(edge: Edge, auth: str, tmp_path: Path) -> None:
    device = f"leaf-{auth}"
    (tmp_path / "leaf.c").write_text(snippet(edge, device, "c", "--show-secret"))
    before = len(arrived(edge, device))
    run(["cc", "-Wall", "-Werror", "leaf.c", "-o", "leaf", *shlex.split(os.environ[C_FLAGS])], cwd=tmp_path)
    assert run(["./leaf"], cwd=tmp_path) == "sent\n"
    assert arrived(edge, device)[before:] == [BODY]


@pytest.mark.skipif(CLASSES not in os.environ, reason=f"needs Azure's client for Java, and {CLASSES}: docs/snippets.md")
@pytest.mark.parametrize("auth", AUTH)
def test_java(edge: Edge, auth: str, tmp_path: Path) -> None:
    device = f"leaf-{auth}"
    (tmp_path / "Leaf.java").write_text(snippet(edge, device, "java", "--show-secret"))
    before = len(arrived(edge, device))
    classes = f"{os.environ[CLASSES]}:."
    run(["javac", "-cp", classes, "Leaf.java"], cwd=tmp_path)
    assert run(["java", "-cp", classes, "Leaf"], cwd=tmp_path) == "sent\n"
    assert arrived(edge, device)[before:] == [BODY]


def test_arduino(tmp_path: Path) -> None:
    """The sketch on a board made of mbedTLS and this machine: its root, its token, its certificate."""
    if shutil.which("g++") is None or not Path("/usr/include/mbedtls/ssl.h").exists():
        pytest.skip("needs g++ and libmbedtls-dev")
    address = free_address()
    with Edges() as start:
        edge = start(tmp_path / "home", "--hostname", "gateway.test", address=address)
        for auth in ("sas", "x509-ca"):
            device = f"board-{auth}"
            edge.json("device", "add", device, "--auth", auth)
            (tmp_path / f"{auth}.cpp").write_text(snippet(edge, device, "arduino", "--show-secret"))
            sources = [f"{auth}.cpp", str(BOARD / "board.cpp")]
            libraries = ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"]
            run(["g++", "-Wall", "-Werror", f"-I{BOARD}", *sources, "-o", auth, *libraries], cwd=tmp_path)
            run(["env", f"BOARD_RESOLVES={address}", f"./{auth}"], cwd=tmp_path)
            assert arrived(edge, device) == [BODY]


def test_a_board_wants_a_name(edge: Edge) -> None:
    done = edge.run("device", "snippet", "leaf-sas", "--for", "arduino")
    assert "compares no addresses" in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_secrets_only_when_asked(edge: Edge, kind: str) -> None:
    """By key: the key or a token of it. By certificate: a path, but in a sketch, which has no files."""
    key = (
        edge.json("device", "show", "leaf-sas", "--secrets")["connection_string"]
        .split("SharedAccessKey=")[1]
        .split(";")[0]
    )
    hidden = edge.run("device", "snippet", "leaf-sas", "--for", kind)
    assert hidden.returncode == 0
    assert key not in hidden.stdout
    assert "&sig=" not in hidden.stdout.replace('"&sig=" +', "").replace('&sig=" + signature', "")
    assert "--show-secret puts it in" in hidden.stderr
    assert "PRIVATE KEY" not in snippet(edge, "leaf-x509-ca", kind)
    shown = snippet(edge, "leaf-sas", kind, "--show-secret")
    assert (key not in shown) == (kind in SHELL)
    assert ("BEGIN PRIVATE KEY" in snippet(edge, "leaf-x509-ca", kind, "--show-secret")) == (kind == "arduino")
    assert "@" not in shown.replace(key, "")


def test_the_two_tables_are_one() -> None:
    assert tuple(kinds.KINDS) == snippet_command.KINDS == KINDS[:6] + SHELL


def test_json_and_a_device_that_is_not_there(edge: Edge) -> None:
    facts = edge.json("device", "snippet", "leaf-sas", "--for", "curl")
    assert set(facts) == {"device_id", "auth", "for", "secret_shown", "code"}
    done = leafward("device", "snippet", "nobody", "--for", "curl", home=edge.home)
    assert (done.returncode, "no device 'nobody'" in done.stderr) == (3, True)


def test_ids_with_a_shells_own_signs(edge: Edge) -> None:
    """IoT Hub allows $, ', ! and more in an id: a command line keeps each of them."""
    odd = "it's-$HOME!(1)*"
    edge.json("device", "add", odd)
    for kind in SHELL:
        run(["sh"], given=snippet(edge, odd, kind, "--show-secret"))
    assert arrived(edge, odd) == [BODY] * 3


def test_the_java_program_is_java(edge: Edge, tmp_path: Path) -> None:
    """Without Azure's library it cannot be built here; that all else is in order, the compiler says."""
    if shutil.which("javac") is None:
        pytest.skip("needs a JDK")
    (tmp_path / "Leaf.java").write_text(snippet(edge, "leaf-x509-ca", "java"))
    done = subprocess.run(
        ["javac", "-J-XX:TieredStopAtLevel=1", "-proc:none", "Leaf.java"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert errors
    assert all("com.microsoft.azure" in line or "cannot find symbol" in line for line in errors), done.stderr
