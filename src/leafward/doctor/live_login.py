"""What a hub's answer to an MQTT CONNECT with the leaf's own credential says (OASIS mqtt-v3.1.1 3.2.2.3). Pure.

A hub tells a stranger as little as it can, so "not authorised" fits several faults: the likeliest is named, and where
to look for the right one.
"""

from collections.abc import Iterator

from leafward.doctor.live_evidence import LiveEvidence, Login
from leafward.doctor.noted import Noted
from leafward.wire.mqtt.packets import (
    BAD_USER_NAME_OR_PASSWORD,
    IDENTIFIER_REJECTED,
    NOT_AUTHORISED,
    SERVER_UNAVAILABLE,
    UNACCEPTABLE_PROTOCOL_VERSION,
)

_NAMES = {
    UNACCEPTABLE_PROTOCOL_VERSION: "unacceptable protocol version",
    IDENTIFIER_REJECTED: "identifier rejected",
    SERVER_UNAVAILABLE: "server unavailable",
    BAD_USER_NAME_OR_PASSWORD: "bad user name or password",
    NOT_AUTHORISED: "not authorised",
}
_OF_A_KEY = ("device-unknown", "device-disabled", "sas-expired")
_OF_A_CERTIFICATE = ("device-unknown", "device-disabled", "common-name-not-device-id", "client-chain-incomplete")
LOOK = "leafward hub failures on the gateway says which of them it is; leafward device show ID what it has registered"


def login_faults(seen: LiveEvidence) -> Iterator[Noted]:
    """Nothing where the login was taken, or none was tried."""
    login = seen.login
    if login is None or login.return_code == 0:
        return
    by_certificate = seen.first.shown
    code = "thumbprint-mismatch" if by_certificate else "sas-signature-wrong"
    others = _OF_A_CERTIFICATE if by_certificate else _OF_A_KEY
    if login.return_code is None or login.return_code in (UNACCEPTABLE_PROTOCOL_VERSION, SERVER_UNAVAILABLE):
        code, others = "refused-in-handshake", (code, *others) if login.return_code is None else ()
    yield Noted(
        code=code,
        got=answer(login),
        expected="CONNACK 0: accepted",
        who="leaf"
        if login.return_code in (IDENTIFIER_REJECTED, BAD_USER_NAME_OR_PASSWORD, NOT_AUTHORISED)
        else "operator",
        fix=f"Compare the credential with the one that the device was registered with. {LOOK}.",
        alternatives=others,
        look=LOOK,
        more={"client_id": login.client_id, "username": login.username},
    )


def answer(login: Login) -> str:
    """What the hub said, in words."""
    if login.return_code is None:
        return login.why
    return f"CONNACK {login.return_code}: {_NAMES.get(login.return_code, 'an answer that MQTT 3.1.1 does not have')}"
