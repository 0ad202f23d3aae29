"""The authority's own server certificate: for the EST server that devices enrol with.

Held by the authority's server, which issues it to itself and renews it. Signed by the intermediate that signs the
devices' certificates, or by the root. It carries id-kp-cmcRA beside serverAuth, so that a client which came by another
name, or by a redirect, may still take it for an EST server (RFC 7030 3.6.1, RFC 6402 2.10). What may go wrong: devices
reach the server under a name that is not in the SAN; a device has no root yet and must be given it first.
"""

from datetime import timedelta

from cryptography.x509 import ObjectIdentifier

from leafward.pki.profile import (
    END_ENTITY_KEY_USAGE,
    NAMED_EXTENSIONS,
    SERVER_AUTH,
    Presence,
    Profile,
    SubjectRow,
)

REGISTRATION_AUTHORITY = ObjectIdentifier("1.3.6.1.5.5.7.3.28")  # id-kp-cmcRA

AUTHORITY_SERVER = Profile(
    kind="authority_server",
    signed_by=frozenset({"root_ca", "intermediate_ca"}),
    ca=False,
    lifetime=timedelta(days=30),
    key_usage=END_ENTITY_KEY_USAGE,
    # TLS 1.2 clients without forward secrecy encrypt to an RSA key; NSS refuses a server's without it.
    key_usage_with_rsa=frozenset({"key_encipherment"}),
    extended_key_usage=(SERVER_AUTH, REGISTRATION_AUTHORITY),
    extensions=NAMED_EXTENSIONS,
    subject=SubjectRow(common_name=Presence.OPTIONAL, hosts=Presence.REQUIRED, from_host=True),
)
