"""A station that records certificates as fast as it can and says each one once it is recorded.

    station.py MAKER DATABASE(or -) KEY NAMES SERIALS SEED

It waits for a line on standard input first, so that several begin at once. A JSON line for each: name, serial, and
whether it was recorded or why not. KEY is a number that makes the issuer's key; NAMES and SERIALS are how many there
are to choose from, in an order that SEED makes.
"""

import json
import random
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from leafward.errors import AlreadyExists
from tests.authority.ledger_entries import open_ledger, real_entry


def main(maker: str, database: str, key_number: str, names: str, serials: str, seed: str) -> None:
    key = ec.derive_private_key(int(key_number), ec.SECP256R1())
    order = random.Random(int(seed))
    numbers = [1 << 150 | n for n in range(int(serials))]
    wanted = [(f"pump-{n}", order.choice(numbers) if numbers else None) for n in range(int(names))]
    order.shuffle(wanted)
    with open_ledger(Path(maker), None if database == "-" else database) as ledger:
        sys.stdin.readline()
        for name, serial in wanted:
            entry = real_entry(name, serial=serial, key=key)
            try:
                ledger.record([entry])
                outcome = "recorded"
            except AlreadyExists as error:
                outcome = error.what
            sys.stdout.write(json.dumps({"name": name, "sha256": entry.sha256, "outcome": outcome}) + "\n")
            sys.stdout.flush()


main(*sys.argv[1:])
