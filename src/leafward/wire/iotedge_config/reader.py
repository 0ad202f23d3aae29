"""The door: the bytes of a configuration in, what it says and everything that is wrong with it out.

>>> reading = read_iotedge_config(b"hostnam = 'gw'\\n[provisioning]\\nsource = 'none'\\n", "config.toml")
>>> print(reading.faults[0])
config.toml:1: hostnam: not known, did you mean 'hostname'?
"""

from dataclasses import dataclass

from leafward.errors import Fault
from leafward.wire.iotedge_config.config_toml import config_toml
from leafward.wire.iotedge_config.config_yaml import config_yaml
from leafward.wire.iotedge_config.documents import MAX_SIZE, Branch, Unreadable, read_toml, read_yaml
from leafward.wire.iotedge_config.findings import Findings, Note
from leafward.wire.iotedge_config.values import Form, IotEdgeConfig

# Keys that a config.toml of IoT Edge has at its top, and a leafward.toml never.
_THEIRS = {
    "agent",
    "auto_reprovisioning_mode",
    "aziot_keys",
    "cert_issuance",
    "connect",
    "edge_ca",
    "hostname",
    "listen",
    "moby_runtime",
    "parent_hostname",
    "preloaded_certs",
    "preloaded_keys",
    "trust_bundle_cert",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """`config` is None only for what is no YAML or TOML. With faults it holds what could be understood."""

    config: IotEdgeConfig | None
    faults: tuple[Fault, ...]
    notes: tuple[Note, ...]


def read_iotedge_config(data: bytes, source: str, form: Form | None = None) -> Reading:
    """Reads a configuration of IoT Edge. `source` names it in faults; where `form` is None its ending tells YAML."""
    if form is None:
        form = "config.yaml" if source.lower().endswith((".yaml", ".yml")) else "config.toml"
    findings = Findings(source, lenient=form == "config.yaml")
    try:
        document = _document(data, form)
    except Unreadable as error:
        return Reading(None, (Fault(source, error.line, "", str(error), expected=_FORMS[form]),), ())
    config = config_yaml(document, findings) if form == "config.yaml" else config_toml(document, findings)
    return Reading(config, findings.faults, findings.notes)


_FORMS = {"config.yaml": "YAML in UTF-8", "config.toml": "TOML in UTF-8"}


def is_iotedge_toml(data: bytes) -> bool:
    """Whether a TOML file is IoT Edge's rather than leafward's own: its tables tell. False for what is no TOML."""
    try:
        document = _document(data, "config.toml")
    except Unreadable:
        return False
    provisioning = document.nodes.get("provisioning")
    return not _THEIRS.isdisjoint(document.nodes) or (
        isinstance(provisioning, Branch) and "source" in provisioning.nodes
    )


def _document(data: bytes, form: Form) -> Branch:
    if len(data) > MAX_SIZE:
        raise Unreadable(f"got {len(data)} octets, expected {MAX_SIZE} at most")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise Unreadable("it is not UTF-8", data.count(b"\n", 0, error.start) + 1) from None
    return read_yaml(text) if form == "config.yaml" else read_toml(text)
