"""Real-looking configurations of each version, and every kind of fault with its line."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import Fault
from leafward.wire.iotedge_config.reader import is_iotedge_toml, read_iotedge_config
from leafward.wire.iotedge_config.values import (
    ApiUri,
    EstAuth,
    FilePair,
    IotEdgeConfig,
    Issuance,
    KeyLocation,
    Located,
    Quickstart,
    Secret,
)

FILES = Path(__file__).parents[2] / "iotedge_files"
NAMES = sorted(path.name for path in FILES.iterdir())
SECRETS = ("c2VjcmV0", "4711", "est-password", "registry-password", "hello", "world")
PROVISIONED = "[provisioning]\nsource = 'none'\n"


def read(name: str) -> IotEdgeConfig:
    reading = read_iotedge_config((FILES / name).read_bytes(), name)
    assert reading.faults == ()
    assert reading.config is not None
    for note in reading.notes:
        assert note.line
        assert str(note).startswith(f"{name}:{note.line}: ")
    return reading.config


def value(found: Located[Any] | None) -> Any:
    assert found is not None
    return found.value


@pytest.mark.parametrize("name", NAMES)
def test_each_is_read_without_a_fault_and_shows_no_secret(name: str) -> None:
    config = read(name)
    assert config.form == ("config.yaml" if name.endswith(".yaml") else "config.toml")
    assert not any(secret in repr(config) for secret in SECRETS)
    assert is_iotedge_toml((FILES / name).read_bytes()) is name.endswith(".toml")


def test_each_value_has_its_key_and_line() -> None:
    config = read("1.1-x509.yaml")
    rows = (FILES / "1.1-x509.yaml").read_text().split("\n")
    assert config.hostname == Located("press-6", "hostname", rows.index('hostname: "press-6"') + 1)
    assert config.trust_bundle is not None
    assert "trusted_ca_certs" in rows[config.trust_bundle.line - 1]
    assert config.trust_bundle.key == "certificates.trusted_ca_certs"


def test_1_0_with_a_connection_string() -> None:
    config = read("1.0-quickstart.yaml")
    assert config.edge_ca is None
    assert config.provisioning is not None
    assert value(config.provisioning.source) == "manual"
    assert value(config.provisioning.method) == "connection_string"
    assert value(config.provisioning.device_id) == "press-4"
    assert value(config.provisioning.iothub_hostname) == "plant.azure-devices.net"
    assert value(config.provisioning.symmetric_key) == Secret("c2VjcmV0LXByZXNzLTQ=")
    assert value(config.listen.workload) == ApiUri("fd", "iotedge.socket")
    assert value(config.connect.management) == ApiUri("unix", "/var/run/iotedge/mgmt.sock")
    assert value(config.homedir) == "/var/lib/iotedge"


def test_1_0_with_a_registration_id_alone_means_a_tpm() -> None:
    config = read("1.0-tpm.yaml")
    assert config.provisioning is not None
    assert value(config.provisioning.method) == "tpm"
    assert value(config.provisioning.registration_id) == "press-5"
    assert value(config.hostname) == "192.0.2.17"


def test_1_1_with_a_device_ca_from_files() -> None:
    config = read("1.1-x509.yaml")
    assert isinstance(config.edge_ca, FilePair)
    assert value(config.edge_ca.certificate) == "/var/secrets/device-ca.pem"
    assert value(config.edge_ca.key) == KeyLocation("file", "/var/secrets/device-ca.key.pem")
    assert config.provisioning is not None
    assert isinstance(config.provisioning.identity, FilePair)
    assert value(config.provisioning.id_scope) == "0ne00112233"


def test_1_1_of_windows() -> None:
    config = read("1.1-windows.yaml")
    assert isinstance(config.edge_ca, FilePair)
    assert value(config.edge_ca.certificate) == "C:\\secrets\\device-ca.pem"
    assert value(config.trust_bundle) == "C:/secrets/trusted-cas.pem"
    assert str(value(config.listen.workload)) == "unix:///C:/ProgramData/iotedge/workload/sock"


def test_1_2_takes_a_key_without_padding() -> None:
    config = read("1.2-files.toml")
    assert config.provisioning is not None
    assert value(config.provisioning.symmetric_key) == Secret("c2VjcmV0LXByZXNzLTg=")
    assert isinstance(config.edge_ca, FilePair)


def test_1_2_with_keys_in_a_token() -> None:
    config = read("1.2-pkcs11.toml")
    assert isinstance(config.edge_ca, FilePair)
    assert value(config.edge_ca.key) == KeyLocation("pkcs11", "slot-id=0;object=edge%20ca", Secret("4711"))
    assert value(config.pkcs11.library) == "/usr/lib/softhsm/libsofthsm2.so"
    assert value(config.pkcs11.base_slot) == KeyLocation("pkcs11", "slot-id=0", Secret("4711"))
    assert value(config.parent_hostname) == "hall-2.plant.example"
    assert config.provisioning is not None
    assert value(config.provisioning.method) == "sas"
    assert isinstance(value(config.provisioning.symmetric_key), KeyLocation)


def test_1_3_with_est() -> None:
    config = read("1.3-est.toml")
    ca, est = config.edge_ca, config.est
    assert isinstance(ca, Issuance)
    assert value(ca.method) == "est"
    assert (ca.url, ca.auth) == (None, None)
    assert {name: value(part) for name, part in ca.subject.items()} == {"L": "Hall 2", "CN": "press-10 CA"}
    assert value(ca.expiry_days) == 90
    assert ca.auto_renew is not None
    assert value(ca.auto_renew.rotate_key) is False
    assert value(ca.auto_renew.threshold) == "20day"
    assert est is not None
    assert [value(path) for path in est.trusted] == ["/var/secrets/est-ca.pem"]
    assert set(est.urls) == {"default", "aziot-edged-ca"}
    assert isinstance(est.auth, EstAuth)
    assert value(est.auth.password) == Secret("est-password")
    assert est.auth.bootstrap is not None
    assert est.auth.identity is None
    assert config.provisioning is not None
    assert isinstance(config.provisioning.identity, Issuance)
    assert value(config.provisioning.payload) == "/var/secrets/payload.json"


def test_1_4_with_a_local_ca() -> None:
    config = read("1.4-local-ca.toml")
    assert isinstance(config.local_ca, FilePair)
    assert isinstance(config.edge_ca, Issuance)
    assert value(config.edge_ca.method) == "local_ca"
    assert value(config.edge_ca.subject["CN"]) == "press-11 CA"


def test_1_5_with_everything() -> None:
    config = read("1.5-everything.toml")
    assert isinstance(config.edge_ca, Quickstart)
    assert value(config.edge_ca.days) == 4000
    assert value(config.parent_hostname) == "hall-2"
    assert value(config.trust_bundle) == "/var/secrets/trust bundle.pem"
    assert value(config.imported_master_encryption_key).endswith("master.enc.key")


def test_what_means_nothing_here_is_noted() -> None:
    reading = read_iotedge_config((FILES / "1.5-everything.toml").read_bytes(), "config.toml")
    assert {note.key for note in reading.notes} == {
        "agent", "allow_elevated_docker_permissions", "additional_info", "auto_reprovisioning_mode",
        "aziot_keys.homedir_path", "aziot_max_requests", "cloud_retries", "cloud_timeout_sec",
        "image_garbage_collection",
        "iotedge_max_requests", "localid", "moby_runtime", "prefer_module_identity_cache", "preloaded_certs",
        "preloaded_keys", "tpm", "watchdog",
    }  # fmt: skip


# What is wrong -> a sentence of the fault; each stands in a line that ends with a '#'.
TOML_FAULTS = [
    ("hostnam = 'x' #", "did you mean 'hostname'?"),
    ("Parent-Hostname = 'x' #", "did you mean 'parent_hostname'?"),
    ("zzz = 1 #", "known are"),
    ("hostname = 7 #", "got '7', expected text"),
    ("hostname = '' #", "empty, expected a value"),
    ("hostname = '<ADD HOSTNAME HERE>' #", "what the template says"),
    ("trust_bundle_cert = 'trust.pem' #", "expected file:///"),
    ("trust_bundle_cert = 'https://x/y' #", "'https'"),
    ("auto_reprovisioning_mode = 'dynamic' #", "'Dynamic'"),
    ("cloud_retries = 'x' #", "expected a whole number"),
    ("cloud_retries = -1 #", "expected 0 to"),
    ("prefer_module_identity_cache = 'yes' #", "expected true or false"),
    ("agent = 'x' #", "expected a table"),
    ("parent_hostname = 'x'\nlocal_gateway_hostname = 'y' #", "one of the two"),
    ("[agent]\nimage = 'x' #", "not known"),
    ("[agent.config]\nauth = 'x' #", "expected a table"),
    ("[watchdog]\nmax_retries = 'often' #", "'infinite'"),
    ("[connect] #\nworkload_uri = 'unix:///x'", "missing"),
    ("[connect]\nmanagement_uri = 'unix:///x'\nworkload_uri = 'fd://x' #", "unix:// or http://"),
    ("[listen]\nmanagement_uri = 'unix:///x'\nworkload_uri = 'tcp://x' #", "expected unix://"),
    ("[edge_ca] #\ncert = 'file:///x'", "missing"),
    ("[edge_ca]\ncert = 'file:///x'\npk = 'tpm:0x81' #", "pkcs11:"),
    ("[edge_ca]\nmethod = 'scep' #", "expected 'est' or 'local_ca' or 'self_signed'"),
    ("[edge_ca]\nmethod = 'est'\ncert = 'file:///x' #", "beside method"),
    ("[edge_ca]\nmethod = 'local_ca'\nurl = 'https://x/.well-known/est' #", "belongs to method = 'est'"),
    ("[edge_ca]\nurl = 'https://x/.well-known/est' #", "got no method"),
    ("[edge_ca]\nmethod = 'est'\nurl = 'example.org' #", "expected https://"),
    ("[edge_ca]\nmethod = 'est'\nurl = 'https://u:4711@example.org' #", "no name or password"),
    ("[edge_ca] #\nmethod = 'est'\nusername = 'x'", "missing"),
    ("[edge_ca]\nmethod = 'est'\nexpiry_days = 0 #", "expected 1 to"),
    ("[edge_ca]\nmethod = 'est'\nsubject = {CN = 'a'}\ncommon_name = 'x' #", "one of the two"),
    ("[edge_ca.auto_renew]\nthreshold = '100%' #", "1% to 99%"),
    ("[edge_ca.auto_renew]\nretry = 'soon' #", "expected a percentage"),
    ("[edge_ca.auto_renew]\nrotate_keys = true #", "did you mean 'rotate_key'?"),
    ("[edge_ca]\nexpiry_days = 9 #", "auto_generated_edge_ca_expiry_days"),
    ("[cert_issuance.est]\ntrusted_certs = ['file:///a',\n'b'] #", "expected file:///"),
    ("[cert_issuance.est]\ntrusted_certs = 'file:///a' #", "expected a list"),
    ("[cert_issuance.est.urls]\ndefault = 'ftp://x' #", "expected https://"),
    ("[cert_issuance.local_ca] #\ncert = 'file:///a'", "missing"),
    ("[aziot_keys]\npkcs11_base_slot = 'pkcs11:object=x' #", "token=LABEL"),
    ("[tpm]\ntcti_path = 'x' #", "not known"),
    ("[[moby_runtime.network.ipam.config]]\n[moby_runtime.network] #", "missing"),
    ("[moby_runtime.network]\nname = 'n'\nipam = {config = [1]} #", "expected a table"),
    ("[imagegc] #", "not known"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), TOML_FAULTS)
def test_a_fault_of_a_config_toml(text: str, told: str) -> None:
    text = text if "[" in text else f"{text}\n"
    one_fault(f"{text}\n{PROVISIONED}", "config.toml", told)


DPS = "source = 'dps'\nid_scope = 's'\nglobal_endpoint = 'e'\n[provisioning.attestation]\n"
MANUAL = "source = 'manual'\niothub_hostname = 'h'\ndevice_id = 'd'\n"
STRING = "source = 'manual'\nconnection_string = "
KEY = "method = 'symmetric_key'\nregistration_id = 'x'\n"
PROVISIONING_FAULTS = [
    ("source = 'manuel' #", "expected 'manual' or 'dps' or 'none'"),
    (STRING + "'HostName=h;DeviceId=d' #", "SharedAccessKey"),
    (STRING + "'HostName=h;SharedAccessKey=4711' #", "no DeviceId"),
    (STRING + "'HostName=h;DeviceId=d;SharedAccessKey=4711'\ndevice_id = 'x' #", "one of the two"),
    (STRING + "'HostName=h;DeviceId=d;ModuleId=m;SharedAccessKey=4711' #", "expected HostName"),
    (MANUAL + "[provisioning.authentication]\nmethod = 'tpm' #", "expected 'sas' or 'x509'"),
    (MANUAL + "[provisioning.authentication] #\nmethod = 'sas'", "device_id_pk"),
    (MANUAL + "authentication = {method = 'sas', device_id_pk = {value = '4711!'}} #", "base64"),
    (
        MANUAL + "authentication = {method = 'sas', device_id_pk = {value = '4711', uri = 'file:///k'}} #",
        "one of the two",
    ),
    (MANUAL + "[provisioning.authentication] #\nmethod = 'x509'\nidentity_pk = 'file:///k'", "missing"),
    (DPS + "method = 'tmp' #\nregistration_id = 'x'", "'tpm'"),
    ("[provisioning] #\nsource = 'dps'\nid_scope = 's'\nglobal_endpoint = 'e'", "missing"),
    ("[provisioning] #\n" + DPS.replace("id_scope = 's'\n", "") + "method = 'tpm'\nregistration_id = 'x'", "missing"),
    (DPS.removesuffix("\n") + " #\nmethod = 'tpm'", "missing"),
    (DPS + KEY + "symmetric_key = '4711' #", "expected a table"),
    (DPS + KEY + "symmetric_key = {value = '4711!'} #", "base64"),
    (
        DPS + "method = 'x509'\nidentity_cert = {method = 'est'}\nidentity_pk = 'file:///k' #",
        "the key of this one is made",
    ),
    ("source = 'none'\nscope_id = 'x' #", "did you mean 'id_scope'?"),
]


@pytest.mark.parametrize(("text", "told"), PROVISIONING_FAULTS)
def test_a_fault_of_provisioning(text: str, told: str) -> None:
    text = text if text.startswith("[") else f"[provisioning]\n{text}"
    (fault,) = read_iotedge_config(text.encode(), "config.toml").faults
    assert told in f"{fault}"
    assert "4711" not in f"{fault!r}"
    assert text.split("\n")[(fault.line or 0) - 1].endswith("#")


YAML_FAULTS = [
    ("hostnme: x #", "did you mean 'hostname'?"),
    ("certificates: #\n  device_ca_cert: /x\n  trusted_ca_certs: /y", "missing"),
    ("certificates:\n  device_ca_cert: [1] #\n  device_ca_pk: /x\n  trusted_ca_certs: /y", "got a list, expected text"),
    ("certificates:\n  auto_generated_ca_lifetime_days: 70000 #", "expected 1 to 65535"),
    ("certificates:\n  auto_generated_ca_lifetime_days: many #", "expected a whole number"),
    ("allow_elevated_docker_permissions: maybe #", "expected true or false"),
    ("parent_hostname: x #", "not known"),
    ("watchdog:\n  max_retry: 1 #", "did you mean 'max_retries'?"),
    ("listen:\n  management_uri: fd://x\n  workload_uri: /x #", "expected unix://"),
    ("moby_runtime: [] #", "expected a table"),
]


@pytest.mark.parametrize(("text", "told"), YAML_FAULTS)
def test_a_fault_of_a_config_yaml(text: str, told: str) -> None:
    rest = "provisioning: {source: external, endpoint: 'http://localhost:9999'}\nhostname: gw\n"
    one_fault(f"{text}\n{rest}", "config.yaml", told)


def one_fault(text: str, source: str, told: str) -> None:
    """One fault, at the line that ends with '#'."""
    found: list[Fault] = list(read_iotedge_config(text.encode(), source).faults)
    assert len(found) == 1, found
    line = next(index for index, row in enumerate(text.split("\n"), 1) if row.endswith("#"))
    assert found[0].line == line
    assert told in found[0].message
    assert found[0].expected
    assert "4711" not in f"{found[0]!r}"


def test_all_faults_at_once() -> None:
    text = "hostnam = 1\ncloud_retries = 'x'\n[edge_ca]\nmethod = 'scep'\nkey = 1\n[agnt]\n"
    found = read_iotedge_config(text.encode(), "config.toml").faults
    assert [(fault.line, fault.key) for fault in found] == [
        (1, "provisioning"), (1, "hostnam"), (2, "cloud_retries"), (4, "edge_ca.method"), (5, "edge_ca.key"),
        (6, "agnt"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "source"),
    [(b"a = \n", "config.toml"), (b"a: [\n", "config.yaml"), (b"\xff", "config.toml"), (b"#" * 300_000, "config.yaml")],
)
def test_what_is_no_text_of_its_kind_has_one_fault(data: bytes, source: str) -> None:
    reading = read_iotedge_config(data, source)
    assert reading.config is None
    (fault,) = reading.faults
    assert fault.expected in ("TOML in UTF-8", "YAML in UTF-8")


@pytest.mark.parametrize(
    ("text", "theirs"),
    [
        ("", False), ("[device]\nhostname = 'x'", False), ("[provisioning]\nid_scope = 'x'", False), ("a = ", False),
        ("[provisioning]\nsource = 'dps'", True), ("hostname = 'x'", True), ("[edge_ca]", True),
    ],
)  # fmt: skip
def test_which_toml_is_iotedges(text: str, theirs: bool) -> None:
    assert is_iotedge_toml(text.encode()) is theirs


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(NAMES), st.data())
def test_a_line_less_or_changed_is_a_fault_or_a_config(name: str, data: st.DataObject) -> None:
    """Whatever is left out or misspelt: a fault with a line of the file, or a configuration. Never a secret in it."""
    rows = (FILES / name).read_text().split("\n")
    place = data.draw(st.integers(0, len(rows) - 1))
    change = data.draw(st.sampled_from([lambda row: "", lambda row: row[:-1], lambda row: row.replace("_", "", 1)]))
    rows[place] = change(rows[place])
    reading = read_iotedge_config("\n".join(rows).encode(), name)
    for fault in reading.faults:
        assert fault.line is None or 1 <= fault.line <= len(rows)
        assert not re.search("|".join(SECRETS), f"{fault!r}{fault}")
    assert reading.config is not None or len(reading.faults) == 1


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([name for name in NAMES if name.endswith(".toml")]), st.data())
def test_any_kind_of_value_anywhere_is_survived(name: str, data: st.DataObject) -> None:
    rows = (FILES / name).read_text().split("\n")
    places = [place for place, row in enumerate(rows) if re.fullmatch(r"[a-zA-Z_]+ = [^\[{].*", row)]
    place = data.draw(st.sampled_from(places))
    key = rows[place].partition(" = ")[0]
    rows[place] = (
        f"{key} = {data.draw(st.sampled_from(['1', 'true', '{}', '[]', '[{}]', '1.5', '1979-05-27', '{a = 1}']))}"
    )
    reading = read_iotedge_config("\n".join(rows).encode(), name)
    assert reading.config is not None
    assert all(fault.line is not None for fault in reading.faults)
