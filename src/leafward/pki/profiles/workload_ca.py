"""The workload CA: the operator's own CA on the gateway, made at first start, destroyed when the device is sold.

Held by the manager. Signed by the device CA. What may go wrong: the device CA changed and this one still hangs below
the old one; the device CA leaves no room for it (path length 0) or is about to expire, so that everything below would
be renewed every few minutes: five minutes or less left are refused.
"""

from datetime import timedelta

from leafward.pki.profile import CA_KEY_USAGE, OPERATOR_CA_EXTENSIONS, Presence, Profile, SubjectRow

WORKLOAD_CA = Profile(
    kind="workload_ca",
    signed_by=frozenset({"device_ca"}),
    ca=True,
    path_length=0,
    lifetime=timedelta(days=365),
    key_usage=CA_KEY_USAGE,
    extensions=OPERATOR_CA_EXTENSIONS,
    subject=SubjectRow(common_name=Presence.OPTIONAL, default_common_name="iotedge workload ca"),
    issuer_margin=timedelta(minutes=5),
)
