"""Works on one lot and is killed, whole, again and again; then goes on to the end. Prints what came of it as JSON.

    killed_lot.py FOLDER KILLS SEED [DATABASE]

The line and its signing processes are one process group, and die together, as in a power cut. A kill comes after a
random number of batches and a random moment more, so it falls anywhere: between signing and recording, in a
transaction, between recording and handing over, in the middle of a file.
"""

import json
import os
import random
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leafward.authority import lot_run
from leafward.authority.issuance import Issuance
from leafward.authority.lot_delivery import FolderSink
from leafward.authority.lot_sources import open_source
from leafward.authority.lots import Line, Lots
from leafward.pki.chain import fingerprint
from tests.authority import hierarchy_tools as tools
from tests.authority.ledger_entries import differences
from tests.authority.lot_line import Factory, csr, json_line

REQUESTS = 400
LOT = "killed"
# Seconds after a batch, at most: what comes between two batches takes less.
LATER = 0.02
SPKI = PublicFormat.SubjectPublicKeyInfo


def main(folder: Path, kills: int, seed: int, database: str | None) -> None:
    lot_run.BATCH = lot_run._RECORDED_AT_ONCE = 5
    os.sync = lambda: None  # a kill takes nothing from the system, and every other program's files would be waited for
    chance = random.Random(seed)
    factory = Factory(folder, database)
    factory.open(quota=REQUESTS + 10, name=LOT)
    factory.issuance.close()
    lines = [json_line(csr(f"gateway-{number}")) for number in range(REQUESTS)]
    (folder / "requests.jsonl").write_text("".join(lines))
    at = []
    for number in range(kills):
        killed(lambda told, last=number: work(folder, database, told, proving=last % 2 == 0), chance)
        refuse_half_files(folder / "out")
        at.append(standing(folder, database))
    work(folder, database, lambda: None, proving=False)
    json.dump({"at": at, **found(folder, database)}, sys.stdout)


def killed(run: Callable[[Callable[[], None]], None], chance: random.Random) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(read)
        run(lambda: os.write(write, b".") and None)
        os._exit(0)
    os.close(write)
    for _ in range(chance.randrange(5)):
        if not os.read(read, 1):
            break
    select.select([], [], [], chance.uniform(0, LATER))
    os.close(read)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(child, signal.SIGKILL)  # before it had a group of its own
    os.waitpid(child, 0)


def work(folder: Path, database: str | None, told: Callable[[], None], *, proving: bool) -> None:
    with Issuance(folder / "maker", database=database) as issuance:
        lots = Lots(issuance, clock=tools.now)
        lot = lots.get(LOT)
        sink = FolderSink(folder / "out", lots.issuers_pem(lot))
        if proving:
            sink.seconds_unsettled = 0.0
        source = open_source(str(folder / "requests.jsonl"), sys.stdin.buffer)
        lots.issue(lot, source, sink, Line(2, shown=lambda _: told(), proving=proving))


def standing(folder: Path, database: str | None) -> tuple[int, int]:
    """How many are issued and delivered just after a kill."""
    with Issuance(folder / "maker", database=database) as issuance:
        lots = Lots(issuance, clock=tools.now)
        account = lots.reconciliation(lots.get(LOT))
        return account.issued, account.delivered


def refuse_half_files(out: Path) -> None:
    """What stands under its name is whole."""
    for path in out.glob("*.pem") if out.exists() else ():
        assert len(x509.load_pem_x509_certificates(path.read_bytes())) == 3, path


def found(folder: Path, database: str | None) -> dict[str, object]:
    with Issuance(folder / "maker", database=database) as issuance:
        lots = Lots(issuance, clock=tools.now)
        account = lots.close(lots.get(LOT))
        delivered = [
            x509.load_pem_x509_certificates(path.read_bytes())[0] for path in (folder / "out").glob("[!.]*.pem")
        ]
        asked = {json.loads(line)["csr"] for line in (folder / "requests.jsonl").read_text().splitlines()}
        ledger = issuance.ledger
        return {
            "asked": len(asked),
            "issued": account.issued,
            "delivered": account.delivered,
            "spoiled": len(account.spoiled),
            "unused": account.unused,
            "files": len(delivered),
            "keys": len({one.public_key().public_bytes(Encoding.DER, SPKI) for one in delivered}),
            "known": sum(ledger.inventory.has(fingerprint(one)) for one in delivered),
            "differences": differences(ledger, tools.now()),
        }


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
