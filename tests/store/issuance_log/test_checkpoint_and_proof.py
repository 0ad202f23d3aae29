"""C2SP tlog-checkpoint and tlog-proof, and the text of an entry: written, read back, refused when malformed."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError, InputError
from leafward.store.issuance_log.checkpoint import MAX_SIZE, Checkpoint
from leafward.store.issuance_log.entry import LogEntry, fields_of
from leafward.store.issuance_log.note import Note, sign_note
from leafward.store.issuance_log.proof import InclusionProof
from leafward.store.issuance_log.tree import Frontier, leaf_hash
from tests.store.issuance_log.logs import Signer

ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
roots = st.binary(min_size=32, max_size=32)
entries = st.builds(
    LogEntry,
    st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
    st.integers(0, 253402300799).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.binary(max_size=32).map(bytes.hex),
    st.integers(0, 1 << 159),
    roots.map(bytes.hex),
)


def test_the_checkpoint_of_the_specification() -> None:
    found = Checkpoint.parse(f"example.com/behind-the-sofa\n20852163\n{ROOT}\n")
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20852163)
    assert str(found) == f"example.com/behind-the-sofa\n20852163\n{ROOT}\n"


@given(st.integers(0, MAX_SIZE), roots)
def test_checkpoints_are_read_back(size: int, root: bytes) -> None:
    made = Checkpoint("log.example.com/1", size, root)
    assert Checkpoint.parse(str(made)) == made


def test_extension_lines_are_passed_over() -> None:
    assert Checkpoint.parse(f"o\n1\n{ROOT}\nmore\neven more\n").size == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"o\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"o\n01\n{ROOT}\n",
        f"o\n-1\n{ROOT}\n",
        f"o\n+1\n{ROOT}\n",
        f"o\n1 \n{ROOT}\n",
        f"o\n٣\n{ROOT}\n",
        f"o\n{1 << 63}\n{ROOT}\n",
        f"o\n{'9' * 5000}\n{ROOT}\n",
        f"o\n1\n{ROOT[:-1]}\n",
        f"o\n1\n{ROOT[4:]}\n",
        f"o\n1\n{ROOT[:-2]}J=\n",  # bits behind the last byte
        f"o\n1\n{ROOT}\n\nx\n",
        "o\n1\n",
    ],
)
def test_malformed_checkpoints_are_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        Checkpoint.parse(text)


def test_a_checkpoint_of_another_log_is_refused_though_signed() -> None:
    signer = Signer("mine")
    note = sign_note(str(Checkpoint("yours", 1, bytes(32))), signer)
    with pytest.raises(InputError, match="another log"):
        Checkpoint.from_note(note, signer.verifier)


def made_proof(signer: Signer, *, count: int = 3, index: int = 1) -> InclusionProof:
    leaves = [b"entry %d" % number for number in range(count)]
    frontier = Frontier()
    frontier.extend(map(leaf_hash, leaves))
    note = sign_note(str(Checkpoint(signer.name, count, frontier.root())), signer)
    hashes = (leaf_hash(leaves[0]), leaf_hash(leaves[2]))
    return InclusionProof(index, leaves[index], hashes, str(note))


def test_a_proof_is_read_back_as_text_and_as_json() -> None:
    signer = Signer()
    proof = made_proof(signer)
    assert proof.verified(signer.verifier).size == 3
    assert InclusionProof.parse(str(proof)) == proof
    assert InclusionProof.from_json(json.loads(json.dumps(proof.to_json()))) == proof
    assert str(proof).startswith("c2sp.org/tlog-proof@v1\nextra ")


def test_a_proof_of_something_else_does_not_hold() -> None:
    signer = Signer()
    good = made_proof(signer)
    for bad in (
        InclusionProof(0, good.entry, good.hashes, good.note),
        InclusionProof(good.index, b"another", good.hashes, good.note),
        InclusionProof(good.index, good.entry, good.hashes[::-1], good.note),
        InclusionProof(good.index, good.entry, good.hashes, made_proof(signer, count=4).note),
    ):
        with pytest.raises(InputError, match="does not hold"):
            bad.verified(signer.verifier)
    with pytest.raises(InputError, match="not signed by the log"):
        good.verified(Signer().verifier)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("extra ", ""),
        ("index 1", "index 01"),
        ("index 1", "index -1"),
        ("index 1", "index 9223372036854775808"),
        ("\n\n", "\n"),
        ("=\n", "\n"),
        ("index 1\n", f"index 1\n{ROOT}\n" + f"{ROOT}\n" * 63),
        ("index 1\n", "index 1\nAAAA\n"),
    ],
)
def test_malformed_proofs_are_refused(old: str, new: str) -> None:
    text = str(made_proof(Signer()))
    assert old in text
    with pytest.raises(EncodingError):
        InclusionProof.parse(text.replace(old, new, 1))


@pytest.mark.parametrize(
    "change", [{"index": "1"}, {"index": True}, {"entry": 7}, {"hashes": "AA"}, {"checkpoint": None}]
)
def test_malformed_json_proofs_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(EncodingError):
        InclusionProof.from_json(made_proof(Signer()).to_json() | change)
    for strange in ([], None, "x", {}):
        with pytest.raises(EncodingError):
            InclusionProof.from_json(strange)


@given(entries)
def test_entries_are_read_back(entry: LogEntry) -> None:
    data = entry.to_bytes()
    assert LogEntry.parse(data) == entry
    assert data.startswith(b"leafward/issuance/v1\n")


def test_an_entry_is_these_lines() -> None:
    berlin = timezone(timedelta(hours=1))
    entry = LogEntry("device_ca", datetime(2026, 11, 24, 23, 11, 4, tzinfo=berlin), "3fa8", 0x4D2C, "9b" * 32)
    assert entry.to_bytes() == (
        b"leafward/issuance/v1\ndevice_ca\n2026-11-24T22:11:04Z\n3fa8\n4d2c\n" + b"9b" * 32 + b"\n"
    )
    assert entry.is_certificate
    assert not LogEntry("crl", entry.time, "", 1, "00" * 32).is_certificate


@given(entries, st.data())
def test_any_flipped_byte_of_an_entry_is_another_entry_or_none(entry: LogEntry, data: st.DataObject) -> None:
    whole = entry.to_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    try:
        assert LogEntry.parse(changed) != entry
    except EncodingError:
        assert fields_of(changed) is None or changed[:21] == whole[:21]


def test_entries_that_cannot_be_written() -> None:
    fit = {
        "kind": "crl",
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "issuer_key_id": "",
        "serial": 1,
        "sha256": "00" * 32,
    }
    for wrong in (
        {"kind": "a\nb"},
        {"kind": ""},
        {"issuer_key_id": "xyz"},
        {"issuer_key_id": "ABCD"},
        {"serial": -1},
        {"sha256": "00"},
        {"time": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is the fault
    ):
        with pytest.raises(EncodingError):
            LogEntry(**(fit | wrong))  # type: ignore[arg-type]


def test_a_note_keeps_a_witness_s_signature_behind_the_log_s() -> None:
    log, witness = Signer("log"), Signer("witness")
    note = sign_note(str(Checkpoint("log", 1, bytes(32))), log)
    both = sign_note(note.text, log, others=sign_note(note.text, witness).signatures)
    assert Checkpoint.from_note(Note.parse(str(both).encode()), log.verifier).size == 1
