"""What OpenSSL asks us in the middle of a handshake: which certificate for this name, and is this client's acceptable?

Like `lowlevel`, these need what pyOpenSSL does not promise. Nothing that is raised here would reach anybody.
"""

from collections.abc import Callable
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL, _util, crypto

from leafward.pki.link import is_affordable

_lib: Any = _util.lib
_ffi: Any = _util.ffi

# SSL_TLSEXT_ERR_ALERT_FATAL (tls1.h)
_ALERT_FATAL: Final = 2
# TLS 1.0, which we never speak: a session is resumed only under the version it was made with, so never.
_NEVER_RESUMED: Final = SSL.TLS1_VERSION

# Kinds of keys as OpenSSL numbers them (obj_mac.h): RSA, and RSA for PSS alone.
_RSA: Final = frozenset({_lib.EVP_PKEY_RSA, 912})
# DSA and Diffie-Hellman: no certificate has them any more, and their sizes are the peer's to choose.
_NOBODYS: Final = frozenset({_lib.EVP_PKEY_DSA, _lib.EVP_PKEY_DH, 920})


def choose_by_name(context: SSL.Context, choose: Callable[[SSL.Connection], bool]) -> Any:
    """Asks `choose` for each connection once the client's server name is known (SNI, RFC 6066 3): it may give the
    connection another context by `set_context`, and answers False for a name that is not to be served.

    Returns what must live as long as the context. pyOpenSSL's own way cannot refuse without a traceback.
    """

    def chosen(pointer: Any, _alert: Any, _nothing: Any) -> int:
        try:
            serve = choose(SSL.Connection._reverse_mapping[pointer])  # noqa: SLF001
        except Exception:  # a callback has nobody to raise to: the certificate of before is served
            return 0
        # The alert that OpenSSL sends then is unrecognized_name.
        return 0 if serve else _ALERT_FATAL

    callback = _ffi.callback("int (*)(SSL *, int *, void *)", chosen)
    _lib.SSL_CTX_set_tlsext_servername_callback(context._context, callback)  # noqa: SLF001
    return callback


def ask_for_certificate(context: SSL.Context) -> None:
    """Asks each client for a certificate and accepts any or none: the application judges. TLS itself still proves
    that the client holds the key (RFC 8446 4.4.3).

    OpenSSL cannot be kept from verifying a chain before it asks us, and at its own depth of 100 a stranger's chain
    costs half a second (measured: 60 certificates of 3072 bits). At depth 0 it looks at the leaf and its issuer and
    checks one signature; every certificate presented is seen by `Engine.peer_certificates` all the same. A client
    whose key, or whose issuer's key, is made to be dear is refused: `handshake` raises.
    """
    _lib.SSL_CTX_set_verify(context._context, _lib.SSL_VERIFY_PEER, _accept)  # noqa: SLF001
    _lib.SSL_CTX_set_verify_depth(context._context, 0)  # noqa: SLF001


def _accept_certificate(ok: int, store_context: Any) -> int:
    # Nothing is trusted here, so OpenSSL reports "not ok" for every chain, and before it checks any signature.
    if not ok and not all(map(_is_cheap, _chain_built(store_context))):
        _lib.X509_STORE_CTX_set_error(store_context, _lib.X509_V_ERR_CERT_REJECTED)
        return 0
    # A ticket holds the client's own certificate and not those above it: a resumed client would stand there without
    # its chain. So the session of a client with a chain is marked as one that cannot be resumed.
    if _lib.X509_STORE_CTX_get_error_depth(store_context) > 0:
        connection = _lib.X509_STORE_CTX_get_ex_data(store_context, _lib.SSL_get_ex_data_X509_STORE_CTX_idx())
        _lib.SSL_SESSION_set_protocol_version(_lib.SSL_get_session(connection), _NEVER_RESUMED)
    _lib.X509_STORE_CTX_set_error(store_context, _lib.X509_V_OK)
    return 1


def _chain_built(store_context: Any) -> list[Any]:
    """The certificates OpenSSL is about to verify, as its own objects, given back when they are let go of."""
    stack = _lib.X509_STORE_CTX_get1_chain(store_context)
    if stack == _ffi.NULL:
        return []
    found = [_ffi.gc(_lib.sk_X509_value(stack, at), _lib.X509_free) for at in range(_lib.sk_X509_num(stack))]
    _lib.sk_X509_free(stack)
    return found


def _is_cheap(certificate: Any) -> bool:
    """Whether a signature check with this certificate's key is short. A key we cannot read is OpenSSL's to refuse."""
    key = _lib.X509_get_pubkey(certificate)
    if key == _ffi.NULL:
        return True
    kind = _lib.EVP_PKEY_id(key)
    _lib.EVP_PKEY_free(key)
    if kind not in _RSA:
        return kind not in _NOBODYS
    _lib.X509_up_ref(certificate)
    try:
        public = crypto.X509._from_raw_x509_ptr(certificate).to_cryptography().public_key()  # noqa: SLF001
    except Exception:  # a callback has nobody to raise to, and what cannot be measured may be dear
        return False
    return isinstance(public, rsa.RSAPublicKey) and is_affordable(public)


_accept: Final = _ffi.callback("int (*)(int, X509_STORE_CTX *)", _accept_certificate)
