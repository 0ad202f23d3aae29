"""What a TLS context is told below pyOpenSSL's own words: groups, whole writes, keys of every type, strict roots.

Like `lowlevel` it touches pyOpenSSL's lower layer, and is held to it by `tests/wire_tls/`.
"""

from collections.abc import Iterable
from typing import Any

from cryptography import x509
from OpenSSL import SSL, _util, crypto

_lib: Any = _util.lib


def set_groups(context: SSL.Context, names: Iterable[str]) -> bool:
    """The key exchange groups, best first. False, and nothing changed, when this OpenSSL does not know one of them."""
    # A slash makes each group its own tier: a better group that both know wins, even at the price of one more
    # round trip when the client sent the share of another one.
    done = _lib.SSL_CTX_set1_curves_list(context._context, "/".join(names).encode("ascii")) == 1  # noqa: SLF001
    _lib.ERR_clear_error()
    return bool(done)


def write_whole(context: SSL.Context) -> None:
    """Lets a write take all it is given, where pyOpenSSL's default may stop at a peer's smaller record size."""
    context.clear_mode(_lib.SSL_MODE_ENABLE_PARTIAL_WRITE)


def use_key(context: SSL.Context, pkcs8: bytes) -> None:
    """The private key, as PKCS#8 DER, of the certificate that `context` already has. Raises `SSL.Error`."""
    # pyOpenSSL's own `use_privatekey` refuses the key types it does not list, ML-DSA among them.
    key = crypto.load_privatekey(crypto.FILETYPE_ASN1, pkcs8)
    if _lib.SSL_CTX_use_PrivateKey(context._context, key._pkey) != 1:  # noqa: SLF001
        _util.exception_from_error_queue(SSL.Error)


def trust(context: SSL.Context, anchors: Iterable[x509.Certificate], extra_flags: int = 0) -> crypto.X509Store:
    """As a client: the roots to trust, checked as strictly as OpenSSL can."""
    store = context.get_cert_store()
    assert store is not None
    for anchor in anchors:
        store.add_cert(crypto.X509.from_cryptography(anchor))
    store.set_flags(crypto.X509StoreFlags.X509_STRICT | extra_flags)
    return store
