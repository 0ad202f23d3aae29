"""How many files this process may have open: each connection is one.

The usual soft limit of 1,024 is a relic of `select`, which nothing here uses. We raise it to the hard limit, and take
no more connections than that leaves room for: at the limit itself nothing works any more, no accept and no database.
"""

import contextlib
import logging
import resource

from leafward.hub.settings import Limits

logger = logging.getLogger(__name__)

# Databases, listeners, unix sockets to the manager and to the provisioning service (aiohttp opens up to 100).
OTHERS = 256


def raise_limit() -> int:
    """Raises this process's limit as far as it may go; how many files may be open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # a system's own bound may be lower than the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return soft


def within_descriptors(limits: Limits, files: int) -> Limits:
    """`limits` with as many connections as `files` open files leave room for."""
    if files == resource.RLIM_INFINITY:
        return limits
    most = max(1, files - min(OTHERS, files // 2))
    if limits.connections <= most:
        return limits
    logger.warning(
        "%d connections are allowed and %d are possible: this process may open %d files (ulimit -n)",
        limits.connections,
        most,
        files,
    )
    return limits.model_copy(update={"connections": most})
