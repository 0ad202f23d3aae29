"""What the log of an operator who asked for details says of connections that end: within a budget.

Whoever connects and leaves a thousand times a second would otherwise write a thousand lines. How many connections have
ended and why is a counter's to say, which leaves none out.
"""

import logging

from leafward.hub.log_budget import LogBudgets

logger = logging.getLogger(__name__)


class Endings:
    """One of a hub, for all kinds of connections."""

    def __init__(self, budgets: LogBudgets | None = None) -> None:
        self._budgets = LogBudgets() if budgets is None else budgets

    def tell(self, kind: str, address: str, code: str, why: str | None) -> None:
        """Says that a connection of a `kind`, such as "MQTT", has ended, and how many were passed over before."""
        if not logger.isEnabledFor(logging.INFO) or not self._budgets.take(code):
            return
        passed_over = sum(self._budgets.suppressed().values())
        more = f"; {passed_over} more were not logged" if passed_over else ""
        logger.info("%s connection from %s ends: %s%s%s", kind, address, code, f" ({why})" if why else "", more)
