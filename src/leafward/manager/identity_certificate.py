"""A module's identity certificate: who it is, as a TLS client, for two hours at most."""

from datetime import datetime

from leafward.manager.module_certificate import issue_for_module
from leafward.manager.pairs import Pair
from leafward.manager.server_certificate import shorter_lifetime
from leafward.pki.issuer import Issuer
from leafward.pki.names import module_uri
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest


def issue_identity(
    issuer: Issuer, *, hub_name: str, device_id: str, module_id: str, expiration: datetime | None, now: datetime
) -> Pair:
    """A fresh key and identity certificate: CN the module id, SAN `azureiot://hub/devices/…/modules/…`.

    An earlier `expiration` (aware) is kept to. Raises `RequestError` where that has passed, `NameFormatError` for a
    module id that is too long for a common name.
    """
    kind = profile("module_identity")
    return issue_for_module(
        issuer,
        kind,
        lambda key: CertificateRequest(
            public_key=key, common_name=module_id, uris=(module_uri(hub_name, device_id, module_id),)
        ),
        lifetime=shorter_lifetime(kind.lifetime, expiration, now),
        now=now,
    )
