"""The doctor's look at a home, for commands beside `leafward doctor`: the same engine, the same report."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.doctor.runner import Report


def home_report(home: Home, *, live: bool = True) -> "Report":
    """What `leafward doctor HOME` finds, now. Without `live` the hub that runs there is not connected to."""
    from leafward.cli.service import system_clock
    from leafward.doctor.case_files import Question
    from leafward.doctor.device_home import DeviceHome, home_case
    from leafward.doctor.runner import diagnose

    return diagnose(home_case(DeviceHome(home), Question(now=system_clock()), live=live))


def report_json(report: "Report") -> dict[str, Any]:
    """As `leafward doctor --json`."""
    from leafward.doctor.report import as_json

    return as_json(report)


def report_lines(report: "Report") -> Iterator[str]:
    """As `leafward doctor` prints it."""
    from leafward.cli.doctor_report import lines_of

    return lines_of(report)
