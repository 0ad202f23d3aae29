"""The trusted root has the right name and the wrong key.

The chain names a root, the leaf trusts a root of that very name, and yet the leaf's has another key: two different
roots that look alike in every listing. OpenSSL says 19, 20 or "certificate signature failure" (7), depending on the
key identifiers.

Comes about: the maker's root was made again under the same common name; the convenience scripts were run twice; the
leaf has the root of another test bench. Their names are all the same.

See: compare the fingerprints, not the names: openssl x509 -in ROOT -noout -fingerprint -sha256 on the leaf, and
leafward chain HOST:PORT --json for the hub's.

Mend: leaf: replace the root by the one that belongs to this gateway. Maker: give each root a name of its own, with a
year in it.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("root-same-name-different-key", "chain", __doc__, needs=("anchors",))
