"""One token as this process uses it: found by its URI, logged in to once, found again after it was away.

A PIN that the token has refused is never tried again by this process, however often a key is asked for: three tries
lock most tokens. On its last try a token is left alone, unless a person gives the PIN.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from pkcs11 import exceptions as answers
from pkcs11.constants import TokenFlag
from pkcs11.exceptions import PKCS11Error

from leafward.errors import KeyUnavailable, NotFound
from leafward.keys.passphrase import Passphrases, Secret
from leafward.keys.pkcs11_library import LOCK, Library, forget_openssl_errors, library, said
from leafward.keys.pkcs11_uri import Pkcs11Uri

Result = TypeVar("Result")

# The token, the session or the object is not there any more: it may be there again when the library is started anew.
_LOST = (
    answers.DeviceError,
    answers.DeviceRemoved,
    answers.FunctionFailed,
    answers.GeneralError,
    answers.KeyHandleInvalid,
    answers.ObjectHandleInvalid,
    answers.SessionClosed,
    answers.SessionHandleInvalid,
    answers.SlotIDInvalid,
    answers.TokenNotPresent,
    answers.TokenNotRecognised,
    answers.UserNotLoggedIn,
)
_WRONG_PIN = (answers.PinIncorrect, answers.PinInvalid, answers.PinLenRange, answers.PinLocked)


class Token:
    """A token that `uri` names. Keeps one session, which every thread uses in turn."""

    def __init__(self, shelf: Library, uri: Pkcs11Uri) -> None:
        self._library = shelf
        self._uri = uri
        self._session: Any = None
        self._era = -1
        self._serial: bytes | None = None
        self._tried: Secret | None = None
        self._refused: Secret | None = None

    def run(
        self, action: Callable[[Any], Result], uri: Pkcs11Uri, passphrases: Passphrases, *, again: bool = True
    ) -> Result:
        """What `action` makes of a session that is logged in; `uri` and `passphrases` say where the PIN comes from.

        Where the token was lost on the way, it is looked for once more, and `action` runs again if it may. Raises
        `KeyUnavailable` for whatever the token refuses, without the PIN.
        """
        with LOCK:
            try:
                return action(self._ready(uri, passphrases))
            except PKCS11Error as error:
                self._judge(error, uri, passphrases, once_more=again)
            except NotFound:
                # SoftHSM shows a token that is away as an empty one.
                if not again:
                    raise
                self._library.stop()
            try:
                return action(self._ready(uri, passphrases))
            except PKCS11Error as error:
                self._judge(error, uri, passphrases, once_more=False)
                raise

    def pin(self, uri: Pkcs11Uri, passphrases: Passphrases) -> Secret:
        """The PIN, unless the token has refused it before."""
        secret = passphrases.pin(self._uri.token_label, uri.pin_source)
        if self._refused is not None and self._refused.equals(secret):
            why = f"the token refused the PIN from {secret.source} before, and too many tries lock it"
            raise KeyUnavailable(f"{self._uri.token_label} is not tried", why=why, hint="correct the PIN")
        self._tried = secret
        return secret

    def _ready(self, uri: Pkcs11Uri, passphrases: Passphrases) -> Any:
        if self._session is None or self._era != self._library.era:
            self._session = self._opened(uri, passphrases)
            self._era = self._library.era
        return self._session

    def _opened(self, uri: Pkcs11Uri, passphrases: Passphrases) -> Any:
        token = self._found()
        flags = token.flags
        if flags & TokenFlag.USER_PIN_LOCKED:
            raise self._locked()
        secret = self.pin(uri, passphrases)
        if flags & TokenFlag.USER_PIN_FINAL_TRY and not secret.asked:
            why = f"one wrong PIN locks it, and the one from {secret.source} is not risked"
            hint = "log in to the token by hand once, with the right PIN"
            raise KeyUnavailable(f"{self._uri.token_label} has one try left", why=why, hint=hint)
        writable = not flags & TokenFlag.WRITE_PROTECTED
        try:
            return token.open(rw=writable, user_pin=secret.text)
        except answers.UserAlreadyLoggedIn:
            return token.open(rw=writable)

    def _found(self) -> Any:
        """The one token that fits, and the very one that was there before."""
        tokens = [token for token in map(_token_in, self._library.slots()) if token is not None]
        fitting = [token for token in tokens if _fits(token, self._uri)]
        if len(fitting) != 1:
            self._library.stop()  # a library looks at its tokens when it is started: the next look is to be a fresh one
            seen = ", ".join(repr(token.label) for token in tokens) or "none"
            what = "is not there" if not fitting else "is not the only one"
            why = f"{self._library.path} shows these tokens: {seen}"
            raise KeyUnavailable(f"{self._uri.token_label} {what}", why=why, hint="plug it in, or name it by serial=")
        (token,) = fitting
        if self._serial not in (None, token.serial):
            raise KeyUnavailable(f"{self._uri.token_label} is another one now", why="its serial number has changed")
        self._serial = token.serial
        return token

    def _judge(self, error: PKCS11Error, uri: Pkcs11Uri, passphrases: Passphrases, *, once_more: bool) -> None:
        """Raises what a token's answer means; comes back where it is worth another look."""
        forget_openssl_errors()
        if isinstance(error, _WRONG_PIN):
            raise self._wrong_pin(error, passphrases) from None
        if not isinstance(error, _LOST) and type(error) is not PKCS11Error:
            hint = "see the token's manual for what it allows"
            raise KeyUnavailable(f"the token refuses {uri.label}", why=said(error), hint=hint) from None
        self._library.stop()
        if not once_more:
            hint = "plug the token in and try again"
            raise KeyUnavailable(f"the key {uri.label} is out of reach", why=said(error), hint=hint) from None

    def _wrong_pin(self, error: PKCS11Error, passphrases: Passphrases) -> KeyUnavailable:
        self._refused, passphrase = self._tried, self._tried
        passphrases.forget(self._uri.token_label)
        flags = self._found().flags
        if isinstance(error, answers.PinLocked) or flags & TokenFlag.USER_PIN_LOCKED:
            return self._locked()
        left = ""
        if flags & TokenFlag.USER_PIN_FINAL_TRY:
            left = "; one try is left"
        elif flags & TokenFlag.USER_PIN_COUNT_LOW:
            left = "; it counts wrong tries, and does not say how many are left"
        source = passphrase.source if passphrase else "the caller"
        why = f"the PIN came from {source}; it is not tried again{left}"
        return KeyUnavailable(f"{self._uri.token_label} refuses the PIN", why=why, hint="correct the PIN")

    def _locked(self) -> KeyUnavailable:
        hint = "unlock it with the security officer's PIN: pkcs11-tool --login --login-type so --init-pin"
        return KeyUnavailable(f"{self._uri.token_label} is locked", why="too many wrong PINs were given", hint=hint)


_tokens: dict[tuple[Library, tuple[tuple[str, str], ...]], Token] = {}


def token_of(uri: Pkcs11Uri) -> Token:
    """The token that a reference names, one object for the whole process. Raises `KeyUnavailable` without a library."""
    with LOCK:
        shelf = library(uri.module_path)
        key = (shelf, tuple(sorted(uri.token.items())))
        return _tokens.setdefault(key, Token(shelf, uri))


def _token_in(slot: Any) -> Any:
    try:
        token = slot.get_token()
    except (answers.TokenNotPresent, answers.TokenNotRecognised):
        return None
    return token if token.flags & TokenFlag.TOKEN_INITIALIZED else None


def _fits(token: Any, uri: Pkcs11Uri) -> bool:
    facts = {
        "token": token.label,
        "serial": token.serial.decode("ascii", "replace"),
        "manufacturer": token.manufacturer_id,
        "model": token.model,
        "slot-id": str(token.slot.slot_id),
    }
    return all(facts[name] == wanted for name, wanted in uri.token.items())
