"""Java's cacerts: what programs on a Java runtime trust, unless they bring a store of their own.

The password protects nothing (the certificates in it are public, and the default is the same everywhere), but keytool
wants it. It goes by the environment all the same: an administrator may have chosen one that is used elsewhere.
"""

from collections.abc import Iterator
from pathlib import Path

from leafward.cli.trust.anchor import Anchor
from leafward.cli.trust.machine import Machine
from leafward.cli.trust.steps import Ask, Run, Step
from leafward.cli.trust.store import Found, TrustStore
from leafward.errors import StoreError

DEFAULT_PASSWORD = "changeit"  # noqa: S105 - what every Java runtime comes with
PASSWORD_VARIABLE = "LEAFWARD_JAVA_PASSWORD"  # noqa: S105 - where it is, not what
_PLACES = ("lib/security/cacerts", "jre/lib/security/cacerts")
_ALIAS = b"Alias name: "


class JavaStore(TrustStore):
    """One cacerts file."""

    kind = "java"
    program = "keytool"
    package = "default-jre-headless"

    def __init__(self, file: Path, password: str = DEFAULT_PASSWORD, keytool: str = "keytool") -> None:
        self._file = file
        self._password = password
        self._keytool = keytool

    @property
    def name(self) -> str:
        return "Java's cacerts"

    @property
    def where(self) -> str:
        return str(self._file)

    def find(self, anchor: Anchor, ask: Ask) -> Found:
        answer = ask(self._run("-list", "-rfc"))
        if answer.code != 0:
            said = answer.out.decode(errors="replace").strip().splitlines()
            hint = f"is it another password than {DEFAULT_PASSWORD}? Then {PASSWORD_VARIABLE} has to hold it"
            raise StoreError(f"{self._file} cannot be read", why=said[-1] if said else None, hint=hint)
        entries = answer.out.split(_ALIAS)[1:]
        ours = any(entry.split(None, 1)[0].decode() == anchor.label for entry in entries)
        return Found(trusted=anchor.is_in(answer.out), ours=ours)

    def install(self, anchor: Anchor) -> list[Step]:
        return [self._run("-importcert", "-noprompt", "-trustcacerts", "-alias", anchor.label, given=anchor.pem)]

    def uninstall(self, anchor: Anchor) -> list[Step]:
        return [self._run("-delete", "-alias", anchor.label)]

    def _run(self, what: str, *options: str, given: bytes = b"") -> Run:
        argv = (self._keytool, what, "-keystore", str(self._file), "-storepass:env", PASSWORD_VARIABLE, *options)
        return Run(argv, given, {PASSWORD_VARIABLE: self._password})


def java_stores(machine: Machine) -> list[TrustStore]:
    """The cacerts of JAVA_HOME, else of the `java` that is called by its name, else Debian's for all runtimes."""
    password = machine.environment.get(PASSWORD_VARIABLE) or DEFAULT_PASSWORD
    keytool = _keytool(machine)
    return [JavaStore(file, password, keytool) for file in _files(machine)]


def _keytool(machine: Machine) -> str:
    home = machine.environment.get("JAVA_HOME")
    own = Path(home) / "bin" / "keytool" if home else None
    return str(own) if own is not None and own.is_file() else "keytool"


def _files(machine: Machine) -> Iterator[Path]:
    """Of the first place that has one: who sets JAVA_HOME means that runtime and no other."""
    for candidates in _candidates(machine):
        seen: set[Path] = set()
        for file in candidates:
            # Debian's runtimes all link to one file.
            if file.is_file() and file.resolve() not in seen:
                seen.add(file.resolve())
                yield file
        if seen:
            return


def _candidates(machine: Machine) -> Iterator[list[Path]]:
    if home := machine.environment.get("JAVA_HOME"):
        yield [Path(home) / place for place in _PLACES]
    if program := machine.which("java"):
        yield [Path(program).resolve().parents[1] / place for place in _PLACES]
    yield [machine.tree / "etc/ssl/certs/java/cacerts"]
