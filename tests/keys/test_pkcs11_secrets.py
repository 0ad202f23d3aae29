"""What a token's user must never see again: the PIN, on good days of a token and on bad ones."""

import logging

import pytest

pytest.importorskip("pkcs11", reason="the Python module pkcs11 is not installed")

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11.exceptions import PinIncorrect

from leafward.errors import KeyUnavailable
from leafward.keys import pkcs11_library
from leafward.keys.key_store import generate_key
from leafward.pki.key_types import KEY_TYPES
from tests.keys.devices import PIN, SoftHsm

P256 = KEY_TYPES["ec-p256"]


def check(key: ec.EllipticCurvePrivateKey) -> None:
    key.sign(b"leafward", ec.ECDSA(hashes.SHA256()))


def test_pin_is_nowhere(soft_hsm: SoftHsm, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Good and bad days of a token -> the PIN is in no repr, error, log or output."""
    reference = soft_hsm.reference("root")
    seen: list[object] = []
    with caplog.at_level(logging.DEBUG):
        key = generate_key(reference, P256)
        check(key)
        seen += [key, key._signer, key._signer._token, key._signer._passphrases, reference]
        soft_hsm.pull_out()
        with pytest.raises(KeyUnavailable) as away:
            check(key)
        soft_hsm.plug_in()
        soft_hsm.pin_file.write_text("1" + PIN)
        pkcs11_library.stop_all()
        with pytest.raises(KeyUnavailable) as wrong:
            check(key)
        seen += [away.value, away.value.hint, wrong.value, wrong.value.hint, wrong.value.__cause__]
    output = capfd.readouterr()
    for text in (*map(repr, seen), *map(str, seen), caplog.text, output.out, output.err):
        assert PIN not in text
    assert isinstance(wrong.value.__context__, PinIncorrect)
    assert wrong.value.__suppress_context__
