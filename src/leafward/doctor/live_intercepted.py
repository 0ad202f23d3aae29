"""Whether somebody between leaf and gateway opens the connection and shows a certificate of his own making.

Evidence only: the name of a known interception product in an issuer, and a chain that does not end at the leaf's root;
or, where the gateway's own files are at hand, another chain on the network than the one that it serves. A foreign root
alone is `root-not-trusted`.
"""

import re
from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from leafward.doctor.noted import Noted
from leafward.pki.chain import fingerprint

# Products whose CAs stand in issuers' names, as their documentation and their default certificates have them.
_PRODUCTS = re.compile(
    r"zscaler|fortinet|fortigate|palo alto|blue ?coat|symantec web|netskope|cisco umbrella|opendns|sophos|kaspersky|"
    r"\beset\b|avast|bitdefender|mitmproxy|charles proxy|do_not_trust|fiddler|portswigger|burp|squid|check ?point|"
    r"barracuda|watchguard|mcafee web|untangle|pfsense|opnsense|securly|lightspeed|goguardian|superfish|cloudflare for "
    r"teams|gateway ca - cloudflare|trend micro|forcepoint|websense|cato networks|iboss|smoothwall|contentkeeper",
    re.IGNORECASE,
)
_PARTS = (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME)


def product_in(chain: Sequence[x509.Certificate]) -> tuple[str, x509.Certificate] | None:
    """(the words that name a product, the certificate whose issuer they stand in)."""
    for certificate in chain:
        for part in _PARTS:
            for one in certificate.issuer.get_attributes_for_oid(part):
                text = str(one.value)
                if _PRODUCTS.search(text):
                    return text, certificate
    return None


def intercepted(chain: Sequence[x509.Certificate], *, anchored: bool, roots_known: bool) -> Noted | None:
    """A fault where the chain is an interception product's. `anchored`: it reaches a root that the leaf trusts."""
    found = product_in(chain)
    if found is None or anchored:
        return None
    words, certificate = found
    return Noted(
        code="tls-intercepted",
        severity="error" if roots_known else "warning",
        got=f"an issuer named {words!r}",
        expected="a chain to the gateway's own root",
        who="network",
        fix="Have the network let this host and port through without opening TLS; do not give the leaf the "
        "interceptor's root, which would let it read and change everything.",
        certificate=fingerprint(certificate),
        alternatives=("root-not-trusted",),
        look="the same look from another network, or on the gateway itself: another chain there means that somebody "
        "opens the connection on its way here",
    )
