"""CAs that somebody else signs: purchased roots imported, requests out and answers in; openssl plays the other side."""

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7

from leafward.authority.elsewhere import Limits, request_again, request_intermediate
from leafward.authority.imports import import_files
from leafward.authority.issuance import Issuance
from leafward.errors import AlreadyExists, EncodingError, InputError, LeafwardError, RuleViolation
from leafward.keys.key_store import KeyReference
from leafward.pki.encoding import load_certificates, load_request
from tests.authority.hierarchy_tools import P256, device_ca, new_key, now, openssl_verify, pem, root
from tests.pki.chain_forge import Party, ca, client
from tests.pki.chain_forge import root as forged_root

DAY = timedelta(days=1)


@pytest.fixture
def issuance(tmp_path: Path) -> Iterator[Issuance]:
    with Issuance(tmp_path / "maker") as made:
        yield made


def corporate(**special: object) -> Party:
    """A corporate root as it is bought: an organisation in its name, valid now."""
    return forged_root("Corporate Root", not_before=now() - DAY, not_after=now() + 3650 * DAY, **special)


def signed_by_openssl(folder: Path, csr: bytes, issuer: Party, *, subject: str | None = None, extra: str = "") -> bytes:
    """The certificate that a corporate CA makes of a request with openssl, extensions set by its own policy."""
    key = issuer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    extensions = "basicConstraints=critical,CA:TRUE,pathlen:2\nkeyUsage=critical,keyCertSign,cRLSign\n"
    extensions += "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n" + extra
    files = {"ca.pem": pem([issuer.certificate]), "ca.key": key, "asked.csr": csr, "ext.cnf": extensions.encode()}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    command = ["openssl", "x509", "-req", "-in", "asked.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "900"]
    command += ["-extfile", "ext.cnf", "-CAcreateserial"]
    if subject:
        command += ["-set_subject", subject] if _openssl_sets_subjects() else ["-subj", subject]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _openssl_sets_subjects() -> bool:
    done = subprocess.run(["openssl", "x509", "-help"], capture_output=True, text=True, check=False)
    return "-set_subject" in done.stderr + done.stdout


# ---- the request out, the answer in


def test_a_hierarchy_below_a_corporate_root(issuance: Issuance, tmp_path: Path) -> None:
    """Corporate Root (openssl) -> Factory CA (key here) -> device CA: **valid**"""
    above = corporate()
    request = request_intermediate(issuance.authorities, "Factory CA", P256, path_length=2)
    assert list(issuance.authorities) == []
    answer = signed_by_openssl(tmp_path, request.csr, above)
    imported = import_files(issuance.authorities, [answer, pem([above.certificate])], now=now())
    assert [(one.authority.name, one.how, one.authority.key is None) for one in imported] == [
        ("corporate-root", "added", True),
        ("factory-ca", "completed", False),
    ]
    chain = device_ca(issuance, "gw.ca", issuance.authorities.default_issuer(), tmp_path / "gw")
    assert openssl_verify(tmp_path, above.certificate, chain) == "OK"


def test_the_request_says_what_is_asked(issuance: Issuance) -> None:
    limits = Limits(permit_dns=("maker.example",))
    csr = load_request(request_intermediate(issuance.authorities, "Factory CA", P256, path_length=3, limits=limits).csr)
    found = {type(one.value): one for one in csr.extensions}
    assert found[x509.BasicConstraints].value == x509.BasicConstraints(ca=True, path_length=3)
    assert found[x509.BasicConstraints].critical
    assert found[x509.KeyUsage].value.key_cert_sign
    assert found[x509.NameConstraints].value.permitted_subtrees == [x509.DNSName("maker.example")]
    assert csr.is_signature_valid


def test_the_signer_may_add_to_the_name(issuance: Issuance, tmp_path: Path) -> None:
    above = corporate()
    request = request_intermediate(issuance.authorities, "Factory CA", P256, path_length=2)
    answer = signed_by_openssl(tmp_path, request.csr, above, subject="/O=Corporation/CN=Factory CA")
    import_files(issuance.authorities, [answer, pem([above.certificate])], now=now())
    chain = device_ca(issuance, "gw.ca", issuance.authorities.get("factory-ca"), tmp_path / "gw")
    assert openssl_verify(tmp_path, above.certificate, chain) == "OK"


def test_another_name_is_not_the_answer(issuance: Issuance, tmp_path: Path) -> None:
    above = corporate()
    request = request_intermediate(issuance.authorities, "Factory CA", P256, path_length=2)
    answer = signed_by_openssl(tmp_path, request.csr, above, subject="/CN=Somebody Else")
    assert refused(issuance, answer, above) == "answer-not-as-asked"


def test_a_fence_left_out_is_not_the_answer(issuance: Issuance, tmp_path: Path) -> None:
    above, limits = corporate(), Limits(permit_dns=("maker.example",))
    request = request_intermediate(issuance.authorities, "Factory CA", P256, path_length=2, limits=limits)
    assert refused(issuance, signed_by_openssl(tmp_path, request.csr, above), above) == "answer-not-as-asked"
    fenced = "nameConstraints=critical,permitted;DNS:maker.example\n"
    answer = signed_by_openssl(tmp_path, request.csr, above, extra=fenced)
    imported = import_files(issuance.authorities, [answer, pem([above.certificate])], now=now())
    assert imported[-1].how == "completed"


def test_an_answer_without_room_below(issuance: Issuance, tmp_path: Path) -> None:
    """Asked for pathlen 3, signed with 2: an intermediate below would not fit."""
    above = corporate()
    request = request_intermediate(issuance.authorities, "Factory CA", P256, path_length=3)
    assert refused(issuance, signed_by_openssl(tmp_path, request.csr, above), above) == "path-length-exceeded"


def test_an_answer_for_another_key_completes_nothing(issuance: Issuance, tmp_path: Path) -> None:
    """The certificate is the CA of that name, but not for the key that waits: it becomes known beside it."""
    above = corporate()
    request_intermediate(issuance.authorities, "Factory CA", P256, path_length=2)
    other = ca("Factory CA", above, 2, not_before=now() - DAY, not_after=now() + DAY)
    imported = import_files(issuance.authorities, [pem([other.certificate, above.certificate])], now=now())
    assert [one.authority.name for one in imported] == ["corporate-root", "factory-ca-2"]
    assert [one.name for one in issuance.authorities.requests()] == ["factory-ca"]


def test_a_name_that_waits_is_in_use(issuance: Issuance) -> None:
    request_intermediate(issuance.authorities, "Factory CA", P256, path_length=2)
    with pytest.raises(AlreadyExists, match="waits for its signed certificate"):
        request_intermediate(issuance.authorities, "Factory CA", P256, path_length=2)


def test_a_ca_is_renewed_by_its_corporate_issuer(issuance: Issuance, tmp_path: Path) -> None:
    """The same name and key again, for longer: it takes the old one's place, which is kept."""
    above = corporate()
    request = request_intermediate(issuance.authorities, "Factory CA", P256, path_length=2)
    first = signed_by_openssl(tmp_path, request.csr, above)
    import_files(issuance.authorities, [first, pem([above.certificate])], now=now())
    again = request_again(issuance.authorities.get("factory-ca"))
    key = load_request(again).public_key()
    later = ca(
        load_request(again).subject, above, 2, own_key=_Public(key), not_before=now(), not_after=now() + 2000 * DAY
    )
    imported = import_files(issuance.authorities, [pem([later.certificate])], now=now())
    assert [one.how for one in imported] == ["renewed"]
    held = issuance.authorities.get("factory-ca")
    assert held.chain.leaf == later.certificate
    assert [one.leaf for one in held.further] == load_certificates(first)
    held.issuer()


def test_a_ca_is_cross_signed_by_a_corporate_root(issuance: Issuance, tmp_path: Path) -> None:
    """Our root's own request, signed elsewhere: kept beside its own certificate."""
    maker, above = root(issuance), corporate()
    answer = signed_by_openssl(tmp_path, request_again(maker), above)
    imported = import_files(issuance.authorities, [answer, pem([above.certificate])], now=now())
    assert [one.how for one in imported] == ["added", "cross-signed"]
    (further,) = issuance.authorities.get("maker-root").further
    assert further.top == above.certificate


# ---- CAs whose keys are elsewhere


def test_importing_is_done_once_in_any_order_and_any_form(issuance: Issuance) -> None:
    above = corporate()
    middle = ca("Plant CA", above, 3, not_before=now() - DAY, not_after=now() + DAY)
    lower = ca("Line CA", middle, 2, not_before=now() - DAY, not_after=now() + DAY)
    bundle = pkcs7.serialize_certificates([lower.certificate, above.certificate, middle.certificate], Encoding.DER)
    imported = import_files(issuance.authorities, [bundle], now=now())
    assert [one.authority.name for one in imported] == ["corporate-root", "plant-ca", "line-ca"]
    assert all(one.authority.key is None for one in imported)
    assert len(issuance.authorities.get("line-ca").chain) == 3
    der = lower.certificate.public_bytes(Encoding.DER)
    again = import_files(issuance.authorities, [pem([middle.certificate]), der], now=now())
    assert [one.how for one in again] == ["known", "known"]


def test_a_bought_ca_with_its_key_signs(issuance: Issuance, tmp_path: Path) -> None:
    above = corporate()
    middle = ca("Plant CA", above, 2, not_before=now() - DAY, not_after=now() + 900 * DAY)
    key = tmp_path / "plant.key"
    key.write_bytes(middle.key_pem)
    key.chmod(0o600)
    files = [pem([middle.certificate, above.certificate])]
    import_files(issuance.authorities, files, now=now(), key=KeyReference("file", str(key)), name="plant")
    chain = device_ca(issuance, "gw.ca", issuance.authorities.get("plant"), tmp_path / "gw")
    assert openssl_verify(tmp_path, above.certificate, chain) == "OK"


def test_a_key_of_none_of_them(issuance: Issuance, tmp_path: Path) -> None:
    key = tmp_path / "other.key"
    key.write_bytes(new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    with pytest.raises(RuleViolation) as mismatch:
        import_files(issuance.authorities, [pem(corporate().line)], now=now(), key=KeyReference("file", str(key)))
    assert mismatch.value.code == "key-mismatch"
    assert not issuance.authorities.folder.exists()


def test_an_issuer_that_is_missing_is_named(issuance: Issuance) -> None:
    middle = ca("Plant CA", corporate(), 2, not_before=now() - DAY, not_after=now() + DAY)
    with pytest.raises(RuleViolation, match="Corporate Root") as missing:
        import_files(issuance.authorities, [pem([middle.certificate])], now=now())
    assert missing.value.code == "intermediate-missing"


def test_one_bad_certificate_spoils_the_import(issuance: Issuance) -> None:
    """A good root and an expired CA in one bundle: nothing of it is kept."""
    above = corporate()
    expired = ca("Plant CA", above, 2, not_before=now() - 9 * DAY, not_after=now() - DAY)
    with pytest.raises(RuleViolation) as old:
        import_files(issuance.authorities, [pem([expired.certificate, above.certificate])], now=now())
    assert old.value.code == "certificate-expired"
    assert list(issuance.authorities) == []


@pytest.mark.parametrize("case", ["leaf", "not-yet", "weak-key", "no-key-usage", "garbage", "key"])
def test_what_is_not_imported(issuance: Issuance, case: str) -> None:
    above, valid = corporate(), {"not_before": now() - DAY, "not_after": now() + DAY}
    later = {"not_before": now() + DAY, "not_after": now() + 9 * DAY}
    cases: dict[str, tuple[bytes, type[LeafwardError]]] = {
        "leaf": (pem([client(above, **valid).certificate]), InputError),
        "not-yet": (pem([forged_root("X", **later).certificate]), RuleViolation),
        "weak-key": (pem([forged_root("Y", key_kind="rsa-1024", **valid).certificate]), RuleViolation),
        "no-key-usage": (pem([forged_root("Z", key_usage=None, **valid).certificate]), RuleViolation),
        "garbage": (b"garbage", EncodingError),
        "key": (above.key_pem, EncodingError),
    }
    data, kind = cases[case]
    with pytest.raises(kind) as bad:
        import_files(issuance.authorities, [data], now=now())
    assert bad.value.why
    assert bad.value.hint
    assert list(issuance.authorities) == []


def refused(issuance: Issuance, answer: bytes, above: Party) -> str:
    """The code of the refusal; the request goes on waiting, and nothing was kept."""
    with pytest.raises(RuleViolation) as no:
        import_files(issuance.authorities, [answer, pem([above.certificate])], now=now())
    assert no.value.why
    assert no.value.hint
    assert list(issuance.authorities) == []
    assert len(issuance.authorities.requests()) == 1
    return no.value.code


class _Public:
    """A key of which only the public half is known: what a signer elsewhere has."""

    def __init__(self, key: object) -> None:
        self._key = key

    def public_key(self) -> object:
        return self._key
