"""Node: OpenSSL at level 1, told to go on after an error, so that the last one is shown; the name is compared after, by
JavaScript (`tls.checkServerIdentity`).
"""

from leafward.doctor.clients.naming import Names
from leafward.doctor.clients.openssl_chain import TEXTS, Manner, openssl_errors
from leafward.doctor.clients.prediction import ACCEPTS, Client, Prediction, Shown
from leafward.pki.names import HostName

# The errors that Node has a code of its own for; others are UNSPECIFIED.
_CODES = {
    2: "UNABLE_TO_GET_ISSUER_CERT",
    7: "CERT_SIGNATURE_FAILURE",
    9: "CERT_NOT_YET_VALID",
    10: "CERT_HAS_EXPIRED",
    18: "DEPTH_ZERO_SELF_SIGNED_CERT",
    19: "SELF_SIGNED_CERT_IN_CHAIN",
    20: "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
    21: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    22: "CERT_CHAIN_TOO_LONG",
    25: "PATH_LENGTH_EXCEEDED",
    26: "INVALID_PURPOSE",
}


def explained(shown: Shown) -> tuple[str, str] | None:
    """The code and the message of the error; None where it accepts."""
    errors = openssl_errors(shown, Manner(level=1, names=False))
    if errors:
        return _CODES.get(errors[-1], "UNSPECIFIED"), TEXTS[errors[-1]]
    names = Names.of(shown.leaf)
    if names.fits(shown.host, one_label=False, common_name=not names.has_any):
        return None
    return "ERR_TLS_CERT_ALTNAME_INVALID", _mismatch(shown, names)


def _judge(shown: Shown) -> Prediction:
    said = explained(shown)
    return ACCEPTS if said is None else Prediction.refuses(" ".join(said))


def _mismatch(shown: Shown, names: Names) -> str:
    said = "Hostname/IP does not match certificate's altnames: "
    host = shown.case.name
    if not isinstance(shown.host, HostName):
        return f"{said}IP: {host} is not in the cert's list: {', '.join(names.addresses)}"
    if not names.has_any:
        return f"{said}Host: {host}. is not cert's CN: {', '.join(names.common)}"
    listed = [*(f"DNS:{one}" for one in names.dns), *(f"IP Address:{one}" for one in names.addresses)]
    return f"{said}Host: {host}. is not in the cert's altnames: {', '.join(listed)}"


CLIENT = Client(name="node", measured="Node 20.20 with OpenSSL 3.0", judge=_judge)
