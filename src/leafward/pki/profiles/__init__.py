"""The kinds of certificates, one file a kind. Adding a kind is adding its file and its line here."""

from collections.abc import Mapping
from types import MappingProxyType

from leafward.errors import UsageError
from leafward.pki.profile import Profile
from leafward.pki.profiles.authority_server import AUTHORITY_SERVER
from leafward.pki.profiles.device_ca import DEVICE_CA
from leafward.pki.profiles.device_identity import DEVICE_IDENTITY
from leafward.pki.profiles.hub_server import HUB_SERVER
from leafward.pki.profiles.intermediate_ca import INTERMEDIATE_CA
from leafward.pki.profiles.leaf_device import LEAF_DEVICE
from leafward.pki.profiles.module_identity import MODULE_IDENTITY
from leafward.pki.profiles.module_server import MODULE_SERVER
from leafward.pki.profiles.ocsp_responder import OCSP_RESPONDER
from leafward.pki.profiles.root_ca import ROOT_CA
from leafward.pki.profiles.verification import VERIFICATION
from leafward.pki.profiles.workload_ca import WORKLOAD_CA

_ALL = (
    ROOT_CA,
    INTERMEDIATE_CA,
    DEVICE_CA,
    DEVICE_IDENTITY,
    WORKLOAD_CA,
    HUB_SERVER,
    MODULE_SERVER,
    MODULE_IDENTITY,
    LEAF_DEVICE,
    VERIFICATION,
    AUTHORITY_SERVER,
    OCSP_RESPONDER,
)
PROFILES: Mapping[str, Profile] = MappingProxyType({one.kind: one for one in _ALL})


def profile(kind: str) -> Profile:
    """The profile of a kind. Raises `UsageError` that lists the kinds."""
    if kind not in PROFILES:
        raise UsageError(f"no certificate kind '{kind}'", hint=f"one of {', '.join(PROFILES)}")
    return PROFILES[kind]
