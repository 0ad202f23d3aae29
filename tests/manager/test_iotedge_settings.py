"""IoT Edge's configurations as the manager's settings: what is carried over, what is told, and where."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.errors import Fault, SettingsError
from leafward.keys.key_reference import KeyReference
from leafward.keys.passphrase import Passphrases, add_pins, in_use, use
from leafward.manager.daemon import Manager
from leafward.manager.iotedge_settings import CarriedOver, read_iotedge_settings
from leafward.manager.settings_source import is_iotedge_file, read_settings_source, settings_to_run_with
from leafward.pki.encoding import certificates_to_pem, private_key_to_pem
from leafward.pki.names import common_name, parse_host
from leafward.store.home import Home
from tests.keys.devices import PIN, SOFT_HSM, SoftHsm, soft_hsm_here

FILES = Path(__file__).parents[1] / "iotedge_files"
SOURCE = "[provisioning]\nsource = 'none'\n"
MANUAL = (
    "[provisioning]\nsource = 'manual'\niothub_hostname = 'h'\ndevice_id = 'gw-1'\n"
    "authentication = {method = 'sas', device_id_pk = {value = 'MTIz'}}\n"
)


@pytest.fixture
def carry(tmp_path: Path) -> Callable[[str], CarriedOver]:
    def once(text: str) -> CarriedOver:
        path = tmp_path / "config.toml"
        path.write_text(text)
        return read_iotedge_settings(path)

    return once


@pytest.fixture
def faults(carry: Callable[[str], CarriedOver]) -> Callable[[str], list[Fault]]:
    def once(text: str) -> list[Fault]:
        with pytest.raises(SettingsError) as caught:
            carry(text)
        return list(caught.value.faults)

    return once


@pytest.fixture
def no_secrets() -> Any:
    before = in_use()
    use(Passphrases())
    yield
    use(before)


def test_files_of_1_1() -> None:
    device = read_iotedge_settings(FILES / "1.1-x509.yaml").settings.device
    assert device.hostname == parse_host("press-6")
    assert device.device_id == "press-6"
    assert device.device_ca_certificate == Path("/var/secrets/device-ca.pem")
    assert device.device_ca_key == KeyReference.parse("file:/var/secrets/device-ca.key.pem")
    assert device.trust_bundle == Path("/var/secrets/trusted-cas.pem")


def test_addresses_of_the_apis() -> None:
    """What systemd would hand over is opened where it is reached; otherwise where the daemon listens."""
    handed = read_iotedge_settings(FILES / "1.0-quickstart.yaml")
    assert str(handed.settings.manager.workload_uri) == "unix:///var/run/iotedge/workload.sock"
    assert any(note.key == "listen.workload_uri" for note in handed.notes)
    own = read_iotedge_settings(FILES / "1.1-x509.yaml").settings.manager
    assert str(own.management_uri) == "unix:///var/lib/iotedge/mgmt.sock"
    tcp = read_iotedge_settings(FILES / "1.0-tpm.yaml").settings.manager
    assert str(tcp.workload_uri) == "http://127.0.0.1:15581"
    assert str(read_iotedge_settings(FILES / "1.1-windows.yaml").settings.manager.workload_uri).startswith(
        "unix:///C:/"
    )


def test_est_of_1_3() -> None:
    carried = read_iotedge_settings(FILES / "1.3-est.toml")
    enrolment, renewal = carried.settings.enrolment, carried.settings.renewal
    assert enrolment is not None
    assert enrolment.url == "https://est.plant.example:8443/.well-known/est/device_ca"
    assert enrolment.trust == Path("/var/secrets/est-ca.pem")
    assert enrolment.common_name == "press-10 CA"
    assert enrolment.bootstrap_certificate == Path("/var/secrets/bootstrap.pem")
    assert enrolment.bootstrap_key == KeyReference.parse("file:/var/secrets/bootstrap.key.pem")
    assert (enrolment.username, enrolment.password) == ("plant", "est-password")
    assert (renewal.threshold, renewal.retry, renewal.rekey) == ("20day", "30min", False)
    told = {note.key for note in carried.notes}
    assert {"edge_ca.subject.L", "edge_ca.expiry_days", "provisioning.source"} <= told


def test_an_inline_password_is_in_no_repr_dump_or_digest() -> None:
    carried = read_iotedge_settings(FILES / "1.3-est.toml")
    assert "est-password" not in f"{carried!r}{carried.settings!r}{carried.settings.model_dump_json()}"
    enrolment = carried.settings.enrolment
    assert enrolment is not None
    other = carried.settings.model_copy(update={"enrolment": enrolment.model_copy(update={"password": "x"})})
    assert other.digest == carried.settings.digest


def test_a_name_that_iotedge_would_make(carry: Callable[[str], CarriedOver]) -> None:
    carried = carry(
        f"{MANUAL}[edge_ca]\nmethod = 'est'\nurl = 'https://e/.well-known/est'\nusername = 'u'\npassword = 'p'\n"
    )
    assert carried.settings.enrolment is not None
    assert carried.settings.enrolment.common_name == "aziot-edge CA gw-1"
    assert carried.settings.enrolment.key is None


def test_a_local_ca_is_the_device_ca() -> None:
    settings = read_iotedge_settings(FILES / "1.4-local-ca.toml").settings
    assert settings.device.device_ca_certificate == Path("/var/secrets/local-ca.pem")
    assert settings.renewal.workload_ca_lifetime_days == 60
    assert settings.renewal.threshold == "70%"


def test_a_quickstart_has_no_device_ca_and_says_so() -> None:
    carried = read_iotedge_settings(FILES / "1.5-everything.toml")
    assert carried.settings.device.device_ca_certificate is None
    assert carried.settings.renewal.workload_ca_lifetime_days == 3650
    told = " ".join(note.message for note in carried.notes)
    assert "leafward up" in told
    assert "cannot decrypt" in told
    assert [note.line or 0 for note in carried.notes] == sorted(note.line or 0 for note in carried.notes)


def test_keys_in_a_token() -> None:
    carried = read_iotedge_settings(FILES / "1.2-pkcs11.toml")
    key = carried.settings.device.device_ca_key
    assert str(key) == "pkcs11:slot-id=0;object=edge%20ca?module-path=/usr/lib/softhsm/libsofthsm2.so"
    (pin,) = carried.pins.values()
    assert pin.text == "4711"
    assert "4711" not in f"{carried!r}{carried.settings!r}{carried.settings.model_dump_json()}{carried.pins!r}"
    assert carried.place("device.device_ca_key") == ("edge_ca.pk", 20)


def test_new_keys_go_into_the_base_slot(carry: Callable[[str], CarriedOver]) -> None:
    carried = carry(
        f"{SOURCE}[aziot_keys]\npkcs11_base_slot = 'pkcs11:token=Key%20pairs?pin-value=4711'\n"
        "[edge_ca]\nmethod = 'est'\nurl = 'https://e/.well-known/est'\nusername = 'u'\npassword = 'p'\n"
    )
    assert carried.settings.enrolment is not None
    assert str(carried.settings.enrolment.key) == "pkcs11:token=Key%20pairs;object=aziot-edged-ca"
    assert carried.pins["the token token=Key pairs"].text == "4711"


def test_the_device_id_may_be_the_name_in_a_certificate(
    carry: Callable[[str], CarriedOver], tmp_path: Path, maker: Any
) -> None:
    (tmp_path / "id.pem").write_bytes(certificates_to_pem([maker.root.chain.leaf]))
    text = "[provisioning]\nsource = 'dps'\nglobal_endpoint = 'e'\nid_scope = 's'\n[provisioning.attestation]\n"
    identity = f"method = 'x509'\nidentity_cert = 'file://{tmp_path}/{{}}'\nidentity_pk = 'file:///k'\n"
    with pytest.raises(SettingsError) as caught:
        carry(text + identity.format("id.pem"))
    (fault,) = caught.value.faults
    assert "Test Root" in fault.message
    assert (fault.key, fault.line) == ("provisioning.attestation.identity_cert", 7)
    assert any("cannot be read" in note.message for note in carry(text + identity.format("none.pem")).notes)


EST = "[edge_ca]\nmethod = 'est'\nusername = 'u'\npassword = 'p'\n"
LISTEN = "[listen]\nmanagement_uri = 'unix:///m'\nworkload_uri = "


@pytest.mark.parametrize(
    ("text", "key", "told"),
    [
        ("hostname = 'a_b'", "hostname", "underscore"),
        ("hostname = '*.local'", "hostname", "no host name"),
        ("parent_hostname = '-x-'", "parent_hostname", "no host name"),
        ("[edge_ca]\nmethod = 'local_ca'", "edge_ca.method", "cert_issuance.local_ca"),
        (
            "[edge_ca]\nmethod = 'local_ca'\n[cert_issuance.local_ca.cert]\nmethod = 'est'",
            "cert_issuance.local_ca.cert.method",
            "no place",
        ),
        (EST + "url = 'http://e/.well-known/est'", "edge_ca.url", "https://"),
        (EST + "url = 'https://e/x'", "edge_ca.url", "/.well-known/est"),
        (EST, "edge_ca.method", "no server"),
        ("[edge_ca]\nmethod = 'est'\nurl = 'https://e/.well-known/est'", "edge_ca.method", "who asks"),
        ("[edge_ca]\ncert = '/c'\npk = 'pkcs11:token=a;object=b;x=1?pin-value=4711'", "edge_ca.pk", "not understood"),
        (LISTEN + "'http://0.0.0.0:1'", "listen.workload_uri", "other machines"),
        (LISTEN + "'unix:///m'", "listen.workload_uri", "an address for each"),
        (LISTEN + f"'unix:///{'m' * 100}'", "listen.workload_uri", "too long"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_over_is_told_where_it_stands(
    faults: Callable[[str], list[Fault]], text: str, key: str, told: str
) -> None:
    (fault,) = faults(f"{text}\n{SOURCE}")
    assert fault.key == key
    assert fault.line is not None
    assert told in fault.message
    assert "4711" not in repr(fault)


def test_two_files_of_trusted_certificates_are_one_too_many(faults: Callable[[str], list[Fault]]) -> None:
    text = "[cert_issuance.est]\ntrusted_certs = ['file:///a',\n'file:///b']\n[cert_issuance.est.urls]\ndefault = 'https://e/.well-known/est'\n"
    (fault,) = faults(f"{SOURCE}{text}[edge_ca]\nmethod = 'est'\nusername = 'u'\npassword = 'p'\n")
    assert (fault.key, fault.line) == ("cert_issuance.est.trusted_certs.1", 5)


def test_a_key_for_tls_in_a_token_is_refused(faults: Callable[[str], list[Fault]]) -> None:
    text = "[edge_ca]\nmethod = 'est'\nurl = 'https://e/.well-known/est'\nidentity_cert = 'file:///c'\n"
    (fault,) = faults(f"{SOURCE}{text}identity_pk = 'pkcs11:token=a;object=b?pin-value=4711'\n")
    assert fault.key == "edge_ca.identity_pk"
    assert "in a file" in fault.message


def test_faults_of_reading_and_carrying_over_are_told_together(faults: Callable[[str], list[Fault]]) -> None:
    found = faults(f"hostname = 'a_b'\nhostnam = 'x'\n{SOURCE}[edge_ca]\nmethod = 'local_ca'\n")
    assert [fault.key for fault in found] == ["hostname", "hostnam", "edge_ca.method"]


@pytest.mark.parametrize(
    ("name", "text", "theirs"),
    [
        ("config.yaml", "", True), ("x.yml", "", True), ("config.toml", "[edge_ca]", True),
        ("config.toml", "[device]", False), ("leafward.toml", "hostname = 'x'", False), ("leafward.toml", "", False),
    ],
)  # fmt: skip
def test_which_file_is_iotedges(tmp_path: Path, name: str, text: str, theirs: bool) -> None:
    (tmp_path / name).write_text(text)
    assert is_iotedge_file(tmp_path / name) is theirs


def test_a_leafward_toml_has_its_own_lines(tmp_path: Path) -> None:
    path = tmp_path / "leafward.toml"
    path.write_text("[device]\n\nhostname = 'gw.local'\n")
    source = read_settings_source(path)
    assert source.place("device.hostname") == ("device.hostname", 3)
    assert source.place("device.trust_bundle") == ("device.trust_bundle", 1)
    assert not source.is_iotedge
    assert not source.holds_secrets


@pytest.mark.parametrize("form", ["toml", "yaml"])
async def test_a_manager_runs_with_it_as_it_is(tmp_path: Path, maker: Any, clock: Any, form: str) -> None:
    """root -> intermediate -> device CA of the file -> workload CA -> hub certificate for the file's hostname."""
    made = maker.device_ca()
    (tmp_path / "ca.pem").write_bytes(made.chain.to_pem())
    (tmp_path / "ca.key.pem").write_bytes(private_key_to_pem(made.key))
    (tmp_path / "ca.key.pem").chmod(0o600)
    (tmp_path / "roots.pem").write_bytes(certificates_to_pem([maker.root.chain.leaf]))
    path, uri = tmp_path / f"config.{form}", f"file://{tmp_path}"
    if form == "toml":
        edge_ca = f"[edge_ca]\ncert = '{uri}/ca.pem'\npk = '{uri}/ca.key.pem'\n"
        path.write_text(f"hostname = 'Press-9.local'\ntrust_bundle_cert = '{uri}/roots.pem'\n{MANUAL}{edge_ca}")
    else:
        names = ("device_ca_cert: ca.pem", f"device_ca_pk: {uri}/ca.key.pem", "trusted_ca_certs: ./roots.pem")
        certificates = "certificates:\n  " + "\n  ".join(names)
        string = "HostName=h;DeviceId=gw-1;SharedAccessKey=MTIz"
        provisioning = f"provisioning: {{source: manual, device_connection_string: '{string}'}}"
        path.write_text(f"hostname: Press-9.local\n{certificates}\n{provisioning}\n")
    async with Manager(Home(tmp_path / "home"), clock=clock, settings=settings_to_run_with(path)) as manager:
        assert manager.standing.device_ca.chain.leaf == made.chain.leaf
        assert manager.standing.settings.device.device_id == "gw-1"
        assert common_name(manager.standing.hub.certificate.subject) == "press-9.local"


@pytest.fixture
def soft_hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    yield from soft_hsm_here(tmp_path / "hsm", monkeypatch)


@pytest.mark.usefixtures("no_secrets")
def test_a_pin_in_the_file_opens_the_token(tmp_path: Path, soft_hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    from leafward.keys.key_store import generate_key, open_key
    from leafward.pki.key_types import KEY_TYPES

    monkeypatch.delenv("LEAFWARD_PKCS11_MODULE")
    token = soft_hsm.label.replace(" ", "%20")
    path = tmp_path / "config.toml"
    path.write_text(
        f"{SOURCE}[aziot_keys]\npkcs11_lib_path = '{SOFT_HSM}'\n[edge_ca]\ncert = 'file:///c'\n"
        f"pk = 'pkcs11:token={token};object=edge%20ca?pin-value={PIN.replace(' ', '%20')}'\n"
    )
    carried = read_iotedge_settings(path)
    add_pins(carried.pins)
    reference = carried.settings.device.device_ca_key
    assert reference is not None
    assert PIN not in str(reference)
    made = generate_key(reference, KEY_TYPES["ec-p256"])
    opened = open_key(reference)
    assert isinstance(opened, ec.EllipticCurvePrivateKey)
    assert opened.public_key() == made.public_key()
