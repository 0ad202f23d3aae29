"""A kill or a full disk at any instant of a signature or an export: nothing is lost, and nothing is signed twice."""

import errno
from pathlib import Path

from leafward.errors import StoreError
from leafward.store.issuance_log.export import export
from leafward.store.issuance_log.export_audit import audit_export
from tests.store.conftest import Faults
from tests.store.issuance_log.logs import LogFolder, Signer, append, closing_log, crl_entry

SIGNER = Signer()


def at(root: Path) -> LogFolder:
    return LogFolder(root / "maker", SIGNER)


def prepare(root: Path) -> None:
    at(root).filled(3)
    with closing_log(at(root)) as log:
        append(log, [crl_entry(3)])


def prepare_new(root: Path) -> None:
    with closing_log(at(root)) as log:
        append(log, [crl_entry(0)])


def sign(root: Path) -> None:
    with closing_log(at(root)) as log:
        log.checkpoint()


def publish(root: Path) -> None:
    with closing_log(at(root)) as log:
        export(log.engine, log.checkpoint(), SIGNER.verifier, root / "public")


def test_a_kill_while_signing(faults: Faults) -> None:
    for begin in (prepare, prepare_new):
        folder = faults._tmp_path / begin.__name__
        folder.mkdir()
        for root, instant in Faults(folder).kills(begin, sign):
            if not instant.startswith("kill"):
                continue  # what a power cut leaves of the database is SQLite's affair
            with closing_log(at(root)) as log:
                log.check_not_restored()
                before = log.state().size
                assert append(log, [crl_entry(9)]) == [before], instant
                log.checkpoint()
            report = at(root).verify()
            assert report.is_good, (instant, report.differences)


def test_a_full_disk_while_signing(faults: Faults) -> None:
    for root, raised, instant in faults.refusals(prepare, sign, errno.ENOSPC):
        assert raised is None or isinstance(raised, StoreError), instant
        sign(root)
        assert at(root).verify().is_good, instant


def test_a_kill_or_power_cut_while_exporting(faults: Faults) -> None:
    def begin(root: Path) -> None:
        prepare(root)
        publish(root)
        at(root).filled(252, first=4)  # the first tile becomes full, and the partial ones go

    for root, instant in faults.kills(begin, publish):
        report = audit_export(root / "public", SIGNER.verifier)
        codes = {found.code for found in report.differences}
        # Files of the next checkpoint may be there already; those of this one all are.
        assert codes <= {"file-unexpected"}, (instant, report.differences)
        assert report.size in {4, 256}, instant


def test_a_full_disk_while_exporting(faults: Faults) -> None:
    for root, raised, instant in faults.refusals(prepare, publish, errno.ENOSPC):
        assert raised is None or isinstance(raised, StoreError), instant
        publish(root)
        assert audit_export(root / "public", SIGNER.verifier).is_good, instant
