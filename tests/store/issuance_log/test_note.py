"""C2SP signed-note: published notes verify, what is changed does not, what is malformed is refused."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError, InputError
from leafward.store.issuance_log.note import Note, Signature, VerifierKey, is_key_name, sign_note
from tests.store.issuance_log.logs import Signer

SPKI = PublicFormat.SubjectPublicKeyInfo
# The example of the specification.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# The key, seed and signature that the tests of golang.org/x/mod/sumdb/note use.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="

# The keys and checkpoints of Rekor and of the Pixel log, as the tests of transparency-dev/formats have them: ECDSA.
ECDSA_NOTES = {
    "rekor.sigstore.dev+c0d23d6a+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNhtmPtrWm3U1eQXBogSMdGvXwBcK5AW5i0hrZLOC96l"
    "+smGNM7nwZ4QvFK/4sueRoVj//QP22Ni4Qt9DPfkWLc=": (
        "Rekor\n798034\nf+7CoKgXKE/tNys9TTXcr/ad6U/K3xvznmzew9y6SP0=\n\n— rekor.sigstore.dev "
        "wNI9ajBEAiARInWIWyCdyG27CO6LPnPekyw20qO0YJfoaPaowGp/XgIgc+qEHS3+GKVClgqq20uDLet7MCoTURUCRdxwWBHHufk=\n"
    ),
    "pixel6_transparency_log+91c16e30+AjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN+4x0Jk1yTwvLFI9A4NDdGZcX0aiWVdWM5XJVy0"
    "M4VWD3AvyW5Q6Hs9A0mcDkpUoYgn+KKPNzFC0H3nN3q6JQ8=": (
        "DEFAULT\n10\nbsWRucJU5xJPHb5eBdOm6+DM+VelCZBuvtI3sHERJ9Y=\n\n— pixel6_transparency_log "
        "kcFuMDBFAiEAhqMAP8P6qf6QxtUJhzMhbN+MbZ9dwfUHzGQJmffJHtoCIGD0cNe47dHWBoPwYdgBCepB06/+g5O1FmYjXl06owL4\n"
    ),
}

texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs",), exclude_characters=[chr(n) for n in range(32)])
).map(lambda text: f"{text}\n")


def test_the_note_of_the_specification() -> None:
    key = VerifierKey.parse(SPEC_KEY)
    note = Note.parse(SPEC_NOTE.encode())
    assert note.opened(key) == "This is an example message.\n"
    assert str(note) == SPEC_NOTE
    assert str(key) == SPEC_KEY


def test_the_note_of_the_go_library() -> None:
    key = VerifierKey.parse(GO_KEY)
    note = f"{GO_TEXT}\n— PeterNeumann {GO_SIGNATURE}\n"
    assert Note.parse(note.encode()).opened(key) == GO_TEXT
    # Ed25519 has no randomness: with the same key we write the very same bytes.
    signer = Signer("PeterNeumann", Ed25519PrivateKey.from_private_bytes(GO_SEED))
    assert signer.verifier == key
    assert str(sign_note(GO_TEXT, signer)) == note


@pytest.mark.parametrize("vkey", ECDSA_NOTES)
def test_notes_of_others_that_are_signed_with_ecdsa(vkey: str) -> None:
    key, note = VerifierKey.parse(vkey), ECDSA_NOTES[vkey]
    assert str(key) == vkey
    assert key.algorithm == "ECDSA"
    assert note.startswith(Note.parse(note.encode()).opened(key))
    forged = note.replace("\n10\n", "\n11\n").replace("\n798034\n", "\n798035\n")
    with pytest.raises(InputError, match="damaged or forged"):
        Note.parse(forged.encode()).opened(key)
    with pytest.raises(InputError, match="not signed by the log"):
        Note.parse(note.encode()).opened(VerifierKey("bananas", key.public_key, key.kind))


def test_keys_of_no_known_kind() -> None:
    """An unknown type byte, a P-256 key where Ed25519 is said, garbage and a compressed point where ECDSA is said."""
    spki = ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.DER, SPKI)
    rsa_key = rsa.generate_private_key(65537, 2048).public_key().public_bytes(Encoding.DER, SPKI)
    cases = ((b"\4", bytes(32)), (b"\1", spki), (b"\2", bytes(32)), (b"\2", rsa_key), (b"\2", spki + b"\0"))
    for kind, public_key in cases:
        with pytest.raises(EncodingError):
            VerifierKey("log", public_key, kind)


@given(texts, texts)
def test_what_is_signed_opens_and_what_is_changed_does_not(text: str, other: str) -> None:
    signer = Signer("log.example.com/ü")
    note = Note.parse(str(sign_note(text, signer)).encode())
    assert note.opened(signer.verifier) == text
    if other != text:
        with pytest.raises(InputError, match="damaged or forged"):
            Note(other, note.signatures).opened(signer.verifier)


@given(st.data())
def test_any_flipped_bit_is_met(data: st.DataObject) -> None:
    whole = SPEC_NOTE.encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
    with pytest.raises(InputError):
        Note.parse(changed).opened(VerifierKey.parse(SPEC_KEY))


def test_signatures_of_others_are_passed_over() -> None:
    """A witness signs too, a key of another kind, a stranger with the log's name."""
    log, witness, stranger = Signer("log"), Signer("witness"), Signer("log")
    strange = Signature("elsewhere", b"\x01\x02\x03\x04", b"not even a signature")
    note = sign_note("text\n", witness, stranger, log, others=[strange])
    assert Note.parse(str(note).encode()).opened(log.verifier) == "text\n"
    assert note.opened(log.verifier, witness.verifier) == "text\n"
    with pytest.raises(InputError, match="not signed by the log"):
        sign_note("text\n", witness, stranger).opened(log.verifier)


def test_one_bad_signature_of_a_known_key_spoils_the_note() -> None:
    log = Signer("log")
    good = sign_note("text\n", log)
    wrong = Signature("log", log.verifier.key_id, b"x" * 64)
    with pytest.raises(InputError, match="damaged or forged"):
        Note("text\n", (*good.signatures, wrong)).opened(log.verifier)


def test_the_text_may_have_empty_lines() -> None:
    signer = Signer("log")
    text = "one\n\ntwo\n\n\nthree\n"
    assert Note.parse(str(sign_note(text, signer)).encode()).opened(signer.verifier) == text


def test_sixteen_signatures_are_taken_and_very_many_are_not() -> None:
    signers = [Signer(f"witness-{number}") for number in range(17)]
    assert len(Note.parse(str(sign_note("text\n", *signers)).encode()).signatures) == 17
    many = sign_note("text\n", Signer("log"), others=[Signature("w", b"abcd", b"x")] * 100)
    with pytest.raises(EncodingError, match="101 signatures"):
        Note.parse(str(many).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"text\n",
        b"text\n\n",
        b"text\n\nno dash AAAA\n",
        "text\n\n— name AAAAAAAA".encode(),
        "text\n\n— name AAAAAAA\n".encode(),  # no padding
        "text\n\n— name AAAAAAAB\n\n".encode(),
        "text\n\n— na+me AAAAAAAA\n".encode(),
        "text\n\n—  AAAAAAAA\n".encode(),
        "text\n\n— name AAAA\n".encode(),  # a key id and nothing more would be 4 bytes; these are 3
        "te\txt\n\n— name AAAAAAAA\n".encode(),
        "text\r\n\r\n— name AAAAAAAA\r\n".encode(),
        b"\xff\n\n",
        "text\n— name AAAAAAAA\n".encode(),
    ],
)
def test_malformed_notes_are_refused(data: bytes) -> None:
    with pytest.raises(EncodingError):
        Note.parse(data)


def test_an_enormous_note_is_refused() -> None:
    with pytest.raises(EncodingError, match="at most"):
        Note.parse(b"x" * (1 << 20) + SPEC_NOTE.encode())


@pytest.mark.parametrize("cut", range(1, 40))
def test_every_piece_of_a_verifier_key_is_refused(cut: int) -> None:
    for piece in (GO_KEY[cut:], GO_KEY[:-cut]):
        with pytest.raises(EncodingError):
            VerifierKey.parse(piece)


@given(st.data())
def test_every_changed_verifier_key_is_refused(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GO_KEY) - 1))
    changed = GO_KEY[:at] + chr(ord(GO_KEY[at]) + 1) + GO_KEY[at + 1 :]
    with pytest.raises(EncodingError):
        VerifierKey.parse(changed)


@pytest.mark.parametrize(
    "text",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",  # too long, its id is right
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # another algorithm, its id is right
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_verifier_keys_of_other_kinds_are_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        VerifierKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\N{NO-BREAK SPACE}b", "a\nb", "a\x00", "\ud800"])
def test_names_that_no_key_may_have(name: str) -> None:
    assert not is_key_name(name)
    with pytest.raises(EncodingError):
        VerifierKey(name, bytes(32))


def test_a_text_that_cannot_be_signed() -> None:
    for text in ("no newline", "tab\tbed\n", ""):
        with pytest.raises(EncodingError):
            sign_note(text, Signer())
