"""What the tests of faults counted, at the end of a run: kills, power cuts, refusals of the disk, damaged files.

The counts come home with the tests' reports, from whichever process ran them; `tests/conftest.py` lends its hook.
"""

from collections import Counter
from collections.abc import Callable

import pytest

# The name of the property under which a test reports, and what it counts: a sentence's plural.
PREFIX = "faults: "
Count = Callable[[str, int], None]


def counter(record_property: Callable[[str, object], None]) -> Count:
    """Reports `number` of `what` for the running test."""
    return lambda what, number: record_property(f"{PREFIX}{what}", number)


def counted(reporter: pytest.TerminalReporter) -> Counter[str]:
    """All that was reported in this run."""
    total: Counter[str] = Counter()
    for report in (*reporter.stats.get("passed", ()), *reporter.stats.get("failed", ())):
        for name, value in report.user_properties:
            if name.startswith(PREFIX):
                total[name.removeprefix(PREFIX)] += int(value)
    return total


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the sums, where any test of faults ran."""
    if total := counted(terminalreporter):
        terminalreporter.section("faults")
        for what, number in sorted(total.items(), key=lambda item: -item[1]):
            terminalreporter.line(f"{number:8,} {what}")
