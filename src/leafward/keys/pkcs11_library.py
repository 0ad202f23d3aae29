"""PKCS#11 libraries in this process, and the one lock around every call into any of them.

python-pkcs11 starts a library without telling it of threads: two sessions that sign in two threads deadlock or corrupt
memory (seen with SoftHSM). So whoever calls into a library holds `LOCK`, whichever token it is about.

What the standard leaves to the caller is done here: after a fork the child starts the library anew, and so does a
process whose token was away, because libraries keep what they once saw of a token.

A library that uses the system's OpenSSL, as SoftHSM does, shares it with Python's `ssl`, and with it the list of errors
of each thread. What it leaves there `ssl` takes for an error of its own, so that list is emptied.
"""

import contextlib
import os
import ssl
import threading
from pathlib import Path
from typing import Any

from pkcs11 import _pkcs11
from pkcs11.exceptions import PKCS11Error

from leafward.errors import KeyUnavailable

MODULE_VARIABLE = "LEAFWARD_PKCS11_MODULE"
# Where Debian puts them, in the order in which they are tried; a * is the machine's kind.
KNOWN_PATHS = (
    "usr/lib/*/softhsm/libsofthsm2.so",
    "usr/lib/softhsm/libsofthsm2.so",
    "usr/lib/*/opensc-pkcs11.so",
    "usr/lib/*/libykcs11.so",
    "usr/lib/*/libtpm2_pkcs11.so.1",
)


class _Lock:
    """The lock; replaced in a forked child, where the thread that held it may not exist."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def renew(self) -> None:
        self._lock = threading.RLock()


LOCK = _Lock()


class Library:
    """One library, started when first used. Every method wants `LOCK` held.

    `era` grows with each start: sessions and objects of an earlier era are no longer there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.era = 0
        self._library: Any = None
        self._inherited = False
        # A library object ends the library when it is collected: the parent's is kept as long as this process lives.
        self._parents: list[Any] = []

    def slots(self) -> list[Any]:
        """The slots that hold a token. Starts the library; raises `KeyUnavailable` when that fails."""
        try:
            return list(self._started().get_slots(token_present=True))
        except PKCS11Error as error:
            self.stop()
            raise _does_not_work(self.path, error) from None

    def stop(self) -> None:
        """Ends the library's life here, so that the next use starts it anew and looks at the tokens afresh."""
        self.era += 1
        if self._library is not None and not self._inherited:
            with contextlib.suppress(PKCS11Error):  # it is being given up; what it thinks of that changes nothing
                self._library.finalize()
        forget_openssl_errors()

    def inherited(self) -> None:
        """Says that this is a forked child: the library's state here is the parent's, and no session is ours."""
        self.era += 1
        self._inherited = self._library is not None

    def _started(self) -> Any:
        if self._inherited:
            self._start_in_child()
        if self._library is None:
            self._library = _pkcs11.lib(str(self.path))
        elif not self._library.initialized:
            self._library.initialize()
        forget_openssl_errors()
        return self._library

    def _start_in_child(self) -> None:
        """PKCS#11 2.40, section 6.6.1: a child calls C_Initialize first of all, and only then anything else."""
        self._inherited = False
        try:
            fresh = _pkcs11.lib(str(self.path))
        except PKCS11Error:
            # SoftHSM takes the child for its parent and says it is started already: that one can be ended here.
            with contextlib.suppress(PKCS11Error):
                self._library.finalize()
        else:
            self._parents.append(self._library)
            self._library = fresh


_libraries: dict[Path, Library] = {}


def library(path: Path | None) -> Library:
    """The library at `path`, else the one that LEAFWARD_PKCS11_MODULE names, else a known one that is installed.

    Raises `KeyUnavailable` when there is none.
    """
    chosen = path or _from_environment() or _installed()
    with LOCK:
        return _libraries.setdefault(chosen, Library(chosen))


def stop_all() -> None:
    """Ends every library here, as when the tokens or their configuration have changed; the next use starts it anew."""
    with LOCK:
        for one in _libraries.values():
            one.stop()


def _from_environment() -> Path | None:
    text = os.environ.get(MODULE_VARIABLE)
    if text and not text.startswith("/"):
        raise KeyUnavailable(f"{MODULE_VARIABLE} names no library", why=f"got {text!r}, expected an absolute path")
    return Path(text) if text else None


def _installed(root: Path = Path("/")) -> Path:
    for pattern in KNOWN_PATHS:
        for path in sorted(root.glob(pattern)):
            return path
    raise KeyUnavailable(
        "no PKCS#11 library",
        why="none of the known ones is installed",
        hint=f"add ?module-path=/the/library.so to the reference, or set {MODULE_VARIABLE}",
    )


def forget_openssl_errors() -> None:
    """Empties this thread's list of OpenSSL errors: `ssl` does so when it is asked for a cipher that does not exist."""
    with contextlib.suppress(ssl.SSLError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ciphers("NO-SUCH-CIPHER")


def _does_not_work(path: Path, error: PKCS11Error) -> KeyUnavailable:
    hint = "check the library's path and its configuration, and that the token is plugged in"
    return KeyUnavailable(f"the PKCS#11 library {path} does not work", why=said(error), hint=hint)


def said(error: PKCS11Error) -> str:
    """What a library answered, for messages: the kind of the error, and no data of the call."""
    return str(error) if type(error) is PKCS11Error else type(error).__name__


def _after_fork() -> None:
    LOCK.renew()
    for one in _libraries.values():
        one.inherited()


os.register_at_fork(after_in_child=_after_fork)
