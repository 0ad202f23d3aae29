"""Where an IoT Edge configuration has its CA from, as the manager's device CA, enrolment and renewal.

IoT Edge's "Edge CA" issues the hub's certificate. Where it comes from files it is our device CA, as it was in 1.0 and
1.1. Where a CA on the device issues it, it is our workload CA, and the issuing one our device CA.
"""

from collections.abc import Mapping
from typing import Any

from leafward.manager.iotedge_tables import Tables
from leafward.manager.settings import MOST_DAYS
from leafward.pki.names import MAX_COMMON_NAME
from leafward.wire.iotedge_config.values import (
    AutoRenew,
    EstAuth,
    FilePair,
    IotEdgeConfig,
    Issuance,
    Located,
    Quickstart,
)

# What IoT Edge calls the certificate and its key, in its services and in a token.
EDGE_CA_ID = "aziot-edged-ca"
# What it names the certificate where nothing else is said (1.3 and later), with the device's id behind it.
_EDGE_CA_NAME = "aziot-edge CA"
_ISSUES_NONE = "leafward makes no CA above itself: have one at manager/device-ca of the home, or use leafward up to try"


def carry_edge_ca(config: IotEdgeConfig, tables: Tables) -> None:
    """Fills `device`, `enrolment` and `renewal` of the tables."""
    match config.edge_ca:
        case FilePair() as pair:
            tables.put_pair("device.device_ca_certificate", "device.device_ca_key", pair)
        case Quickstart() as quickstart:
            _quickstart(quickstart, tables)
        case Issuance(method=Located(value="est")) as issuance:
            _enrolment(issuance, config, tables)
        case Issuance(method=Located(value="local_ca")) as issuance:
            _local_ca(issuance, config, tables)
        case Issuance() as issuance:
            tables.note(issuance.method, _ISSUES_NONE)
            _made_here(issuance.expiry_days, issuance.subject, issuance.auto_renew, tables)
        case None:
            pass
    if config.est is not None and "enrolment" not in tables.tables:
        for url in config.est.urls.values():
            tables.note(url, "the device CA of this gateway is not issued by EST: it is not used")


def _quickstart(quickstart: Quickstart, tables: Tables) -> None:
    tables.note(quickstart.days, _ISSUES_NONE)
    _made_here(quickstart.days, quickstart.subject, quickstart.auto_renew, tables)


def _made_here(
    days: Located[int] | None, subject: Mapping[str, Located[str]], renew: AutoRenew | None, tables: Tables
) -> None:
    """What is said of a CA that IoT Edge makes on the device: it is said of the workload CA."""
    if days is not None and days.value > MOST_DAYS:
        tables.note(days, f"the workload CA lives {MOST_DAYS} days at most, or as long as the device CA")
    tables.put("renewal.workload_ca_lifetime_days", days, None if days is None else min(days.value, MOST_DAYS))
    for part in subject.values():
        tables.note(part, "the workload CA has a name of its own")
    _renewal(renew, tables)


def _renewal(renew: AutoRenew | None, tables: Tables) -> None:
    if renew is not None:
        tables.put("renewal.threshold", renew.threshold)
        tables.put("renewal.retry", renew.retry)
        tables.put("renewal.rekey", renew.rotate_key)


def _local_ca(issuance: Issuance, config: IotEdgeConfig, tables: Tables) -> None:
    if isinstance(config.local_ca, FilePair):
        tables.put_pair("device.device_ca_certificate", "device.device_ca_key", config.local_ca)
    elif config.local_ca is None:
        tables.fault(issuance.method, "there is no local CA, expected [cert_issuance.local_ca] with cert and pk")
    else:
        issued = config.local_ca.method
        tables.fault(issued, f"a local CA issued by {issued.value!r} has no place here, expected cert and pk in files")
    _made_here(issuance.expiry_days, issuance.subject, issuance.auto_renew, tables)


def _enrolment(issuance: Issuance, config: IotEdgeConfig, tables: Tables) -> None:
    method, est = issuance.method, config.est
    urls = {} if est is None else est.urls
    url = issuance.url or urls.get(EDGE_CA_ID) or urls.get("default")
    if url is None:
        tables.fault(method, "there is no server, expected url, or default in [cert_issuance.est.urls]")
        return
    tables.put("enrolment.url", url)
    _trusted(() if est is None else est.trusted, method, tables)
    auth = issuance.auth or (None if est is None else est.auth)
    if auth is None:
        tables.fault(method, "nothing says who asks, expected identity_cert, bootstrap_identity_cert or username")
    else:
        _auth(auth, tables)
    _enrolled_name(issuance, tables)
    if config.pkcs11.base_slot is not None:
        _key_in_token(config.pkcs11.base_slot, tables)
    tables.note(issuance.expiry_days, "the EST server decides how long the certificate lives, as with IoT Edge")
    _renewal(issuance.auto_renew, tables)


def _key_in_token(slot: Located[Any], tables: Tables) -> None:
    """IoT Edge makes every key in the base slot where there is one."""
    reference = tables.reference(slot, named=EDGE_CA_ID)
    if reference is not None:
        tables.put("enrolment.key", slot, str(reference))


def _trusted(files: tuple[Located[str], ...], method: Located[str], tables: Tables) -> None:
    if len(files) > 1:
        tables.fault(files[1], "a second file of trusted certificates, expected one: put all of them into it")
    elif files:
        tables.put_path("enrolment.trust", files[0])
    else:
        why = "no trusted_certs: the EST server is checked against trust_bundle_cert, not against this machine's CAs"
        tables.note(method, why)


def _auth(auth: EstAuth, tables: Tables) -> None:
    tables.put("enrolment.username", auth.username)
    tables.put_pair("enrolment.identity_certificate", "enrolment.identity_key", auth.identity)
    tables.put_pair("enrolment.bootstrap_certificate", "enrolment.bootstrap_key", auth.bootstrap)
    for pair in (auth.identity, auth.bootstrap):
        if pair is not None and pair.key.value.scheme != "file":
            tables.fault(pair.key, "a key for TLS is in a file, expected file:///")


def _enrolled_name(issuance: Issuance, tables: Tables) -> None:
    names = {part.upper(): found for part, found in issuance.subject.items()}
    for part, found in names.items():
        if part != "CN":
            tables.note(found, "a device CA is asked for by its common name alone: this part is left out")
    name = names.get("CN")
    if name is None:
        device = tables.tables.get("device", {}).get("device_id", "")
        named = f"{_EDGE_CA_NAME} {device}".strip()
        name = Located(named, issuance.method.key, issuance.method.line)
    tables.put("enrolment.common_name", name, name.value[:MAX_COMMON_NAME].rstrip())
