"""The Merkle tree of RFC 6962: against its definition, against published trees, and against what forgers try."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import Damaged
from leafward.store.issuance_log.tree import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    pyramid,
    range_root,
    verifies_consistency,
    verifies_inclusion,
)

# The inputs and roots of the eight trees that certificate-transparency and transparency-dev/merkle test with.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(bytes.fromhex(text)) for text in INPUTS]
sizes = st.integers(1, 300)


def leaves_of(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % number) for number in range(size)]


class Nodes:
    """`tree.Node` over leaf hashes in a list, by the definition."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves

    def __call__(self, height: int, index: int) -> bytes:
        assert (index + 1) << height <= len(self.leaves), "a proof asked for a subtree that is not complete"
        return pyramid(b"".join(self.leaves[index << height : (index + 1) << height]))[-1]


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 6962 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + root_of(leaves[:k]) + root_of(leaves[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    frontier = Frontier()
    frontier.extend(LEAVES[:size])
    assert frontier.root().hex() == ROOTS[size]


def test_published_proof() -> None:
    """Leaf 0 in the tree of eight: its three siblings."""
    proof = inclusion_proof(0, 8, Nodes(LEAVES))
    assert [hashed.hex() for hashed in proof] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    # The tree of 1 in the tree of 8: the same three, as its root is the leaf.
    assert consistency_proof(1, 8, Nodes(LEAVES)) == proof


@given(sizes)
def test_frontier_has_the_root_of_the_definition(size: int) -> None:
    leaves = leaves_of(size)
    frontier = Frontier()
    frontier.extend(leaves)
    assert frontier.root() == root_of(leaves)
    assert Frontier.from_bytes(size, frontier.to_bytes()).root() == frontier.root()
    spans = list(frontier.ranges())
    assert [start for start, _, _ in spans] == [0, *(end for _, end, _ in spans[:-1])]
    assert all(node == root_of(leaves[start:end]) for start, end, node in spans)


@given(st.lists(st.integers(0, 130), max_size=6))
def test_frontier_grows_alike_in_any_steps(steps: list[int]) -> None:
    leaves = leaves_of(sum(steps))
    stepwise, complete, at = Frontier(), [], 0
    for step in steps:
        complete += stepwise.extend(leaves[at : at + step], every=4)
        at += step
    at_once = Frontier()
    assert at_once.extend(leaves, every=4) == complete
    assert stepwise.nodes == at_once.nodes
    nodes = Nodes(leaves)
    assert all(nodes(height, index) == node for height, index, node in complete)


@given(sizes, st.data())
def test_every_inclusion_proof_holds_and_no_other_does(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(index, size, Nodes(leaves)), root_of(leaves)
    assert verifies_inclusion(leaves[index], index, size, proof, root)
    other = data.draw(st.integers(-1, 2 * size))
    assert verifies_inclusion(leaves[index], other, size, proof, root) == (other == index)
    assert not verifies_inclusion(leaves[index], index, size, [*proof, root], root)
    assert not verifies_inclusion(leaves[index], index, size, proof, sha256(root).digest())
    assert not verifies_inclusion(sha256(root).digest(), index, size, proof, root)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not verifies_inclusion(leaves[index], index, size, proof[:at] + proof[at + 1 :], root)
        changed = [*proof[:at], bytes([proof[at][0] ^ 1]) + proof[at][1:], *proof[at + 1 :]]
        assert not verifies_inclusion(leaves[index], index, size, changed, root)


@given(sizes, st.data())
def test_every_consistency_proof_holds_and_no_other_does(new: int, data: st.DataObject) -> None:
    leaves = leaves_of(new)
    old = data.draw(st.integers(1, new))
    proof = consistency_proof(old, new, Nodes(leaves))
    old_root, new_root = root_of(leaves[:old]), root_of(leaves)
    assert verifies_consistency(old, new, old_root, new_root, proof)
    forked = root_of([*leaves[: old - 1], leaf_hash(b"forged")])
    assert not verifies_consistency(old, new, forked, new_root, proof)
    assert not verifies_consistency(old, new, old_root, forked, proof)
    assert not verifies_consistency(old, new, old_root, new_root, [*proof, old_root])
    if proof:
        assert not verifies_consistency(old, new, old_root, new_root, proof[:-1])
        assert not verifies_consistency(old, new, old_root, new_root, [])


def test_a_log_does_not_grow_out_of_nothing() -> None:
    """No proof leads from the empty tree: everything would extend it."""
    assert not verifies_consistency(0, 8, EMPTY_ROOT, bytes.fromhex(ROOTS[8]), [])
    with pytest.raises(ValueError, match="no tree of 0"):
        consistency_proof(0, 8, Nodes(LEAVES))
    with pytest.raises(ValueError, match="no leaf 8"):
        inclusion_proof(8, 8, Nodes(LEAVES))


def test_hashes_of_another_length_prove_nothing() -> None:
    assert not verifies_inclusion(b"", 0, 1, [], b"")
    assert not verifies_inclusion(LEAVES[0], 0, 2, [LEAVES[1][:31]], bytes.fromhex(ROOTS[2]))


@pytest.mark.parametrize(("size", "data"), [(3, b""), (3, b"x" * 32), (1, b"x" * 33), (0, b"x" * 32), (2, b"x" * 31)])
def test_a_frontier_that_does_not_fit_its_size_is_damaged(size: int, data: bytes) -> None:
    with pytest.raises(Damaged, match="does not fit"):
        Frontier.from_bytes(size, data)


def test_range_root_of_a_middle_subtree() -> None:
    leaves = leaves_of(7)
    assert range_root(4, 7, Nodes(leaves)) == root_of(leaves[4:7])
