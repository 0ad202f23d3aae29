"""The root CA: where all trust in a hierarchy comes from.

Held by the maker, offline. Signed by itself. What may go wrong: a leaf device trusts another root of the same name and
another key; the trust bundle holds an intermediate instead; the root dies before what it signed (it cannot: nothing
outlives its issuer), so a short-lived root shortens the whole hierarchy. By choice it never expires.
"""

from datetime import timedelta

from leafward.pki.profile import CA_EXTENSIONS, CA_KEY_USAGE, Profile

ROOT_CA = Profile(
    kind="root_ca",
    signed_by=frozenset({"root_ca"}),
    ca=True,
    lifetime=timedelta(days=20 * 365 + 5),
    may_never_expire=True,
    key_usage=CA_KEY_USAGE,
    extensions=CA_EXTENSIONS,
)
