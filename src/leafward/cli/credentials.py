"""What a leaf device is given to connect: a connection string, or its certificate chain and key as files."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from leafward import disk
from leafward.keys.key_store import KeyReference, delete_key, generate_key
from leafward.keys.serial import new_serial
from leafward.manager.leaf_certificate import issue_leaf
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.issuer import prepare_self_signed_leaf
from leafward.pki.key_types import parse_key_type
from leafward.store.home import Home
from leafward.store.registry import Identity
from leafward.wire.connection_string import ConnectionString


@dataclass(frozen=True)
class Credentials:
    """The files of an X.509 device: its leaf-first chain and its key."""

    certificate: Path
    private_key: Path
    thumbprint: str | None


def connection_string(identity: Identity, gateway: str) -> str | None:
    """The connection string of a device with symmetric keys; None for one with a certificate.

    HostName is the gateway too: the SDKs sign for HostName and connect to GatewayHostName, and Node's SDK drops the
    latter for certificates, so that one form works everywhere.
    """
    if identity.primary_key is None:
        return None
    return ConnectionString(
        host_name=gateway,
        device_id=identity.device_id,
        module_id=identity.module_id,
        shared_access_key=identity.primary_key,
        gateway_host_name=gateway,
        x509=False,
    ).text()


def certified_by_device_ca(home: Home, device_id: str, *, now: datetime) -> Credentials:
    """A key, and a leaf_device certificate signed by this gateway's device CA."""
    files, reference = _fresh_files(home, device_id)
    key = generate_key(reference, parse_key_type("ec-p256"))
    return _written(files, issue_leaf(home, device_id, key.public_key(), now=now))


def self_signed(home: Home, device_id: str, *, now: datetime) -> Credentials:
    """A key with a self-signed certificate, known to the registry by its SHA-256 thumbprint."""
    files, reference = _fresh_files(home, device_id)
    key = generate_key(reference, parse_key_type("ec-p256"))
    chain = prepare_self_signed_leaf(key, common_name=device_id, now=now, serial=new_serial()).sign()
    written = _written(files, chain)
    return Credentials(written.certificate, written.private_key, fingerprint(chain.leaf))


def credential_files(home: Home, device_id: str) -> Credentials:
    """Where a device's files are, whether they are there or not."""
    folder = home.devices / device_id
    return Credentials(folder / "certificate.pem", folder / "key.pem", None)


def forget(home: Home, device_id: str) -> None:
    """Removes the files that were made for a device."""
    files = credential_files(home, device_id)
    delete_key(KeyReference("file", str(files.private_key)))
    if files.certificate.parent.is_dir():
        disk.remove_file(files.certificate)
        with disk.told(f"cannot remove {files.certificate.parent}"):
            files.certificate.parent.rmdir()


def _fresh_files(home: Home, device_id: str) -> tuple[Credentials, KeyReference]:
    """Whatever a killed run left under this unregistered id is removed first."""
    forget(home, device_id)
    files = credential_files(home, device_id)
    disk.make_folder(files.certificate.parent)
    return files, KeyReference("file", str(files.private_key))


def _written(files: Credentials, chain: Chain) -> Credentials:
    disk.write_file(files.certificate, chain.to_pem(), mode=disk.PUBLIC)
    return files
