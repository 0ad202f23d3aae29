"""NSS databases: what Firefox (one a profile) and Chromium trust, whatever the system trusts.

Several certificates of one name share what NSS shows under a nickname, so the label has the fingerprint in it, and a
certificate counts as found only where its bytes are shown.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from leafward.cli.trust.anchor import Anchor
from leafward.cli.trust.machine import Machine
from leafward.cli.trust.steps import Ask, Run, Step
from leafward.cli.trust.store import Found, TrustStore

DATABASE = "cert9.db"
# Trusted to issue server certificates, and for nothing else: neither mail nor code.
TRUST = "C,,"
_LINE = re.compile(r"^(?P<nickname>\S.*?)\s+(?P<ssl>[pPcCTuwg]*),[pPcCTuwg]*,[pPcCTuwg]*\s*$")

# Folders of profiles, below the user's home.
_PROFILES = (
    ".mozilla/firefox",
    ".config/mozilla/firefox",
    "snap/firefox/common/.mozilla/firefox",
    ".var/app/org.mozilla.firefox/.mozilla/firefox",
    "Library/Application Support/Firefox/Profiles",
    "AppData/Roaming/Mozilla/Firefox/Profiles",
)
# Chromium and what is made of it; it moves to the second place.
_CHROMIUM = (".pki/nssdb", ".local/share/pki/nssdb", "snap/chromium/current/.pki/nssdb")


class NssStore(TrustStore):
    """One database."""

    kind = "nss"
    program = "certutil"
    package = "libnss3-tools"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        return "Chromium's certificates" if self._folder.name == "nssdb" else f"Firefox profile {self._folder.name}"

    @property
    def where(self) -> str:
        return str(self._folder)

    def find(self, anchor: Anchor, ask: Ask) -> Found:
        nicknames = dict(_nicknames(ask(self._run("-L")).out.decode(errors="replace")))
        if anchor.label in nicknames and anchor.is_in(self._shown(anchor.label, ask)):
            return Found(trusted="C" in nicknames[anchor.label], ours=True)
        others = [name for name, ssl in nicknames.items() if "C" in ssl and not name.startswith("leafward-")]
        return Found(trusted=any(anchor.is_in(self._shown(name, ask)) for name in others), ours=False)

    def install(self, anchor: Anchor) -> list[Step]:
        # Again with another trust is no error: it is set then.
        return [self._run("-A", "-n", anchor.label, "-t", TRUST, "-a", given=anchor.pem)]

    def uninstall(self, anchor: Anchor) -> list[Step]:
        return [self._run("-D", "-n", anchor.label)]

    def _shown(self, nickname: str, ask: Ask) -> bytes:
        return ask(self._run("-L", "-n", nickname, "-a")).out

    def _run(self, what: str, *options: str, given: bytes = b"") -> Run:
        return Run(("certutil", what, "-d", f"sql:{self._folder}", *options), given)


def nss_stores(machine: Machine) -> list[TrustStore]:
    """The databases of this user's browsers."""
    return [NssStore(folder) for folder in _folders(machine.user_home)]


def _folders(user_home: Path) -> Iterator[Path]:
    for place in _PROFILES:
        yield from sorted(file.parent for file in (user_home / place).glob(f"*/{DATABASE}"))
    seen: set[Path] = set()
    for place in _CHROMIUM:
        folder = user_home / place
        if (folder / DATABASE).is_file() and folder.resolve() not in seen:
            seen.add(folder.resolve())
            yield folder


def _nicknames(listed: str) -> Iterator[tuple[str, str]]:
    for line in listed.splitlines():
        if match := _LINE.match(line):
            yield match["nickname"], match["ssl"]
