"""The keys of `config.toml`, IoT Edge 1.2 and later: what `iotedge config apply` takes apart for five services."""

from leafward.wire.iotedge_config import containers
from leafward.wire.iotedge_config.apis import CONNECT, LISTEN, api_uris
from leafward.wire.iotedge_config.certificates import (
    auto_renew,
    est_auth,
    est_url,
    file_pair,
    issuance,
    misplaced_est_keys,
)
from leafward.wire.iotedge_config.documents import Branch, Items
from leafward.wire.iotedge_config.findings import Findings
from leafward.wire.iotedge_config.locations import slot_location
from leafward.wire.iotedge_config.provisioning import toml_provisioning
from leafward.wire.iotedge_config.table import Table
from leafward.wire.iotedge_config.values import (
    EdgeCa,
    EstServer,
    FilePair,
    IotEdgeConfig,
    Issuance,
    Located,
    Pkcs11,
    Quickstart,
)

MOST_DAYS = 36_500
_MODES = ("Dynamic", "AlwaysOnStartup", "OnErrorOnly")
_NO_CLOUD = "leafward registers with no cloud"
_OTHER_LIMITS = "leafward has limits of its own"
_SERVICES = "it is between IoT Edge's own services, which leafward does not run"


def config_toml(document: Branch, findings: Findings) -> IotEdgeConfig:
    """What the file says; what is wrong goes to `findings`."""
    with Table(document, "", findings) as root:
        _without_meaning(root)
        est, local_ca = _cert_issuance(root.table("cert_issuance"))
        return IotEdgeConfig(
            form="config.toml",
            hostname=root.text("hostname"),
            parent_hostname=_parent(root),
            trust_bundle=root.path("trust_bundle_cert"),
            edge_ca=_edge_ca(root.table("edge_ca")),
            local_ca=local_ca,
            est=est,
            provisioning=toml_provisioning(_required(root, "provisioning")),
            connect=api_uris(root.table("connect"), CONNECT),
            listen=api_uris(root.table("listen"), LISTEN),
            pkcs11=_pkcs11(root.table("aziot_keys")),
            homedir=root.text("homedir"),
            imported_master_encryption_key=root.path("imported_master_encryption_key"),
            document=document,
        )


def _required(root: Table, name: str) -> Table | None:
    if not root.has(name):
        root.fault(name, "missing, expected a table")
    return root.table(name)


def _parent(root: Table) -> Located[str] | None:
    """Two names of one setting: IoT Edge's, and the identity service's."""
    parent = root.text("parent_hostname")
    other = root.text("local_gateway_hostname")
    if parent is not None and other is not None:
        root.fault("local_gateway_hostname", "stands beside parent_hostname, expected one of the two")
    return parent or other


def _edge_ca(table: Table | None) -> EdgeCa | None:
    if table is None:
        return None
    with table:
        names = ("cert", "pk", "method", "auto_generated_edge_ca_expiry_days", "common_name", "subject", "expiry_days")
        table.known(*names, "auto_renew")
        if table.has("method"):
            table.misplaced(("cert", "pk"), "stands beside method, expected files or a method")
            table.misplaced(("auto_generated_edge_ca_expiry_days",), "stands beside method, expected expiry_days")
            return issuance(table)
        misplaced_est_keys(table, "no method")
        if table.has("cert", "pk"):
            why = "a certificate from files is not made by IoT Edge: it means nothing beside cert and pk"
            table.ignored(("auto_generated_edge_ca_expiry_days", "common_name", "subject", "expiry_days"), why)
            _unused_renewal(table)
            return file_pair(table, "cert", "pk", required=True)
        return _quickstart(table)


def _unused_renewal(table: Table) -> None:
    if auto_renew(table.table("auto_renew")) is not None:
        table.note("auto_renew", "a certificate from files is renewed by whoever writes the files")


def _quickstart(table: Table) -> Quickstart:
    table.misplaced(("expiry_days",), "belongs to a method, expected auto_generated_edge_ca_expiry_days")
    days = table.number("auto_generated_edge_ca_expiry_days", least=1, most=MOST_DAYS)
    name = table.text("common_name")
    subject = {"CN": name} if name is not None else table.texts("subject")
    return Quickstart(days, subject, auto_renew(table.table("auto_renew")))


def _cert_issuance(table: Table | None) -> tuple[EstServer | None, FilePair | Issuance | None]:
    if table is None:
        return None, None
    with table:
        return _est(table.table("est")), _local_ca(table.table("local_ca"))


def _est(table: Table | None) -> EstServer | None:
    if table is None:
        return None
    with table:
        urls = table.table("urls")
        found = {} if urls is None else {name: est_url(urls, name) for name in urls.names()}
        auth = table.table("auth")
        with auth or Table(Branch(0, {}, {}), "", table.findings) as who:
            return EstServer(
                {name: url for name, url in found.items() if url is not None},
                table.paths("trusted_certs"),
                est_auth(who),
                auto_renew(table.table("identity_auto_renew")),
            )


def _local_ca(table: Table | None) -> FilePair | Issuance | None:
    if table is None:
        return None
    with table:
        if not table.is_table("cert"):
            return file_pair(table, "cert", "pk", required=True)
        table.misplaced(("pk",), "belongs to a cert in a file; the key of this one is made")
        inner = table.table("cert")
        assert inner is not None
        with inner:
            return issuance(inner)


def _pkcs11(table: Table | None) -> Pkcs11:
    if table is None:
        return Pkcs11()
    with table:
        table.ignored(("homedir_path",), _SERVICES)
        library = table.path("pkcs11_lib_path")
        return Pkcs11(library, table.parsed("pkcs11_base_slot", slot_location, show=False))


def _without_meaning(root: Table) -> None:
    """Every key that is known, and is nobody's business here."""
    containers.agent(root)
    containers.moby_runtime(root)
    containers.watchdog(root)
    containers.image_garbage_collection(root)
    containers.elevated_permissions(root)
    if root.choice("auto_reprovisioning_mode", _MODES) is not None:
        root.note("auto_reprovisioning_mode", _NO_CLOUD)
    for name in ("cloud_timeout_sec", "cloud_retries"):
        if root.number(name) is not None:
            root.note(name, _NO_CLOUD)
    if root.boolean("prefer_module_identity_cache") is not None:
        root.note("prefer_module_identity_cache", _NO_CLOUD)
    for name in ("additional_info", "manifest_trust_bundle_cert"):
        if root.path(name) is not None:
            root.note(name, _NO_CLOUD)
    _requests(root, "iotedge_max_requests", ("management", "workload"))
    _requests(root, "aziot_max_requests", ("keyd", "certd", "identityd", "tpmd"))
    _services(root)
    _tpm(root)


def _requests(root: Table, name: str, keys: tuple[str, ...]) -> None:
    table = root.table(name)
    if table is not None:
        root.note(name, _OTHER_LIMITS)
        with table:
            for key in keys:
                table.number(key)


def _services(root: Table) -> None:
    localid = root.table("localid")
    if localid is not None:
        root.note("localid", _SERVICES)
        with localid:
            localid.text("domain", required=True)
    if root.texts("preloaded_keys", show=False):
        root.note("preloaded_keys", _SERVICES)
    certificates = root.table("preloaded_certs")
    if certificates is not None and certificates.names():
        root.note("preloaded_certs", _SERVICES)
        for name in certificates.names():
            if certificates.is_text(name):
                certificates.text(name)
            else:
                certificates.free(name, Items)
    if root.has("endpoints"):
        root.note("endpoints", _SERVICES)
    root.free("endpoints")


def _tpm(root: Table) -> None:
    table = root.table("tpm")
    if table is None:
        return
    if table.names():
        root.note("tpm", "leafward's keys in a TPM have references of their own, as tpm:…")
    with table:
        table.known("tcti", "auth_key_index")
        inner = table.table("hierarchy_authorization")
        if inner is not None:
            with inner:
                inner.known("endorsement", "owner")
