"""The device identity: who the gateway is to the maker's services (an IDevID, IEEE 802.1AR-2018 section 8).

Held by the device. Signed by the issuer of its device CA. What may go wrong: the serial number is left out, and two
devices of one name cannot be told apart; it expires although the device cannot be reached, so it may live forever.
"""

from datetime import timedelta

from leafward.pki.profile import (
    CLIENT_AUTH,
    END_ENTITY_EXTENSIONS,
    END_ENTITY_KEY_USAGE,
    Presence,
    Profile,
    SubjectRow,
)

DEVICE_IDENTITY = Profile(
    kind="device_identity",
    signed_by=frozenset({"root_ca", "intermediate_ca"}),
    ca=False,
    lifetime=timedelta(days=10 * 365 + 2),
    may_never_expire=True,
    key_usage=END_ENTITY_KEY_USAGE,
    extended_key_usage=(CLIENT_AUTH,),
    extensions=END_ENTITY_EXTENSIONS,
    subject=SubjectRow(serial_number=Presence.REQUIRED),
)
