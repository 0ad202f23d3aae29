"""The device CA: the one certificate that the factory puts into a gateway, above all that the gateway makes itself.

Held by the device, in an HSM if there is one. Signed by the last intermediate, or by the root. What may go wrong: it
has the gateway's hostname as its CN, and a verifier takes the server certificate for self-signed; it was issued as an
ordinary certificate (CA:FALSE); its path length is 0, and the workload CA below has no room; it expires in the field.
"""

from datetime import timedelta

from leafward.pki.profile import CA_KEY_USAGE, FENCED_CA_EXTENSIONS, Profile

DEVICE_CA = Profile(
    kind="device_ca",
    signed_by=frozenset({"root_ca", "intermediate_ca"}),
    ca=True,
    path_length=1,
    lifetime=timedelta(days=10 * 365 + 2),
    key_usage=CA_KEY_USAGE,
    extensions=FENCED_CA_EXTENSIONS,
)
