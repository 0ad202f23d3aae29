"""`leafward manager install`: the files, what systemd's own tools say of them, and what is left alone."""

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from leafward.cli import units, units_files
from leafward.cli.commands.manager.install import command
from leafward.cli.units_files import is_as_written, marked
from leafward.errors import AlreadyExists, UsageError

EXECUTABLE = Path("/usr/bin/env")  # systemd-analyze asks that it is there
# systemd 252 on Debian 12; 10 is a service without any of it, and what is given to a network service is 2 and more.
MOST_EXPOSED = {"manager": 1.7, "hub": 1.7, "provisioning": 0.6}

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def install(prefix: Path, *options: str) -> Result:
    return CliRunner().invoke(command, ["--prefix", str(prefix), "--executable", str(EXECUTABLE), *options])


def files(prefix: Path) -> dict[str, bytes]:
    return {str(path.relative_to(prefix)): path.read_bytes() for path in prefix.rglob("*") if path.is_file()}


def settings_of(prefix: Path, part: str) -> dict[str, list[str]]:
    """A unit's settings of [Service], each with its values in order."""
    found: dict[str, list[str]] = {}
    for line in (prefix / units.UNIT_FOLDER / f"leafward-{part}.service").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            found.setdefault(line.partition("=")[0], []).append(line.partition("=")[2])
    return found


def test_what_is_written_and_what_to_do_next(tmp_path: Path) -> None:
    done = install(tmp_path, "--json")
    assert done.exit_code == 0
    facts = json.loads(done.stdout)
    assert [one["action"] for one in facts["files"]] == ["written"] * 5
    assert "systemd-tmpfiles" in facts["next"][0]
    assert sorted(files(tmp_path)) == [
        "etc/systemd/system/leafward-hub.service",
        "etc/systemd/system/leafward-manager.service",
        "etc/systemd/system/leafward-provisioning.service",
        "etc/sysusers.d/leafward.conf",
        "etc/tmpfiles.d/leafward.conf",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*.service")} == {0o644}


def test_again_changes_nothing(tmp_path: Path) -> None:
    install(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.conf")}
    again = install(tmp_path)
    assert again.output.count("unchanged") == 5
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    shown = install(tmp_path, "--dry-run")
    assert shown.output.count("would be written") == 5
    assert files(tmp_path) == {}


def test_our_own_older_file_is_brought_up_to_date(tmp_path: Path) -> None:
    install(tmp_path)
    assert "updated" in install(tmp_path, "--mqtt-port", "8884").output
    assert "--mqtt-port 8884" in settings_of(tmp_path, "hub")["ExecStart"][0]


def test_a_changed_file_is_left_alone_and_so_are_all_others(tmp_path: Path) -> None:
    install(tmp_path)
    changed = tmp_path / units.UNIT_FOLDER / "leafward-hub.service"
    changed.write_text(changed.read_text().replace("WatchdogSec=30", "WatchdogSec=60"))
    before = files(tmp_path)
    for options in (["--mqtt-port", "8884"], ["--uninstall", "--yes"]):
        refused = install(tmp_path, *options)
        assert isinstance(refused.exception, AlreadyExists)
        assert str(changed) in str(refused.exception)
        assert files(tmp_path) == before
    assert "replaced" in install(tmp_path, "--force", "--yes").output
    assert is_as_written(changed.read_bytes())


def test_somebody_elses_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / units.ACCOUNTS_FILE
    path.parent.mkdir(parents=True)
    path.write_text("u leafward 900\n")
    assert isinstance(install(tmp_path).exception, AlreadyExists)
    assert list(files(tmp_path)) == [str(units.ACCOUNTS_FILE)]


def test_uninstall_takes_all_of_it_and_asks_first(tmp_path: Path) -> None:
    install(tmp_path, "--tpm")
    before = files(tmp_path)
    assert len(before) == 6
    assert CliRunner().invoke(command, ["--prefix", str(tmp_path), "--uninstall"], input="n\n").exit_code == 1
    assert files(tmp_path) == before
    assert "would be removed" in install(tmp_path, "--uninstall", "--dry-run").output
    assert install(tmp_path, "--uninstall", "--yes").output.count("removed") == 6
    assert files(tmp_path) == {}
    assert not (tmp_path / units.HARDWARE_FILE).parent.exists()
    assert install(tmp_path, "--uninstall", "--yes").output.count("absent") == 6


@pytest.mark.parametrize(
    "options",
    [
        ["--user", "leafward", "--hub-user", "leafward"],
        ["--user", "Root User"],
        ["--home", "/var/lib/leaf ward"],
        ["--home", "var/lib"],
        ["--home", "/home/pi/leafward"],
        ["--home", "/" + "x" * 100],
        ["--executable", "/root/.local/bin/leafward"],
        ["--https-port", "8883"],
        ["--mqtt-port", "0"],
        ["--device", "/dev/x y"],
    ],
)
def test_what_no_unit_could_run_is_wrong_use(tmp_path: Path, options: list[str]) -> None:
    assert isinstance(install(tmp_path, *options).exception, UsageError)
    assert files(tmp_path) == {}


def test_only_a_low_port_needs_a_capability(tmp_path: Path) -> None:
    install(tmp_path)
    assert settings_of(tmp_path, "hub")["CapabilityBoundingSet"] == ["CAP_NET_BIND_SERVICE"]
    for part in ("manager", "provisioning"):
        assert settings_of(tmp_path, part)["CapabilityBoundingSet"] == [""]
    install(tmp_path, "--https-port", "8443")
    assert settings_of(tmp_path, "hub")["CapabilityBoundingSet"] == [""]
    assert "AmbientCapabilities" not in settings_of(tmp_path, "hub")


def test_each_part_is_shown_no_more_than_it_works_with(tmp_path: Path) -> None:
    install(tmp_path)
    shared = {
        "Type": ["notify"], "Group": ["leafward"], "NoNewPrivileges": ["yes"], "ProtectSystem": ["strict"],
        "PrivateTmp": ["yes"], "PrivateDevices": ["yes"], "Restart": ["on-failure"], "WatchdogSec": ["30"],
    }  # fmt: skip
    for part in units.PARTS:
        found = settings_of(tmp_path, part)
        assert {name: found[name] for name in shared} == shared
        assert found["User"] == ["leafward" if part == "manager" else "leafward-hub"]
    hidden = settings_of(tmp_path, "hub")["InaccessiblePaths"]
    assert "-/var/lib/leafward/manager" in hidden
    assert settings_of(tmp_path, "provisioning")["RestrictAddressFamilies"] == ["AF_UNIX"]


def test_hardware_is_a_drop_in_of_its_own(tmp_path: Path) -> None:
    """The manager's unit stays as it is; only what the keys need is opened."""
    install(tmp_path, "--tpm", "--device", "/dev/hsm0")
    text = (tmp_path / units.HARDWARE_FILE).read_text()
    assert "PrivateDevices=no\nDevicePolicy=closed\nDeviceAllow=/dev/tpmrm0 rw\nDeviceAllow=/dev/hsm0 rw\n" in text
    assert "SupplementaryGroups=tss" in text
    assert settings_of(tmp_path, "manager")["PrivateDevices"] == ["yes"]


def test_a_digest_says_whether_a_file_was_changed() -> None:
    data = marked("[Unit]\n")
    assert is_as_written(data)
    for other in (b"", b"[Unit]\n", data + b"\n", data.replace(b"Unit", b"unit")):
        assert not is_as_written(other)


def test_files_go_where_they_are_meant_to(tmp_path: Path) -> None:
    steps = units_files.install(tmp_path, {Path("a/b"): "text\n"}, force=False, dry_run=False)
    assert [(one.path, one.action) for one in steps] == [(tmp_path / "a" / "b", "written")]


@needs_systemd
@pytest.mark.parametrize("options", [[], ["--https-port", "8443", "--tpm"]])
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, options: list[str]) -> None:
    """`systemd-analyze verify`, all three together: it reads their ordering as well."""
    install(tmp_path, *options)
    paths = sorted(str(path) for path in tmp_path.rglob("*.service"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, check=False, timeout=60
    )
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "leafward" in line]
    assert (done.returncode, ours) == (0, [])


@needs_systemd
@pytest.mark.parametrize("part", units.PARTS)
def test_how_exposed_a_part_is(tmp_path: Path, part: str) -> None:
    """`systemd-analyze security`: 0 is nothing left to attack, 10 a service without any protection."""
    install(tmp_path)
    path = tmp_path / units.UNIT_FOLDER / f"leafward-{part}.service"
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= MOST_EXPOSED[part]


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to users needs root")
def test_systemd_makes_the_users_and_the_home(tmp_path: Path) -> None:
    """In a tree of its own. The hub's user is in the group of both; it owns hub/ and nothing else."""
    install(tmp_path)
    home = tmp_path / "var/lib/leafward"
    make = ["systemd-tmpfiles", f"--root={tmp_path}", "--create", "leafward.conf"]
    run(["systemd-sysusers", f"--root={tmp_path}"])
    run(make)
    # As at the next boot: what root put there is no obstacle, and what was changed by hand is put right.
    (home / "leafward.toml").touch()
    (home / "manager" / "root-was-here").touch()
    (home / "run").chmod(0o777)
    run(make)
    (home / "leafward.toml").unlink()
    users = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    assert users["leafward"][5:] == ["/var/lib/leafward", "/usr/sbin/nologin"]
    groups = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines()}
    assert groups["leafward"][3] == "leafward-hub"
    assert {path.stat().st_gid for path in (home, *home.iterdir())} == {int(groups["leafward"][2])}
    owned = [path.name for path in home.iterdir() if path.stat().st_uid == int(users["leafward-hub"][2])]
    assert owned == ["hub"]
    assert {path.name: f"{stat.S_IMODE(path.stat().st_mode):o}" for path in (home, *home.iterdir())} == {
        "leafward": "2750", "manager": "700", "devices": "700", "trust": "755", "hub": "700", "run": "3770",
        "registry.db": "660",
    }  # fmt: skip


def run(arguments: list[str]) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_layout_is_the_one_the_manager_expects() -> None:
    """tmpfiles.d and the manager's own `share_home` name the same modes."""
    from leafward.manager.hub_user import SHARED_FILE, SHARED_HOME
    from leafward.store.home import SHARED_FOLDER

    plan = units.Plan(EXECUTABLE, Path("/h"), "m", "u", "::", 8883, 443)
    modes = {line.split()[1]: int(line.split()[2], 8) for line in units.folders(plan).splitlines()}
    assert modes["/h"] == SHARED_HOME
    assert modes["/h/run"] == SHARED_FOLDER
    assert modes["/h/registry.db"] == SHARED_FILE
    assert modes["/h/manager"] == modes["/h/hub"] == 0o700
