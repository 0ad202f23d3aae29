"""A module's client certificate: the module's name, proved for two hours.

Held by the module, given out by the Workload API. Signed by the workload CA. What may go wrong: it is kept longer than
it lives; it is offered to the hub, which takes no certificates from modules.

NOTE: the SAN is a uniformResourceIdentifier, `azureiot://HUB/devices/DEVICE/modules/MODULE`. IoT Edge 1.2 and later
write the literal text `URI: azureiot://…` into a dNSName. It would encode (it is IA5), but blanks, colons and slashes
are no DNS name (RFC 5280 4.2.1.6), and no client is known to read it. The URI is what was meant.
"""

from datetime import timedelta

from leafward.pki.profile import (
    CLIENT_AUTH,
    END_ENTITY_KEY_USAGE,
    NAMED_EXTENSIONS,
    Presence,
    Profile,
    SubjectRow,
)

MODULE_IDENTITY = Profile(
    kind="module_identity",
    signed_by=frozenset({"workload_ca"}),
    ca=False,
    lifetime=timedelta(hours=2),
    key_usage=END_ENTITY_KEY_USAGE,
    extended_key_usage=(CLIENT_AUTH,),
    extensions=NAMED_EXTENSIONS,
    subject=SubjectRow(uris=Presence.REQUIRED),
)
