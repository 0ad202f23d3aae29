"""The root in trust stores: what would be done on every platform, as values; and done for real where that can be tried.

root "Same Name" (ours) beside roots of the same name and other keys
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from leafward.cli.trust.anchor import Anchor, read_anchor
from leafward.cli.trust.find import find_stores, system_store
from leafward.cli.trust.java_store import JavaStore, java_stores
from leafward.cli.trust.linux_stores import Arch, Debian, Fedora
from leafward.cli.trust.machine import Machine
from leafward.cli.trust.nss_store import NssStore, nss_stores
from leafward.cli.trust.other_systems import MacOs, Windows
from leafward.cli.trust.steps import Answer, Run, Write, ask_machine, take
from leafward.cli.trust.store import TrustStore
from leafward.cli.trust.work import Stores
from leafward.errors import NotFound, RuleViolation, StoreError, UsageError
from tests.hand_made import write_intermediate, write_root

HERE = Machine("linux", {"ID": "debian"})


@pytest.fixture
def anchor(tmp_path: Path) -> Anchor:
    return read_anchor(write_root(tmp_path / "ours.pem"))


@pytest.fixture
def other(tmp_path: Path) -> Anchor:
    return read_anchor(write_root(tmp_path / "other.pem"))


def commands(store: TrustStore, anchor: Anchor) -> list[str]:
    return [str(step) for step in (*store.install(anchor), *store.uninstall(anchor))]


@pytest.mark.parametrize(
    ("platform", "release", "install", "uninstall"),
    [
        ("linux", {"ID": "debian"},
         ["write /usr/local/share/ca-certificates/L.crt", "update-ca-certificates"],
         ["remove /usr/local/share/ca-certificates/L.crt", "update-ca-certificates --fresh"]),
        ("linux", {"ID": "linuxmint", "ID_LIKE": "ubuntu debian"},
         ["write /usr/local/share/ca-certificates/L.crt", "update-ca-certificates"],
         ["remove /usr/local/share/ca-certificates/L.crt", "update-ca-certificates --fresh"]),
        ("linux", {"ID": "alpine"},
         ["write /usr/local/share/ca-certificates/L.crt", "update-ca-certificates"],
         ["remove /usr/local/share/ca-certificates/L.crt", "update-ca-certificates"]),
        ("linux", {"ID": "rocky", "ID_LIKE": "rhel centos fedora"},
         ["write /etc/pki/ca-trust/source/anchors/L.pem", "update-ca-trust extract"],
         ["remove /etc/pki/ca-trust/source/anchors/L.pem", "update-ca-trust extract"]),
        ("linux", {"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"},
         ["write /etc/pki/trust/anchors/L.pem", "update-ca-certificates"],
         ["remove /etc/pki/trust/anchors/L.pem", "update-ca-certificates"]),
        ("linux", {"ID": "manjaro", "ID_LIKE": "arch"}, ["trust anchor --store F"], ["trust anchor --remove F"]),
        ("darwin", {},
         ["security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain F"],
         ["security delete-certificate -Z SHA256 -t /Library/Keychains/System.keychain"]),
        ("win32", {}, ["certutil -addstore -f Root F"], ["certutil -delstore Root SHA1"]),
    ],
    ids=["debian", "mint", "alpine", "rocky", "suse", "arch", "macos", "windows"],
)  # fmt: skip
def test_what_is_done_on_each_system(
    anchor: Anchor, platform: str, release: dict[str, str], install: list[str], uninstall: list[str]
) -> None:
    store = system_store(Machine(platform, release))
    assert store is not None
    told = "\n".join(commands(store, anchor))
    for text, short in (
        (anchor.label, "L"), (str(anchor.path), "F"), (anchor.sha256.upper(), "SHA256"), (anchor.sha1, "SHA1"),
    ):  # fmt: skip
        told = told.replace(text, short)
    assert told.splitlines() == [*install, *uninstall]


def test_a_system_that_is_not_known() -> None:
    assert system_store(Machine("linux", {"ID": "plan9"})) is None
    with pytest.raises(NotFound, match="the system is plan9, known are debian"):
        find_stores(Machine("linux", {"ID": "plan9"}), "system")


def test_only_a_root_is_taken(tmp_path: Path) -> None:
    """root -> intermediate: the intermediate is no root; two roots in one file are one too many."""
    intermediate = write_intermediate(tmp_path / "ca.pem")
    with pytest.raises(RuleViolation, match="holds no root"):
        read_anchor(intermediate)
    both = tmp_path / "both.pem"
    both.write_bytes(write_root(tmp_path / "a.pem").read_bytes() + write_root(tmp_path / "b.pem").read_bytes())
    with pytest.raises(UsageError, match="holds 2 roots"):
        read_anchor(both)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(intermediate.read_bytes() + (tmp_path / "a.pem").read_bytes())
    assert read_anchor(chain).sha256 == read_anchor(tmp_path / "a.pem").sha256


def round_trip(store: TrustStore, anchor: Anchor) -> Stores:
    """Absent, installed, once more, shown; the caller uninstalls."""
    stores = Stores(HERE, (store,))
    assert not stores.look(anchor)[0].found.trusted
    plans = stores.plan("install", anchor)
    stores.do("install", anchor, plans)
    assert plans[0].error is None, plans[0].error
    assert (plans[0].done, plans[0].found.trusted, plans[0].found.ours) == (True, True, True)
    again = stores.plan("install", anchor)[0]
    assert (again.steps, again.note) == ([], "trusted already")
    return stores


def uninstalled(stores: Stores, anchor: Anchor) -> None:
    plans = stores.plan("uninstall", anchor)
    stores.do("uninstall", anchor, plans)
    assert plans[0].error is None, plans[0].error
    assert (plans[0].done, plans[0].found.trusted) == (True, False)
    assert stores.plan("uninstall", anchor)[0].note == "it is not there"


@pytest.mark.skipif(shutil.which("update-ca-certificates") is None, reason="needs Debian's ca-certificates")
def test_debian_for_real(tmp_path: Path, anchor: Anchor, other: Anchor) -> None:
    """A private tree: our root comes and goes, a root that was there, named alike, stays."""
    tree = tmp_path / "tree"
    local = tree / "usr/local/share/ca-certificates"
    for folder in (local, tree / "etc/ssl/certs"):
        folder.mkdir(parents=True)
    (tree / "etc/ca-certificates.conf").write_text("")
    (local / "theirs.crt").write_bytes(other.pem)
    store = Debian(tree)
    stores = round_trip(store, anchor)
    bundle = tree / "etc/ssl/certs/ca-certificates.crt"
    assert other.is_in(bundle.read_bytes())
    judged = ["openssl", "verify", "-no-CApath", "-CAfile", str(bundle), str(anchor.path)]
    assert subprocess.run(judged, capture_output=True, check=False).returncode == 0
    uninstalled(stores, anchor)
    assert other.is_in(bundle.read_bytes())
    assert sorted(path.name for path in local.iterdir()) == ["theirs.crt"]
    assert not any(anchor.label in path.name for path in bundle.parent.iterdir())
    # One that somebody else put in is trusted, and not ours to remove.
    left = Stores(HERE, (store,)).plan("uninstall", other)[0]
    assert (left.steps, left.note) == ([], "left: it is there under another name, so somebody else put it in")


@pytest.mark.skipif(shutil.which("certutil") is None, reason="needs libnss3-tools")
def test_nss_for_real(tmp_path: Path) -> None:
    """A Firefox profile with three roots of one name: the middle one is removed, and no other."""
    profile = tmp_path / "home" / ".mozilla" / "firefox" / "x1.default"
    profile.mkdir(parents=True)
    subprocess.run(["certutil", "-N", "-d", f"sql:{profile}", "--empty-password"], check=True)
    (store,) = nss_stores(Machine("linux", user_home=tmp_path / "home"))
    assert (store.name, store.where) == ("Firefox profile x1.default", str(profile))
    first, middle, last = (read_anchor(write_root(tmp_path / f"{number}.pem")) for number in range(3))
    for one in (first, middle, last):
        stores = round_trip(store, one)
    uninstalled(stores, middle)
    assert [stores.look(one)[0].found.trusted for one in (first, middle, last)] == [True, False, True]


@pytest.mark.skipif(shutil.which("certutil") is None, reason="needs libnss3-tools")
def test_nss_where_it_is_there_but_not_trusted_or_not_ours(tmp_path: Path, anchor: Anchor) -> None:
    database = tmp_path / "nssdb"
    database.mkdir()
    subprocess.run(["certutil", "-N", "-d", f"sql:{database}", "--empty-password"], check=True)
    add = ["certutil", "-A", "-d", f"sql:{database}", "-a", "-i", str(anchor.path)]
    subprocess.run([*add, "-n", anchor.label, "-t", ",,"], check=True)
    store = NssStore(database)
    assert not store.find(anchor, ask_machine).trusted
    for step in store.install(anchor):
        take(step)
    assert store.find(anchor, ask_machine).trusted
    for step in store.uninstall(anchor):
        take(step)
    subprocess.run([*add, "-n", "put in by hand", "-t", "C,,"], check=True)
    found = store.find(anchor, ask_machine)
    assert (found.trusted, found.ours) == (True, False)


@pytest.mark.skipif(shutil.which("keytool") is None, reason="needs a Java runtime")
def test_java_for_real(tmp_path: Path, anchor: Anchor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime's cacerts with a password of its own, which is never an argument."""
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -Xshare:auto")
    cacerts = tmp_path / "jdk" / "lib" / "security" / "cacerts"
    cacerts.parent.mkdir(parents=True)
    keep = read_anchor(write_root(tmp_path / "keep.pem"))
    for step in JavaStore(cacerts, "their own").install(keep):
        take(step)
    environment = {"JAVA_HOME": str(tmp_path / "jdk"), "LEAFWARD_JAVA_PASSWORD": "their own"}
    machine = Machine("linux", environment=environment, which=lambda _name: None, tree=tmp_path)
    (store,) = java_stores(machine)
    plan = Stores(HERE, (store,)).plan("install", anchor)
    assert "their own" not in repr(plan) + "".join(map(str, plan[0].steps))
    Stores(HERE, (store,)).do("install", anchor, plan)
    assert (plan[0].done, plan[0].found.trusted) == (True, True), plan[0].error
    plan = Stores(HERE, (store,)).plan("uninstall", anchor)
    Stores(HERE, (store,)).do("uninstall", anchor, plan)
    assert (plan[0].done, plan[0].found.trusted) == (True, False), plan[0].error
    assert keep.is_in(ask_machine(store._run("-list", "-rfc")).out)


def test_java_with_another_password(tmp_path: Path, anchor: Anchor) -> None:
    wrong = Answer(1, b"keytool error: java.io.IOException: keystore password was incorrect\n", "")
    with pytest.raises(StoreError, match="password was incorrect") as caught:
        JavaStore(tmp_path / "cacerts").find(anchor, lambda _run: wrong)
    assert "LEAFWARD_JAVA_PASSWORD" in str(caught.value.hint)


def test_where_browsers_and_runtimes_are_looked_for(tmp_path: Path) -> None:
    for place in (".pki/nssdb", "snap/firefox/common/.mozilla/firefox/ab.default", ".mozilla/firefox/cd.esr"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "cert9.db").touch()
    machine = Machine("linux", user_home=tmp_path, which=lambda _name: None, tree=tmp_path)
    assert {store.name for store in nss_stores(machine)} == {
        "Chromium's certificates", "Firefox profile ab.default", "Firefox profile cd.esr",
    }  # fmt: skip
    assert java_stores(machine) == []
    (tmp_path / "etc/ssl/certs/java").mkdir(parents=True)
    (tmp_path / "etc/ssl/certs/java/cacerts").touch()
    runtime = tmp_path / "jvm"
    (runtime / "lib/security").mkdir(parents=True)
    (runtime / "lib/security/cacerts").symlink_to(tmp_path / "etc/ssl/certs/java/cacerts")
    (runtime / "bin").mkdir()
    called = Machine("linux", which=lambda _name: str(runtime / "bin/java"), tree=tmp_path)
    assert len(java_stores(called)) == 1
    own = tmp_path / "own/lib/security/cacerts"
    own.parent.mkdir(parents=True)
    own.touch()
    environment = {"JAVA_HOME": str(tmp_path / "own")}
    meant = Machine("linux", environment=environment, which=lambda _name: str(runtime / "bin/java"), tree=tmp_path)
    assert [store.where for store in java_stores(meant)] == [str(own)]


def test_a_tool_that_is_missing_or_fails(anchor: Anchor, tmp_path: Path) -> None:
    bare = Stores(Machine("linux", which=lambda _name: None), (NssStore(tmp_path),))
    (work,) = bare.plan("install", anchor)
    assert "there is no certutil" in str(work.error)
    failing = Stores(HERE, (MacOs(),), lambda run: Answer(0 if "find" in run.argv[1] else 1, b"", "not allowed\n"))
    failing = Stores(Machine("darwin", which=lambda name: name), failing.stores, failing.ask)
    plans = failing.plan("install", anchor)
    failing.do("install", anchor, plans)
    assert str(plans[0].error) == "security failed: not allowed"


def test_a_tool_that_says_well_and_does_nothing(anchor: Anchor) -> None:
    """The store is looked at again: a root that is not trusted was not installed."""
    stores = Stores(
        Machine("win32", which=lambda name: name),
        (Windows(),),
        lambda run: Answer(1 if run.argv[1] == "-store" else 0, b"", ""),
    )
    plans = stores.plan("install", anchor)
    stores.do("install", anchor, plans)
    assert "does not trust it yet" in str(plans[0].error)


def test_what_macos_and_windows_answer(anchor: Anchor) -> None:
    asked: list[Run] = []

    def ask(run: Run) -> Answer:
        asked.append(run)
        return Answer(0, anchor.pem, "")

    for store in (MacOs(), Windows()):
        assert store.find(anchor, ask) == store.find(anchor, ask)
        assert store.find(anchor, ask).trusted
    assert not MacOs().find(anchor, lambda _run: Answer(0, b"", "")).trusted
    # In the keychain, and its owner has not said that it is a root to trust.
    untrusted = MacOs().find(anchor, lambda run: Answer(1 if "verify-cert" in run.argv else 0, anchor.pem, ""))
    assert (untrusted.trusted, untrusted.ours) == (False, True)


def test_files_hold_the_root_alone(anchor: Anchor) -> None:
    for store in (Debian(), Fedora()):
        write = store.install(anchor)[0]
        assert isinstance(write, Write)
        assert write.data == anchor.pem
    assert Arch().where.startswith("/etc/ca-certificates")


def test_who_may_not_is_told_to_be_root(anchor: Anchor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").write_text("a file where a folder belongs")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(StoreError) as caught:
        take(Write(tmp_path / "etc" / "root.crt", anchor.pem))
    assert caught.value.hint == "the system's store is changed by root alone: sudo, with --root FILE"
