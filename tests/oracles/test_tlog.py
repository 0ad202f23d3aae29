"""The formats of the issuance log, judged by a reader that was written from their texts and shares no code with us.

C2SP tlog-tiles, tlog-checkpoint, signed-note and tlog-proof; RFC 9162 section 2.1.
"""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.store.issuance_log.export import export
from leafward.store.issuance_log.note import Note, sign_note
from leafward.store.issuance_log.tiles import Tile
from leafward.store.issuance_log.tree import Frontier, consistency_proof, inclusion_proof, leaf_hash, pyramid
from tests.edge import leafward
from tests.oracles import tlog_reader
from tests.store.issuance_log.logs import LogFolder, Signer, closing_log, crl_entry

# The verifier key, note and path that the texts of C2SP give.
SPEC_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def test_the_reader_reads_the_published_examples() -> None:
    """The judge is judged: what others published, and the last of the eight roots that every log's tests have."""
    assert tlog_reader.Vkey(SPEC_KEY).open(SPEC_NOTE.encode()) == b"This is an example message.\n"
    assert tlog_reader.tile_path(0, 1234067, 256) == "tile/0/x001/x234/067"
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [hashlib.sha256(b"\0" + bytes.fromhex(text)).digest() for text in inputs]
    assert tlog_reader.mth(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(st.integers(1, 400), st.data())
def test_proofs_of_random_sizes(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]

    def node(height: int, index: int) -> bytes:
        return pyramid(b"".join(leaves[index << height : (index + 1) << height]))[-1]

    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root = tlog_reader.mth(leaves)
    assert tlog_reader.root_from_path(leaves[index], index, size, inclusion_proof(index, size, node)) == root
    old_root = tlog_reader.mth(leaves[:old])
    proof = consistency_proof(old, size, node)
    assert tlog_reader.roots_from_consistency(old, size, old_root, proof) == (old_root, root)
    frontier = Frontier()
    frontier.extend(leaves)
    assert frontier.root() == root


@given(st.integers(0, 10**10), st.integers(0, 63) | st.just("entries"), st.integers(1, 256))
def test_paths(index: int, level: int | str, width: int) -> None:
    ours = Tile(level if isinstance(level, int) else None, index, width).path
    assert ours == tlog_reader.tile_path(level, index, width)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1))
def test_notes(text: str) -> None:
    signer, witness = Signer("log.example.com/ü"), Signer("witness.example.com")
    note = str(sign_note(f"{text}\n", witness, signer)).encode()
    assert Note.parse(note).opened(signer.verifier) == f"{text}\n"
    for known in (signer, witness):
        assert tlog_reader.Vkey(str(known.verifier)).open(note) == f"{text}\n".encode()


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=3))
def test_exported_files(tmp_path_factory: pytest.TempPathFactory, batches: list[int]) -> None:
    """Each export of a growing log is read whole; every proof that was handed out stays good."""
    made = LogFolder(tmp_path_factory.mktemp("log") / "maker")
    folder, vkey, size = made.folder.with_name("public"), str(made.signer.verifier), 0
    for batch in batches:
        made.filled(batch, first=size)
        size += batch
        with closing_log(made) as log:
            export(log.engine, log.checkpoint(), made.signer.verifier, folder)
            proof = log.proof(size - 1)
        reader = tlog_reader.Reader(folder, vkey)
        reader.check()
        assert reader.size == size
        assert reader.entries() == [crl_entry(number) for number in range(size)]
        assert tlog_reader.check_proof(str(proof), vkey) == (size - 1, size, crl_entry(size - 1))


def test_a_log_of_three_levels(tmp_path: Path) -> None:
    """65,536 entries and some: a full tile of level 1, one hash at level 2."""
    made = LogFolder(tmp_path / "maker").filled(65_536 + 300)
    folder = tmp_path / "public"
    with closing_log(made) as log:
        export(log.engine, log.checkpoint(), made.signer.verifier, folder)
        proof = log.proof(65_540)
    reader = tlog_reader.Reader(folder, str(made.signer.verifier))
    assert len(reader.hashes(2)) == 1
    reader.check()
    tlog_reader.check_proof(str(proof), str(made.signer.verifier))


def test_what_the_commands_hand_out(tmp_path: Path) -> None:
    """A maker's own files: key, proof and export, as an auditor gets them."""
    for arguments in (["init", "--cn", "Root"], ["device", "gw.ca", "--out", str(tmp_path / "gw")]):
        assert leafward("ca", *arguments, home=tmp_path).returncode == 0
    vkey = leafward("ca", "log", "key", home=tmp_path).stdout.strip()
    proof = leafward("ca", "log", "proof", "gw.ca", home=tmp_path).stdout
    index, size, entry = tlog_reader.check_proof(proof, vkey)
    assert (index, size) == (1, 2)
    assert entry.startswith(b"leafward/issuance/v1\ndevice_ca\n")
    assert leafward("ca", "log", "export", str(tmp_path / "public"), home=tmp_path).returncode == 0
    reader = tlog_reader.Reader(tmp_path / "public", vkey)
    reader.check()
    assert reader.entries()[1] == entry
