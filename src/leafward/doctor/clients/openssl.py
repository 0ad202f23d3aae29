"""OpenSSL's own commands, `openssl s_client` and `openssl verify`, at Debian's security level 2."""

from leafward.doctor.clients.openssl_chain import TEXTS, Manner, openssl_errors
from leafward.doctor.clients.prediction import ACCEPTS, Client, Prediction, Shown


def _judge(shown: Shown) -> Prediction:
    errors = openssl_errors(shown, Manner())
    if not errors:
        return ACCEPTS
    return Prediction.refuses(f"verify error:num={errors[0]}:{TEXTS[errors[0]]}")


CLIENT = Client(name="openssl", measured="OpenSSL 3.0.19", judge=_judge)
