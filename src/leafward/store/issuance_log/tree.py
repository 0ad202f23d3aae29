"""The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1), over SHA-256: hashes, frontier, proofs. Pure.

A node is named by its height (0: a leaf's hash) and its index at that height; only nodes over complete subtrees have a
name. Whoever makes a proof gives a function that answers with such nodes, wherever they are kept.
"""

import hmac
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from leafward.errors import Damaged

HASH_SIZE = 32
# RFC 6962 2.1: the root of the tree without entries.
EMPTY_ROOT = sha256(b"").digest()

# (height, index) -> hash
Node = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry, kept apart from that of a node by its prefix (RFC 6962 2.1)."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node with these two children (RFC 6962 2.1)."""
    return sha256(b"\1" + left + right).digest()


def pyramid(hashes: bytes) -> list[bytes]:
    """`hashes`, 32 bytes each, and above them the nodes over complete pairs, height by height up to the last one."""
    heights = [hashes]
    while len(heights[-1]) >= 2 * HASH_SIZE:
        below = heights[-1]
        pairs = range(0, len(below) - HASH_SIZE, 2 * HASH_SIZE)
        heights.append(b"".join(sha256(b"\1" + below[at : at + 2 * HASH_SIZE]).digest() for at in pairs))
    return heights


class Frontier:
    """The roots of the complete subtrees that a tree of `size` leaves is made of, largest first: all an append needs.

    There are as many as `size` has bits set. Mutable; `extend` costs one hash a leaf, on average.
    """

    def __init__(self, size: int = 0, nodes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(nodes) != size.bit_count():
            raise Damaged(
                "the frontier of the issuance log does not fit its size",
                why=f"got {len(nodes)} hashes for {size} entries",
                hint="leafward ca log verify",
            )
        self.size = size
        self.nodes = list(nodes)

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> "Frontier":
        """Reads what `to_bytes` wrote. Raises `Damaged` when it does not fit `size`."""
        nodes = [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]
        if nodes and len(nodes[-1]) != HASH_SIZE:
            nodes = []
        return cls(size, nodes)

    def to_bytes(self) -> bytes:
        """The hashes one behind the other."""
        return b"".join(self.nodes)

    def extend(self, leaves: Iterable[bytes], *, every: int = 8) -> list[tuple[int, int, bytes]]:
        """Adds leaf hashes; answers with (height, index, hash) of each node that became complete on the way.

        Only those at heights that are multiples of `every`, leaves left out.
        """
        complete: list[tuple[int, int, bytes]] = []
        nodes, size = self.nodes, self.size
        for leaf in leaves:
            node, index, height = leaf, size, 0
            while index & 1:
                node = sha256(b"\1" + nodes.pop() + node).digest()
                index >>= 1
                height += 1
                if height % every == 0:
                    complete.append((height, index, node))
            nodes.append(node)
            size += 1
        self.size = size
        return complete

    def ranges(self) -> Iterator[tuple[int, int, bytes]]:
        """(start, end, hash) of each complete subtree: the entries from start up to end, without end."""
        start = 0
        for (height, _), node in zip(_perfect_parts(0, self.size), self.nodes, strict=True):
            yield start, start + (1 << height), node
            start += 1 << height

    def root(self) -> bytes:
        """The root hash (RFC 6962 2.1: MTH)."""
        return _folded(self.nodes)


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """The siblings of the leaf `index` in the tree of `size` leaves, from the leaf up (RFC 6962 2.1.1: PATH)."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _largest_power_below(end - start)
        if index < middle:
            proof.append(range_root(middle, end, node))
            end = middle
        else:
            proof.append(range_root(start, middle, node))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """What shows that the tree of `new` leaves begins with the one of `old` leaves (RFC 6962 2.1.2: PROOF)."""
    if not 0 < old <= new:
        raise ValueError(f"no tree of {old} in a tree of {new}")
    proof: list[bytes] = []
    start, end, whole = 0, new, True
    while old < end:
        middle = start + _largest_power_below(end - start)
        if old <= middle:
            proof.append(range_root(middle, end, node))
            end = middle
        else:
            proof.append(range_root(start, middle, node))
            start, whole = middle, False
    if not whole:
        proof.append(range_root(start, end, node))
    return proof[::-1]


def range_root(start: int, end: int, node: Node) -> bytes:
    """MTH of the leaves from `start` up to `end`, for a `start` at which a subtree of that size may begin."""
    return _folded([node(height, index) for height, index in _perfect_parts(start, end)])


def verifies_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows the leaf hash `leaf` at `index` in the tree `size`, `root` (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size or any(len(hashed) != HASH_SIZE for hashed in (leaf, *proof)):
        return False
    number, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if number & 1 or number == last:
            found = node_hash(sibling, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and hmac.compare_digest(found, root)


def verifies_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the tree `new`, `new_root` begins with `old`, `old_root` (RFC 9162 2.1.4.2)."""
    if not 0 < old <= new or bool(proof) == (old == new):
        return False
    if old == new:
        return hmac.compare_digest(old_root, new_root)
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    first = second = path[0]
    for hashed in path[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            first, second = node_hash(hashed, first), node_hash(hashed, second)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            second = node_hash(second, hashed)
        number, last = number >> 1, last >> 1
    return last == 0 and hmac.compare_digest(first, old_root) and hmac.compare_digest(second, new_root)


def _largest_power_below(number: int) -> int:
    """The largest power of two that is smaller than `number`, which is 2 or more (RFC 6962 2.1: k)."""
    return 1 << (number - 1).bit_length() - 1


def _perfect_parts(start: int, end: int) -> Iterator[tuple[int, int]]:
    """(height, index) of the complete subtrees that follow one another from `start` to `end`, largest first."""
    while start < end:
        height = (end - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def _folded(nodes: Sequence[bytes]) -> bytes:
    if not nodes:
        return EMPTY_ROOT
    found = nodes[-1]
    for left in reversed(nodes[:-1]):
        found = node_hash(left, found)
    return found
