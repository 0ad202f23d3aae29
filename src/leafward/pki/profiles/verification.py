"""A verification certificate: proves that somebody holds a CA's key, by a code as CN that the verifier chose.

Held by whoever proves a CA. Signed by the CA being proved. What may go wrong: it is signed by the root although an
intermediate is to be proved; the code was renewed meanwhile, and the old one proves nothing.
"""

from datetime import timedelta

from leafward.pki.profile import CLIENT_AUTH, END_ENTITY_EXTENSIONS, END_ENTITY_KEY_USAGE, Profile

VERIFICATION = Profile(
    kind="verification",
    signed_by=frozenset({"root_ca", "intermediate_ca", "device_ca", "workload_ca"}),
    ca=False,
    lifetime=timedelta(days=1),
    default_key_type=None,
    key_usage=END_ENTITY_KEY_USAGE,
    extended_key_usage=(CLIENT_AUTH,),
    extensions=END_ENTITY_EXTENSIONS,
)
