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


CLIENT = Client(name="python", measured="Python 3.11.7 with OpenSSL 3.0", judge=_judge)
