"""How an enrolment stands: what the status shows of it, and whether its last failure may mend itself."""

from dataclasses import dataclass
from datetime import datetime

from leafward.errors import Damaged, KeyUnavailable, LeafwardError, PeerUnavailable, StoreError


@dataclass(frozen=True)
class EnrolmentReport:
    """How it stands, for the status. Times are aware UTC; `refused`: somebody has to change something first."""

    failures: int = 0
    last_error: str | None = None
    refused: bool = False
    last_attempt: datetime | None = None
    last_success: datetime | None = None


def may_mend(error: LeafwardError) -> bool:
    """Whether it may be over without anybody doing anything: a network, a server, a token, a disk."""
    return isinstance(error, PeerUnavailable | KeyUnavailable | StoreError) and not isinstance(error, Damaged)
