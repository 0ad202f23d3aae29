"""An intermediate CA: a department, a plant or a contractor of the maker's, at any depth, or not at all.

Held by the maker. Signed by the root or another intermediate. What may go wrong: it is left out of the chain that a
server or a leaf presents ("unable to get local issuer certificate"); its path length leaves no room for the device CA
and the workload CA below, so it needs 2, and one more for each intermediate below it.

Cross-signing and root rollover make certificates of this kind too: the name and key of a CA that has a certificate
already, under another issuer. Device identities that never expire need issuers that do not, so it may live forever.
"""

from datetime import timedelta

from leafward.pki.profile import CA_KEY_USAGE, FENCED_CA_EXTENSIONS, Presence, Profile, SubjectRow

INTERMEDIATE_CA = Profile(
    kind="intermediate_ca",
    signed_by=frozenset({"root_ca", "intermediate_ca"}),
    ca=True,
    lifetime=timedelta(days=10 * 365 + 2),
    may_never_expire=True,
    key_usage=CA_KEY_USAGE,
    extensions=FENCED_CA_EXTENSIONS,
    subject=SubjectRow(repeats=Presence.OPTIONAL),
)
