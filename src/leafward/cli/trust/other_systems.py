"""The stores of macOS and Windows, which only their own tools read and write."""

from leafward.cli.trust.anchor import Anchor
from leafward.cli.trust.steps import Ask, Run, Step
from leafward.cli.trust.store import Found, TrustStore

KEYCHAIN = "/Library/Keychains/System.keychain"


class MacOs(TrustStore):
    """The system's keychain: a certificate in it, and beside it the setting that it is a root to trust."""

    kind = "system"
    program = "security"

    @property
    def name(self) -> str:
        return "the system keychain of macOS"

    @property
    def where(self) -> str:
        return KEYCHAIN

    def find(self, anchor: Anchor, ask: Ask) -> Found:
        there = anchor.is_in(ask(Run(("security", "find-certificate", "-a", "-p", KEYCHAIN))).out)
        judged = ask(Run(("security", "verify-cert", "-c", str(anchor.path)))) if there else None
        return Found(trusted=judged is not None and judged.code == 0, ours=there)

    def install(self, anchor: Anchor) -> list[Step]:
        return [Run(("security", "add-trusted-cert", "-d", "-r", "trustRoot", "-k", KEYCHAIN, str(anchor.path)))]

    def uninstall(self, anchor: Anchor) -> list[Step]:
        # -t: the trust setting goes with it.
        return [Run(("security", "delete-certificate", "-Z", anchor.sha256.upper(), "-t", KEYCHAIN))]


class Windows(TrustStore):
    """The machine's store of trusted roots; certutil here is Windows' own, not that of NSS."""

    kind = "system"
    program = "certutil"

    @property
    def name(self) -> str:
        return "the trusted roots of Windows"

    @property
    def where(self) -> str:
        return "LocalMachine\\Root"

    def find(self, anchor: Anchor, ask: Ask) -> Found:
        there = ask(Run(("certutil", "-store", "Root", anchor.sha1))).code == 0
        return Found(there, there)

    def install(self, anchor: Anchor) -> list[Step]:
        return [Run(("certutil", "-addstore", "-f", "Root", str(anchor.path)))]

    def uninstall(self, anchor: Anchor) -> list[Step]:
        return [Run(("certutil", "-delstore", "Root", anchor.sha1))]
