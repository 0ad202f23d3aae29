"""The keys of `config.yaml`, IoT Edge 1.0 and 1.1."""

from leafward.wire.iotedge_config import containers
from leafward.wire.iotedge_config.apis import CONNECT, LISTEN, api_uris
from leafward.wire.iotedge_config.certificates import file_pair
from leafward.wire.iotedge_config.documents import Branch
from leafward.wire.iotedge_config.findings import Findings
from leafward.wire.iotedge_config.provisioning import yaml_provisioning
from leafward.wire.iotedge_config.table import Table
from leafward.wire.iotedge_config.values import EdgeCa, IotEdgeConfig, Located, Quickstart

_CERTIFICATES = ("device_ca_cert", "device_ca_pk", "trusted_ca_certs")
MOST_DAYS = 65_535


def config_yaml(document: Branch, findings: Findings) -> IotEdgeConfig:
    """What the file says; what is wrong goes to `findings`."""
    with Table(document, "", findings) as root:
        containers.agent(root)
        containers.moby_runtime(root)
        containers.watchdog(root)
        containers.elevated_permissions(root)
        edge_ca, trust_bundle = _certificates(root.table("certificates"))
        return IotEdgeConfig(
            form="config.yaml",
            hostname=root.text("hostname", required=True),
            trust_bundle=trust_bundle,
            edge_ca=edge_ca,
            provisioning=yaml_provisioning(_required(root, "provisioning")),
            connect=api_uris(root.table("connect"), CONNECT),
            listen=api_uris(root.table("listen"), LISTEN),
            homedir=root.text("homedir"),
            document=document,
        )


def _required(root: Table, name: str) -> Table | None:
    if not root.has(name):
        root.fault(name, "missing, expected a table")
    return root.table(name)


def _certificates(table: Table | None) -> tuple[EdgeCa | None, Located[str] | None]:
    """The device CA and the trust bundle: all three files, or none of them, which is the quickstart."""
    if table is None:
        return None, None
    with table:
        days = table.number("auto_generated_ca_lifetime_days", least=1, most=MOST_DAYS)
        table.known(*_CERTIFICATES)
        if not table.has(*_CERTIFICATES):
            return Quickstart(days), None
        if days is not None:
            table.note("auto_generated_ca_lifetime_days", "counts only for a CA that IoT Edge makes itself")
        device_ca = file_pair(table, "device_ca_cert", "device_ca_pk", required=True)
        return device_ca, table.path("trusted_ca_certs", required=True)
