"""Signing, encrypting and decrypting for modules."""

import hashlib
import hmac
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leafward.errors import Damaged, EncodingError
from leafward.manager.module_secrets import MasterKey, sign

WHO = {"module": "modA", "generation_id": "g1", "vector": b"iv"}


def test_sign_is_hmac_sha256() -> None:
    assert sign(b"k" * 32, b"data") == hmac.new(b"k" * 32, b"data", hashlib.sha256).digest()


@given(plaintext=st.binary(max_size=300), vector=st.binary(max_size=64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_encrypted_decrypts(tmp_path: Path, plaintext: bytes, vector: bytes) -> None:
    key = MasterKey(tmp_path / "master.key")
    who = {**WHO, "vector": vector}
    assert key.decrypt(key.encrypt(plaintext, **who), **who) == plaintext


@pytest.mark.parametrize("other", [{"module": "modB"}, {"generation_id": "g2"}, {"vector": b"iw"}, {"vector": b""}])
def test_another_module_generation_or_vector_reads_nothing(tmp_path: Path, other: dict[str, object]) -> None:
    key = MasterKey(tmp_path / "master.key")
    with pytest.raises(EncodingError):
        key.decrypt(key.encrypt(b"secret", **WHO), **{**WHO, **other})  # type: ignore[arg-type]


def test_names_that_join_to_the_same_text_are_kept_apart(tmp_path: Path) -> None:
    """AAD "ab" + "c" equals "a" + "bc"; the subkeys differ."""
    key = MasterKey(tmp_path / "master.key")
    ciphertext = key.encrypt(b"secret", module="ab", generation_id="c", vector=b"iv")
    with pytest.raises(EncodingError):
        key.decrypt(ciphertext, module="a", generation_id="bc", vector=b"iv")


def test_a_vector_used_twice_gives_two_ciphertexts(tmp_path: Path) -> None:
    key = MasterKey(tmp_path / "master.key")
    assert key.encrypt(b"secret", **WHO) != key.encrypt(b"secret", **WHO)


@pytest.mark.parametrize("position", [0, 1, 17, -1])
def test_a_changed_byte_is_noticed(tmp_path: Path, position: int) -> None:
    key = MasterKey(tmp_path / "master.key")
    ciphertext = bytearray(key.encrypt(b"secret", **WHO))
    ciphertext[position] ^= 1
    with pytest.raises(EncodingError):
        key.decrypt(bytes(ciphertext), **WHO)


@pytest.mark.parametrize("ciphertext", [b"", b"\x01", b"\x01" + bytes(31)])
def test_too_short_is_no_ciphertext(tmp_path: Path, ciphertext: bytes) -> None:
    with pytest.raises(EncodingError):
        MasterKey(tmp_path / "master.key").decrypt(ciphertext, **WHO)


def test_the_key_is_private_lasts_and_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    ciphertext = MasterKey(path).encrypt(b"secret", **WHO)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = MasterKey(path)
    assert again.decrypt(ciphertext, **WHO) == b"secret"
    assert path.read_bytes().hex() not in repr(again)
    assert repr(path.read_bytes()) not in repr(again)


def test_a_damaged_key_is_refused_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(b"short")
    with pytest.raises(Damaged, match=r"master\.key"):
        MasterKey(path).encrypt(b"secret", **WHO)
    assert path.read_bytes() == b"short"
