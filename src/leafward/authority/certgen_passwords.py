"""The passwords of certgen's files. The scripts have theirs in the text; here each can be set, and none by an argument.

a file named by an option, mode 0600 -> the environment -> a question at the terminal, if wanted -> the script's own
"""

import hmac
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from leafward.authority.certgen_dialect import KNOWN_PASSWORD
from leafward.errors import KeyUnavailable, UsageError
from leafward.keys.private_file import read_private

Which = Literal["root", "intermediate", "pfx"]

# `ROOT_CA_PASSWORD` is the script's; the others are named after it.
VARIABLES: Mapping[Which, str] = MappingProxyType(
    {"root": "ROOT_CA_PASSWORD", "intermediate": "INTERMEDIATE_CA_PASSWORD", "pfx": "PFX_PASSWORD"}
)
_WORDS: Mapping[Which, str] = MappingProxyType(
    {"root": "the root's key", "intermediate": "the intermediate's key", "pfx": "the PFX file"}
)


@dataclass(frozen=True, slots=True)
class Passwords:
    """Where the passwords come from. `files` are named by options; `ask` puts a question; None: nobody is asked.

    `given` came with the command itself, for the root's key: a script that is called as it always was.
    """

    files: Mapping[Which, Path] = field(default_factory=dict)
    ask: Callable[[str], str] | None = field(default=None, repr=False)
    given: str | None = field(default=None, repr=False)
    _answers: dict[Which, str] = field(default_factory=dict, repr=False)

    def for_new(self, which: Which, default: str | None = KNOWN_PASSWORD) -> str:
        """The password of what is about to be made: a person is asked twice. Raises as `of`, `UsageError`."""
        known = which in self._answers
        text = self.of(which, default)
        if self.ask is not None and which in self._answers and not known:
            again = self.ask(f"the same again, for {_WORDS[which]}: ")
            if not hmac.compare_digest(text.encode(), again.encode()):
                raise UsageError("the two passwords differ", hint="try again; nothing was made")
        return text

    def of(self, which: Which, default: str | None = KNOWN_PASSWORD) -> str:
        """A password; `default` None: one has to be given. Raises `KeyUnavailable` where it is not."""
        if which in self.files:
            return _from_file(self.files[which])
        if which == "root" and self.given is not None:
            return self.given
        if (text := os.environ.get(VARIABLES[which])) is not None:
            return text
        if self.ask is not None:
            if which not in self._answers:
                self._answers[which] = self.ask(f"password of {_WORDS[which]}: ")
            return self._answers[which]
        if default is None:
            what = f"no password for {_WORDS[which]}"
            raise KeyUnavailable(what, hint=f"set {VARIABLES[which]}, or name a file with --{which}-password-file")
        return default


def _from_file(path: Path) -> str:
    data = read_private(path, "the password file")
    try:
        text = data.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        text = "\n"
    if "\n" in text:
        raise KeyUnavailable(f"{path} holds no password", why="expected one line of UTF-8 text") from None
    return text
