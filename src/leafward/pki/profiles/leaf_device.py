"""A leaf device's client certificate: the CN is the device id, which is the registration id.

Held by the leaf device. Signed by the device CA, or by a CA of the maker's; by itself where the hub knows it by its
thumbprint. What may go wrong: the CN is not the device id, letter for letter; the leaf does not send the intermediates;
the root it hangs from is not in the hub's trust bundle; a verifier is used that wants a SAN (this kind has none).
"""

from datetime import timedelta

from leafward.pki.profile import CLIENT_AUTH, END_ENTITY_EXTENSIONS, END_ENTITY_KEY_USAGE, Profile

LEAF_DEVICE = Profile(
    kind="leaf_device",
    signed_by=frozenset({"root_ca", "intermediate_ca", "device_ca"}),
    ca=False,
    lifetime=timedelta(days=365),
    key_usage=END_ENTITY_KEY_USAGE,
    extended_key_usage=(CLIENT_AUTH,),
    extensions=END_ENTITY_EXTENSIONS,
)
