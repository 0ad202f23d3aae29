"""The hub's server certificate: what a leaf device sees first, and the name it compares.

Held by the hub. Signed by the workload CA. What may go wrong: the leaf uses a name that is not in the SAN (a short
name, an address, a new hostname); an address stands as a dNSName; a CA above has the same CN; it expires after 30 days
because nobody renewed it. A hostname of more than 64 characters stands in the SAN only, below an empty subject.
"""

from datetime import timedelta

from leafward.pki.profile import (
    END_ENTITY_KEY_USAGE,
    NAMED_EXTENSIONS,
    SERVER_AUTH,
    Presence,
    Profile,
    SubjectRow,
)

HUB_SERVER = Profile(
    kind="hub_server",
    signed_by=frozenset({"workload_ca"}),
    ca=False,
    lifetime=timedelta(days=30),
    key_usage=END_ENTITY_KEY_USAGE,
    # TLS 1.2 clients without forward secrecy encrypt to an RSA key (RFC 5246 7.4.2).
    key_usage_with_rsa=frozenset({"key_encipherment"}),
    extended_key_usage=(SERVER_AUTH,),
    extensions=NAMED_EXTENSIONS,
    subject=SubjectRow(
        common_name=Presence.OPTIONAL, hosts=Presence.REQUIRED, extra_dns=Presence.OPTIONAL, from_host=True
    ),
)
