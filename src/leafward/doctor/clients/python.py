"""Python's `ssl.create_default_context`, before 3.13: OpenSSL, the first error, at level 2."""

from leafward.doctor.clients.openssl_chain import TEXTS, Manner, openssl_errors
from leafward.doctor.clients.prediction import ACCEPTS, Client, Prediction, Shown


def python_says(shown: Shown, manner: Manner) -> Prediction:
    """The text of `ssl.SSLCertVerificationError`, without the line of _ssl.c at its end."""
    errors = openssl_errors(shown, manner)
    if not errors:
        return ACCEPTS
    return Prediction.refuses(f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {_text(errors[0], shown)}")


def _text(number: int, shown: Shown) -> str:
    if number in (62, 64):
        what = "Hostname" if number == 62 else "IP address"
        return f"{what} mismatch, certificate is not valid for '{shown.case.name}'."
    return TEXTS[number]


def _judge(shown: Shown) -> Prediction:
    return python_says(shown, Manner())


# What it raises before there is a chain to judge, by the class of the error.
BEFORE = {
    "refused": "ConnectionRefusedError: [Errno 111] Connection refused",
    "not-tls": "SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number",
    "closed": "SSLEOFError: [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol",
    "protocol_version": "SSLError: [SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version",
    "handshake_failure": "SSLError: [SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure",
}
CLIENT = Client(
    name="python",
    measured="Python 3.11.7 with OpenSSL 3.0",
    judge=_judge,
    words={end: words.partition(": ")[2] for end, words in BEFORE.items()},
)
