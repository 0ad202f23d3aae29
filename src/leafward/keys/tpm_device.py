"""The TPM 2.0 as this process uses it: one connection, one lock, and the keys that are loaded in it now.

A TPM has room for three loaded objects or so. Keys stay loaded while there is room, because loading one takes longer
than a signature; when the room is used up the one that was longest unused makes way. A resource manager
(/dev/tpmrm0, tpm2-abrmd) gives each program its own room; without one, what a killed program left loaded stays so
until the TPM is started again.
"""

import atexit
import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from tpm2_pytss import ESAPI, TSS2_Exception
from tpm2_pytss.constants import ESYS_TR, TPM2_SU
from tpm2_pytss.tsskey import TSSPrivKey

from leafward.errors import KeyUnavailable

TCTI_VARIABLE = "LEAFWARD_TCTI"
Result = TypeVar("Result")

_OUT_OF_MEMORY = 0x902  # TPM_RC_OBJECT_MEMORY (TPM 2.0 part 2, 6.6.3)
_LAYER_MASK = 0xFFF
# What a TPM says of a key file that it did not write: TPM_RC_INTEGRITY, also after it was cleared.
_INTEGRITY = 0x9F


class TpmDevice:
    """One connection, made when first needed and anew when it is lost."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._connection: ESAPI | None = None
        self._tcti: str | None = None
        self._loaded: OrderedDict[bytes, ESYS_TR] = OrderedDict()

    def run(self, what: str, action: Callable[[ESAPI], Result], *, again: bool = True) -> Result:
        """What `action` makes of the connection; once more over a new one where the first attempt fails.

        Raises `KeyUnavailable` naming `what` for whatever the TPM, or the way to it, refuses.
        """
        with self._lock:
            try:
                return action(self._connected())
            except TSS2_Exception as error:
                if not again:
                    raise _refused(what, error) from None
            # The TPM was away or started anew: nothing that was loaded is known to be there.
            self.close()
            try:
                return action(self._connected())
            except TSS2_Exception as error:
                raise _refused(what, error) from None

    def handle(self, connection: ESAPI, name: bytes, key: TSSPrivKey) -> ESYS_TR:
        """Where `key` is loaded; `name` tells keys apart. To be called inside `run`."""
        if name in self._loaded:
            self._loaded.move_to_end(name)
            return self._loaded[name]
        while True:
            try:
                self._loaded[name] = key.load(connection)
            except TSS2_Exception as error:
                if int(error.rc) & _LAYER_MASK != _OUT_OF_MEMORY or not self._loaded:
                    raise
                self._make_room(connection)
            else:
                return self._loaded[name]

    def make_room(self, connection: ESAPI) -> None:
        """Unloads everything of ours, as before a key is made. To be called inside `run`."""
        while self._loaded:
            self._make_room(connection)

    def close(self) -> None:
        """Ends the connection, and unloads what was loaded; what the TPM thinks of that changes nothing."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(TSS2_Exception):
                    self.make_room(connection)
                connection.close()
            self._loaded.clear()

    def inherited(self) -> None:
        """Says that this is a forked child: connection and loaded keys are the parent's, and are left alone."""
        self._lock = threading.RLock()
        self._connection = None
        self._loaded = OrderedDict()

    def _make_room(self, connection: ESAPI) -> None:
        _, oldest = self._loaded.popitem(last=False)
        connection.flush_context(oldest)

    def _connected(self) -> ESAPI:
        wanted = os.environ.get(TCTI_VARIABLE) or None
        if self._connection is not None and wanted != self._tcti:
            self.close()
        if self._connection is None:
            # Else the TSS writes to standard error what it thinks of an answer, before we can say it in our words.
            os.environ.setdefault("TSS2_LOG", "all+NONE")
            try:
                self._connection = ESAPI(wanted)
            except RuntimeError as error:  # the TSS's own error is one too
                raise _no_way(wanted, error) from None
            self._tcti = wanted
            # The firmware has started a real TPM, and this is refused; a simulated one may wait for it.
            with contextlib.suppress(TSS2_Exception):
                self._connection.startup(TPM2_SU.CLEAR)
        return self._connection


def _no_way(tcti: str | None, error: RuntimeError) -> KeyUnavailable:
    where = f"{TCTI_VARIABLE}={tcti}" if tcti else "the default: /dev/tpmrm0, then others"
    hint = f"check that the machine has a TPM 2.0 and that this user is in the group tss, or set {TCTI_VARIABLE}"
    return KeyUnavailable("no TPM answers", why=f"{error} ({where})", hint=hint)


def _refused(what: str, error: TSS2_Exception) -> KeyUnavailable:
    code = int(error.rc)
    if code & _LAYER_MASK == _OUT_OF_MEMORY:
        hint = "go through the resource manager, LEAFWARD_TCTI=device:/dev/tpmrm0, or start the TPM again"
        return KeyUnavailable(f"the TPM has no room for {what}", why="others have loaded too much", hint=hint)
    if int(error.error) == _INTEGRITY:
        hint = "use the machine whose TPM made it; a key cannot be moved, and clearing the TPM ends it"
        return KeyUnavailable(f"the TPM does not know {what}", why="another TPM made it, or it was cleared", hint=hint)
    return KeyUnavailable(f"the TPM refuses {what}", why=str(error), hint="see what else uses the TPM, then try again")


DEVICE = TpmDevice()
atexit.register(DEVICE.close)
os.register_at_fork(after_in_child=DEVICE.inherited)
