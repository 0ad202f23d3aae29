"""Where a passphrase or a PIN comes from: a file, the environment, a person at the terminal. Never the command line.

The arguments of a process are seen by every user of a machine. So no command takes a secret; an option names a file
at most. A service has nobody to ask: a process asks only when whoever runs it has said how (`Passphrases.ask`).

    to open a key     the named file, LEAFWARD_PASSPHRASE, the file that LEAFWARD_PASSPHRASE_FILE names, a person
    for a new key     the file named for new keys, else as above; a person is asked twice
    a token's PIN     the reference's pin-source, what came with the reference (an IoT Edge configuration has it there),
                      LEAFWARD_PIN, a person
"""

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from leafward.errors import KeyUnavailable, UsageError
from leafward.keys.private_file import read_private

PASSPHRASE_VARIABLE = "LEAFWARD_PASSPHRASE"  # noqa: S105 -- where it is, not what
PASSPHRASE_FILE_VARIABLE = "LEAFWARD_PASSPHRASE_FILE"  # noqa: S105
PIN_VARIABLE = "LEAFWARD_PIN"


@dataclass(frozen=True, slots=True)
class Secret:
    """A passphrase or PIN. `source` says where it came from, for messages; `asked`: a person gave it."""

    text: str = field(repr=False)
    source: str
    asked: bool = False

    def equals(self, other: "Secret") -> bool:
        """Whether it is the same secret, from wherever it came; compared in constant time."""
        return hmac.compare_digest(self.text.encode(), other.text.encode())


@dataclass(frozen=True, slots=True)
class Passphrases:
    """One way of getting secrets, as `leafward.keys.key_store` is given it.

    `file` opens keys. `encrypt_new` says that a key that is made with this is encrypted, with the passphrase of
    `new_file` or else as for opening. `ask` is called with a prompt and gives what a person typed; None: nobody is
    asked. An answer is asked for once and kept in memory as long as this object. `pins` has those of tokens that came
    with their references, by the token's name in messages (`Pkcs11Uri.token_label`).
    """

    file: Path | None = None
    new_file: Path | None = None
    encrypt_new: bool = False
    ask: Callable[[str], str] | None = field(default=None, repr=False)
    pins: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    _answers: dict[str, Secret] = field(default_factory=dict, repr=False)

    def to_open(self, label: str) -> Secret:
        """The passphrase of the key that `label` names. Raises `KeyUnavailable` where no source has one."""
        secret = self._given() or self._asked(f"passphrase of {label}: ", label)
        if secret is None:
            raise KeyUnavailable(
                f"the key {label} is encrypted",
                why="no passphrase was given, and there is nobody to ask",
                hint=f"name a file of mode 0600: --passphrase-file FILE, or {PASSPHRASE_FILE_VARIABLE}",
            )
        return secret

    def for_new(self, label: str) -> Secret:
        """The passphrase for a key that is about to be made. Raises as `to_open`, `UsageError` for an empty one."""
        secret = self._from_file(self.new_file) or self._given() or self._asked_twice()
        if secret is None:
            raise KeyUnavailable(
                f"the key {label} cannot be made",
                why="it is to be encrypted, no passphrase was given, and there is nobody to ask",
                hint=f"name a file of mode 0600: --passphrase-file FILE, or {PASSPHRASE_FILE_VARIABLE}",
            )
        return secret

    def pin(self, token: str, source: Path | None) -> Secret:
        """The PIN of the token that `token` names; `source` is the reference's pin-source. Raises `KeyUnavailable`."""
        secret = self._from_file(source, "the PIN file") or self.pins.get(token) or _from_environment(PIN_VARIABLE)
        secret = secret or self._asked(f"PIN of {token}: ", token)
        if secret is None:
            raise KeyUnavailable(
                f"{token} wants a PIN",
                why="no PIN was given, and there is nobody to ask",
                hint=f"add ?pin-source=file:/the/whole/path to the reference, or set {PIN_VARIABLE}",
            )
        return secret

    def refuse_encryption(self, label: str) -> None:
        """For keys that take no passphrase. Raises `UsageError` where new keys are to be encrypted."""
        if self.encrypt_new:
            why = "its device protects it"
            raise UsageError(f"{label} takes no passphrase", why=why, hint="leave out --encrypt")

    def forget(self, label: str) -> None:
        """Drops the kept answer of a person, because it was wrong."""
        self._answers.pop(label, None)

    def _given(self) -> Secret | None:
        named = os.environ.get(PASSPHRASE_FILE_VARIABLE)
        return (
            self._from_file(self.file)
            or _from_environment(PASSPHRASE_VARIABLE)
            or self._from_file(Path(named) if named else None)
        )

    def _from_file(self, path: Path | None, what: str = "the passphrase file") -> Secret | None:
        if path is None:
            return None
        data = read_private(path, what)
        # One line end, as editors add it; every other character belongs to the secret.
        text = _text(data.removesuffix(b"\n").removesuffix(b"\r"), f"{what} {path}")
        if not text:
            raise KeyUnavailable(f"{what} {path} is empty", hint="write the secret into it, in one line")
        return Secret(text, f"the file {path}")

    def _asked(self, prompt: str, label: str) -> Secret | None:
        if self.ask is None:
            return None
        if label not in self._answers:
            self._answers[label] = Secret(self.ask(prompt), "the terminal", asked=True)
        return self._answers[label]

    def _asked_twice(self) -> Secret | None:
        if self.ask is None:
            return None
        first = Secret(self.ask("passphrase for the new key: "), "the terminal", asked=True)
        if not first.text:
            raise UsageError("the passphrase is empty", hint="give one, or leave out --encrypt")
        if not first.equals(Secret(self.ask("the same again: "), "the terminal")):
            raise UsageError("the two passphrases differ", hint="try again; nothing was made")
        return first


def _from_environment(variable: str) -> Secret | None:
    text = os.environ.get(variable)
    return Secret(text, variable) if text else None


def _text(data: bytes, where: str) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or "\n" in text:
        # `from None` and no quotation: what is in that file is a secret.
        raise KeyUnavailable(f"{where} holds no secret", why="expected one line of UTF-8 text") from None
    return text


class _Process:
    """What this process has been told. It starts with files and the environment, and nobody to ask."""

    passphrases = Passphrases()


def use(passphrases: Passphrases) -> None:
    """Makes `passphrases` this process's way; the command line does it once, before a key is opened."""
    _Process.passphrases = passphrases


def add_pins(pins: Mapping[str, Secret]) -> None:
    """Makes PINs known that stood in a settings file, beside what this process has been told already."""
    if pins:
        use(replace(in_use(), pins={**in_use().pins, **pins}))


def in_use() -> Passphrases:
    """This process's way of getting secrets."""
    return _Process.passphrases
