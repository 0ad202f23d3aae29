"""Device CAs that are refused at start, each with the file named and what to do."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.errors import EncodingError, KeyUnavailable, LeafwardError, NotFound, RuleViolation, SettingsError
from leafward.manager.device_ca import DeviceCa, load_device_ca
from leafward.manager.leaf_certificate import issue_leaf
from leafward.manager.settings import read_settings
from leafward.manager.trust_bundle import read_roots
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.encoding import certificates_to_pem
from leafward.pki.names import common_name
from leafward.pki.verify import verify
from leafward.store.home import Home


@pytest.fixture
def load(home: Home, clock: Any) -> Callable[[], DeviceCa]:
    def once() -> DeviceCa:
        device = read_settings(home.settings).device
        return load_device_ca(home, device, roots=read_roots(device.trust_bundle), now=clock())

    return once


def certificate_of(home: Home) -> Path:
    return home.manager / "device-ca" / "certificate.pem"


def refused(load: Callable[[], DeviceCa], *named: Path, kind: type[LeafwardError] = RuleViolation) -> str:
    """The code of the refusal, which names each file and says what to do."""
    with pytest.raises(kind) as caught:
        load()
    for path in named:
        assert str(path) in str(caught.value)
    assert caught.value.hint
    return getattr(caught.value, "code", "")


def test_a_right_one_is_taken(load: Callable[[], DeviceCa], install: Any, maker: Any) -> None:
    made = install()
    device_ca = load()
    assert device_ca.chain == made.chain
    assert device_ca.root == maker.root.chain.leaf
    assert not device_ca.development


@pytest.mark.parametrize("path_length", [1, 2, None])
def test_room_for_the_workload_ca_is_enough(
    load: Callable[[], DeviceCa], install: Any, path_length: int | None
) -> None:
    install(path_length=path_length)
    load()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ca": False}, "not-a-ca"),
        ({"path_length": 0}, "path-length-exceeded"),
        ({"common_name": "iotedgegw.local"}, "common-name-equals-device-ca"),
        ({"common_name": "IotEdgeGW.Local"}, "common-name-equals-device-ca"),
        ({"key_cert_sign": False}, "key-usage-missing-cert-sign"),
    ],
)
def test_what_cannot_sign_is_refused(
    home: Home, load: Callable[[], DeviceCa], install: Any, changes: dict[str, Any], code: str
) -> None:
    install(**changes)
    assert refused(load, certificate_of(home)) == code


@pytest.mark.parametrize(
    ("left", "code"),
    [
        (timedelta(days=-1), "certificate-expired"),
        (timedelta(minutes=5), "device-ca-expiring"),
        (timedelta(seconds=1), "device-ca-expiring"),
    ],
)
def test_what_is_over_or_nearly_is_refused(
    *, home: Home, load: Callable[[], DeviceCa], install: Any, clock: Any, left: timedelta, code: str
) -> None:
    install(not_after=clock() + left)
    assert refused(load, certificate_of(home)) == code


def test_one_that_is_not_valid_yet_is_refused(
    home: Home, load: Callable[[], DeviceCa], install: Any, clock: Any
) -> None:
    install(not_before=clock() + timedelta(days=1))
    assert refused(load, certificate_of(home)) == "certificate-not-yet-valid"


def test_five_minutes_and_a_second_are_enough(load: Callable[[], DeviceCa], install: Any, clock: Any) -> None:
    install(not_after=clock() + timedelta(minutes=5, seconds=1))
    load()


def test_another_key_is_refused(home: Home, load: Callable[[], DeviceCa], maker: Any, put_device_ca: Any) -> None:
    put_device_ca(maker.device_ca().chain, ec.generate_private_key(ec.SECP256R1()))
    assert refused(load, certificate_of(home).with_name("key.pem")) == "key-mismatch"


def test_a_chain_without_its_root_is_refused(
    home: Home, load: Callable[[], DeviceCa], maker: Any, put_device_ca: Any
) -> None:
    """device CA <- intermediate, and no trust bundle"""
    made = maker.device_ca()
    put_device_ca(made.chain.without_root(), made.key)
    assert refused(load, certificate_of(home)) == "intermediate-missing"


def test_the_trust_bundle_completes_the_chain(
    load: Callable[[], DeviceCa], maker: Any, put_device_ca: Any, settings_of: Any, tmp_path: Path
) -> None:
    made = maker.device_ca()
    put_device_ca(made.chain.without_root(), made.key)
    (tmp_path / "roots.pem").write_bytes(maker.root.chain.to_pem())
    settings_of(trust_bundle=str(tmp_path / "roots.pem"))
    assert load().chain == made.chain


@pytest.mark.parametrize("with_root", [True, False])
def test_a_chain_that_does_not_reach_the_trust_bundle_is_refused(
    *,
    home: Home,
    load: Callable[[], DeviceCa],
    maker: Any,
    put_device_ca: Any,
    settings_of: Any,
    tmp_path: Path,
    with_root: bool,
) -> None:
    """device CA <- intermediate (<- root), and a trust bundle with another root of the same name"""
    made = maker.device_ca()
    put_device_ca(made.chain if with_root else made.chain.without_root(), made.key)
    (tmp_path / "roots.pem").write_bytes(type(maker)().root.chain.to_pem())
    settings_of(trust_bundle=str(tmp_path / "roots.pem"))
    assert refused(load, certificate_of(home)) in ("root-same-name-different-key", "root-not-trusted")


def test_a_trust_bundle_without_a_root_is_refused(
    load: Callable[[], DeviceCa], maker: Any, install: Any, settings_of: Any, tmp_path: Path
) -> None:
    install()
    bundle = tmp_path / "roots.pem"
    bundle.write_bytes(Chain.of(maker.intermediate.chain.leaf).to_pem())
    settings_of(trust_bundle=str(bundle))
    assert refused(load, bundle) == "root-file-is-not-root"
    bundle.write_bytes(b"nothing")
    refused(load, bundle, kind=EncodingError)
    bundle.unlink()
    refused(load, bundle, kind=NotFound)


def test_a_file_in_another_order_is_read(home: Home, load: Callable[[], DeviceCa], install: Any) -> None:
    made = install()
    certificate_of(home).write_bytes(certificates_to_pem(tuple(reversed(made.chain.certificates))))
    assert load().chain == made.chain


def test_missing_files_are_named(home: Home, load: Callable[[], DeviceCa], install: Any) -> None:
    refused(load, certificate_of(home), kind=NotFound)
    install()
    key = certificate_of(home).with_name("key.pem")
    key.rename(key.with_name("elsewhere"))
    refused(load, key, certificate_of(home), kind=NotFound)


@pytest.mark.parametrize("data", [b"", b"no certificate", b"\xff" * 100])
def test_what_is_no_certificate_is_named(home: Home, load: Callable[[], DeviceCa], install: Any, data: bytes) -> None:
    install()
    certificate_of(home).write_bytes(data)
    refused(load, certificate_of(home), kind=EncodingError)


def test_a_key_that_others_may_read_is_refused(home: Home, load: Callable[[], DeviceCa], install: Any) -> None:
    install()
    key = certificate_of(home).with_name("key.pem")
    key.chmod(0o644)
    refused(load, key, kind=KeyUnavailable)


def test_half_a_setting_is_refused(load: Callable[[], DeviceCa], settings_of: Any) -> None:
    settings_of(device_ca_certificate="/ca.pem")
    refused(load, kind=SettingsError)


def test_the_settings_name_other_files(
    *, home: Home, load: Callable[[], DeviceCa], maker: Any, put_device_ca: Any, settings_of: Any, tmp_path: Path
) -> None:
    made = maker.device_ca()
    put_device_ca(made.chain, made.key)
    elsewhere = certificate_of(home).parent.rename(tmp_path / "elsewhere")
    settings_of(device_ca_certificate=str(elsewhere / "certificate.pem"), device_ca_key=f"file:{elsewhere / 'key.pem'}")
    assert load().chain == made.chain


def test_production_refuses_a_development_root(
    home: Home, load: Callable[[], DeviceCa], install: Any, settings_of: Any
) -> None:
    made = install()
    home.maker.mkdir()
    (home.maker / "development.json").write_text(f'{{"root": "{fingerprint(made.chain.top)}"}}')
    assert load().development
    settings_of(production=True)
    assert refused(load, certificate_of(home)) == "development-certificate"


def test_a_leaf_device_certificate(home: Home, install: Any, clock: Any) -> None:
    """root <- intermediate <- device CA <- pump-7"""
    made = install()
    key = ec.generate_private_key(ec.SECP256R1())
    chain = issue_leaf(home, "pump-7", key.public_key(), now=clock())
    assert common_name(chain.leaf.subject) == "pump-7"
    assert chain.issuers == made.chain.certificates
    assert chain.leaf.public_key() == key.public_key()
    assert verify(chain, [made.chain.top], now=clock(), purpose="client").valid
