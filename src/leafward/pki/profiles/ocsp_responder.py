"""Who answers for a CA whether its certificates are revoked (OCSP): a key that is at hand while the CA's is not.

Held by the authority's server, one for each CA. Signed by that very CA: a responder may speak for its issuer alone
(RFC 6960 4.2.2.2). What may go wrong: nobody can revoke it (id-pkix-ocsp-nocheck), so it lives for two weeks and is
made anew by half of them; while the CA's key is out of reach for longer than that, nobody answers.
"""

from datetime import timedelta

from leafward.pki.profile import (
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    END_ENTITY_KEY_USAGE,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    OCSP_NO_CHECK,
    OCSP_SIGNING,
    SUBJECT_KEY_IDENTIFIER,
    ExtensionRow,
    Presence,
    Profile,
)

OCSP_RESPONDER = Profile(
    kind="ocsp_responder",
    signed_by=frozenset({"root_ca", "intermediate_ca"}),
    ca=False,
    lifetime=timedelta(days=14),
    key_usage=END_ENTITY_KEY_USAGE,
    extended_key_usage=(OCSP_SIGNING,),
    # Neither policies nor pointers: it is looked at for one question, and never for its own revocation.
    extensions=(
        ExtensionRow(BASIC_CONSTRAINTS, Presence.REQUIRED, critical=True),
        ExtensionRow(KEY_USAGE, Presence.REQUIRED, critical=True),
        ExtensionRow(EXTENDED_KEY_USAGE, Presence.REQUIRED, critical=False),
        ExtensionRow(SUBJECT_KEY_IDENTIFIER, Presence.REQUIRED, critical=False),
        ExtensionRow(AUTHORITY_KEY_IDENTIFIER, Presence.REQUIRED, critical=False),
        ExtensionRow(OCSP_NO_CHECK, Presence.REQUIRED, critical=False),
    ),
    # Whoever verifies the CA's signatures can verify the answers.
    default_key_type=None,
)
