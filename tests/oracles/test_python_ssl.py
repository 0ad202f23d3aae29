"""A real handshake with Python's `ssl`, strict as it is by default from 3.13 on."""

import ssl
from pathlib import Path

import pytest

from tests.oracles.hierarchies import ADDRESS, HOST, KIND_NAMES, KINDS, Ours, key_pem, ours


def handshake(mine: Ours, trusted: bytes, name: str, folder: Path, *, strict: bool = True) -> None:
    """Both ends in memory, the leaf's certificate asked for too. Raises what either end raises."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*_files(folder / "hub", mine.hub.to_pem(), key_pem(mine.hub_key)))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=mine.root_pem.decode())
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_cert_chain(*_files(folder / "leaf", mine.leaf.to_pem(), key_pem(mine.leaf_key)))
    client.load_verify_locations(cadata=trusted.decode())
    for context in (server, client) if strict else ():
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in ends * 4:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert ends[0].version()
    assert ends[1].getpeercert()


def _files(stem: Path, chain: bytes, key: bytes) -> tuple[Path, Path]:
    stem.with_suffix(".pem").write_bytes(chain)
    stem.with_suffix(".key").write_bytes(key)
    return stem.with_suffix(".pem"), stem.with_suffix(".key")


@pytest.mark.parametrize(("levels", "key_type"), KINDS, ids=KIND_NAMES)
def test_our_own_chains(levels, key_type, tmp_path):
    """By name and by address: **connected**"""
    mine = ours(levels, key_type)
    for name in (HOST, HOST.upper(), ADDRESS):
        handshake(mine, mine.root_pem, name, tmp_path)


def test_refusals(tmp_path):
    """Another name, another root of the same name: **refused**"""
    mine = ours(1, "ec-p256")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(mine, mine.root_pem, "other.local", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(mine, ours(0, "ec-p256").root_pem, HOST, tmp_path)
