"""A PKCS#11 token and a TPM for tests, both software, each in its own folder. Skips, with the reason, without them."""

import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from leafward.keys.key_reference import KeyReference

PIN, SO_PIN = "a pin: 7531", "87654321"
SOFT_HSM = "/usr/lib/softhsm/libsofthsm2.so"


@dataclass
class SoftHsm:
    """A SoftHSM token with its PIN in a file. `environment` is what another process needs to see it."""

    folder: Path
    label: str

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf"), "LEAFWARD_PKCS11_MODULE": SOFT_HSM}

    @property
    def pin_file(self) -> Path:
        return self.folder / "pin"

    def reference(self, name: str, *, pin: bool = True) -> KeyReference:
        source = f"?pin-source=file:{self.pin_file}" if pin else ""
        return KeyReference("pkcs11", f"token={self.label};object={name}{source}")

    def pull_out(self) -> None:
        (self.folder / "tokens").rename(self.folder / "pulled out")

    def plug_in(self) -> None:
        (self.folder / "pulled out").rename(self.folder / "tokens")


def need(program: str, module: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"the Python module {module} is not installed")


def new_soft_hsm(folder: Path) -> SoftHsm:
    need("softhsm2-util", "pkcs11")
    if not Path(SOFT_HSM).exists():
        pytest.skip(f"{SOFT_HSM} is not installed")
    # A name of its own: this process remembers of each token which PIN it refused, and its serial number.
    token = SoftHsm(folder, f"leafward {secrets.token_hex(4)}")
    (folder / "tokens").mkdir(parents=True)
    configuration = f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"
    Path(token.environment["SOFTHSM2_CONF"]).write_text(configuration)
    token.pin_file.write_text(PIN + "\n")
    token.pin_file.chmod(0o600)
    command = ["softhsm2-util", "--init-token", "--free", "--label", token.label, "--pin", PIN, "--so-pin", SO_PIN]
    environment = {**os.environ, **token.environment}
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=30)
    return token


def soft_hsm_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    """A token that this process sees; the library is started anew before and after, because it reads its file once."""
    token = new_soft_hsm(folder)
    from leafward.keys.pkcs11_library import stop_all

    for name, value in token.environment.items():
        monkeypatch.setenv(name, value)
    stop_all()
    yield token
    stop_all()


class SwTpm:
    """A TPM that is started, stopped and started again on the same state."""

    def __init__(self, folder: Path) -> None:
        need("swtpm", "tpm2_pytss")
        self.folder = folder
        self.tcti = f"swtpm:path={folder / 'tpm'}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        """Listens before the program does, so whoever connects at once is served as soon as it runs."""
        (self.folder / "state").mkdir(exist_ok=True)
        listeners = [_listening(self.folder / name) for name in ("tpm", "tpm.ctrl")]
        server, control = (listener.fileno() for listener in listeners)
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder / 'state'}", "--flags"]
        command += ["not-need-init,startup-clear", "--server", f"type=unixio,fd={server}"]
        command += ["--ctrl", f"type=unixio,fd={control}"]
        self._process = subprocess.Popen(
            command, pass_fds=(server, control), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for listener in listeners:
            listener.close()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None


def _listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(8)
    return listener


def swtpm_here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SwTpm]:
    """A TPM that this process uses."""
    tpm = SwTpm(folder)
    from leafward.keys.tpm_device import DEVICE

    monkeypatch.setenv("LEAFWARD_TCTI", tpm.tcti)
    yield tpm
    DEVICE.close()
    tpm.stop()
