"""What OpenSSL says went wrong, as the standard library says it: event loops and web servers know those errors."""

import ssl
from collections.abc import Sequence
from typing import Any, Final

from OpenSSL import _util

from leafward.wire.tls.alerts import reason_name, received_alert, sent_alert

_lib: Any = _util.lib

# A reason that OpenSSL numbers and its binding does not name (sslerr.h).
_CERTIFICATE_VERIFY_FAILED: Final = 134


def failure(connection: Any, error: int, codes: Sequence[int], last_words: bytes) -> ssl.SSLError:
    """The error for OpenSSL's `error` and the `codes` of its queue. `last_words`: what it wanted sent at the end."""
    if error == _lib.SSL_ERROR_WANT_READ:
        return ssl.SSLWantReadError(error, "The operation did not complete (read)")
    if error == _lib.SSL_ERROR_WANT_WRITE:
        return ssl.SSLWantWriteError(error, "The operation did not complete (write)")
    if error == _lib.SSL_ERROR_ZERO_RETURN:
        return ssl.SSLZeroReturnError(error, "TLS/SSL connection has been closed (EOF)")
    # A failure in a cipher comes before what it means for TLS, a general "record layer failure" after it.
    code = next((code for code in codes if _library(code) == "SSL"), codes[0] if codes else 0)
    if not code or _lib.ERR_GET_REASON(code) == _lib.SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return ssl.SSLEOFError(ssl.SSLErrorNumber.SSL_ERROR_EOF, "EOF occurred in violation of protocol")
    return _protocol_error(connection, code, last_words)


def _protocol_error(connection: Any, code: int, last_words: bytes) -> ssl.SSLError:
    number, library = _lib.ERR_GET_REASON(code), _library(code)
    text = _util.text(_lib.ERR_reason_error_string(code)) or f"reason {number}"
    reason = reason_name(number, text) if library == "SSL" else text.upper().replace(" ", "_")
    problem: Any
    if library == "SSL" and number == _CERTIFICATE_VERIFY_FAILED:
        verdict = _lib.SSL_get_verify_result(connection)
        message = _util.text(_lib.X509_verify_cert_error_string(verdict))
        problem = ssl.SSLCertVerificationError(1, f"[SSL: {reason}] {text}: {message}")
        problem.verify_code, problem.verify_message = verdict, message
    else:
        problem = ssl.SSLError(1, f"[{library}: {reason}] {text}")
    problem.library, problem.reason = library, reason
    problem.alert = sent_alert(last_words) or (received_alert(number) if library == "SSL" else None)
    error: ssl.SSLError = problem
    return error


def _library(code: int) -> str:
    """The part of OpenSSL an error comes from, such as SSL."""
    return str(_util.text(_lib.ERR_lib_error_string(code))).removesuffix(" routines")
