"""The issuance log: every signature of the maker's is an entry in an append-only Merkle tree with signed checkpoints.

    tree.py          RFC 6962 hashing, the frontier, inclusion and consistency proofs; pure
    tiles.py         C2SP tlog-tiles: paths, entry bundles, which tiles a size has; pure
    note.py          C2SP signed-note: Ed25519 keys and signatures; pure
    checkpoint.py    C2SP tlog-checkpoint: origin, size, root hash; pure
    proof.py         an inclusion proof as JSON and as C2SP tlog-proof text; pure
    entry.py         what stands in an entry; pure
    schema.py        the tables, in the maker's database
    rows.py          those tables, read and written
    checkpoint_file.py  the checkpoint outside the database, which tells an old backup from the present
    log.py           IssuanceLog: append, checkpoint, proof
    export.py        static files for anybody's reader
    difference.py, audit.py, export_audit.py    what verification finds, in the database and in the files

Formats: https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note.
"""
