"""Who makes a service call over HTTPS: the identity that the request claims, proved by its own credential.

What is claimed stands in `x-ms-edge-moduleId` (a module's SDK sends it), else in the SAS token, else in the path:
a device with a client certificate asks for what is its own. The credential is judged then, as that of any telemetry.
"""

from collections.abc import Mapping

from leafward.errors import LeafwardError
from leafward.hub.refusals import Refusal
from leafward.wire.access_policy import is_for_policy
from leafward.wire.sas import SasToken
from leafward.wire.service_api import EDGE_MODULE_HEADER

# (device, module or None)
Claim = tuple[str, str | None]


def claim_of(headers: Mapping[str, str], names: Mapping[str, str]) -> Claim | Refusal:
    """Who a request says it is, by its headers (looked up without case) and path parameters, or why that is nobody."""
    token = headers.get("Authorization")
    header = headers.get(EDGE_MODULE_HEADER)
    if header is not None:
        device_id, slash, module_id = header.partition("/")
        if not (slash and device_id and module_id):
            return Refusal("login-malformed", f"{EDGE_MODULE_HEADER} is not device/module")
        return device_id, module_id
    by_path = (names["device_id"], names.get("module_id")) if "device_id" in names else None
    if token is None:
        return Refusal("credential-missing", "no token, and nobody is named") if by_path is None else by_path
    try:
        by_token = identity_of(SasToken.parse(token).resource)
    except LeafwardError as error:
        return Refusal("sas-malformed", str(error))
    if by_token is None:
        return Refusal("sas-audience-wrong", "the token is for no device and no module")
    # The path has the spelling that the registry knows; a token's is compared without case.
    return by_path if by_path is not None and _folded(by_path) == _folded(by_token) else by_token


def policy_claimed(headers: Mapping[str, str]) -> str | None:
    """The shared access policy that a request's token names; None where it is a device's, or none that reads."""
    try:
        token = SasToken.parse(headers.get("Authorization") or "")
    except LeafwardError:
        return None
    return token.key_name if is_for_policy(token) else None


def identity_of(resource: str) -> Claim | None:
    """The identity in `{host}/devices/{device}[/modules/{module}]`, None where it names none."""
    match resource.split("/"):
        case [_, "devices", device_id]:
            return device_id, None
        case [_, "devices", device_id, "modules", module_id]:
            return device_id, module_id
    return None


def _folded(claim: Claim) -> tuple[str, str]:
    return claim[0].casefold(), (claim[1] or "").casefold()
