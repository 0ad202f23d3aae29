"""Sees every TLS handshake from its accept to its end, and notes those that lead nowhere.

An event loop tells its own server nothing of a handshake that fails, and OpenSSL tells nobody whose it was. So each
accepted connection has an `Attempt`, which its TLS connection knows as its owner; the TLS context calls when that
fails, and the listener when it begins, when it is done, and when it is over.

    accept -> begin -> [begun -> failed]  -> gone                the alert, while the handshake lasts
                       [begun -> done -> failed] -> lost         an alert after it (TLS 1.3, a client that looks late)
                       [begun -> done] -> lost, nothing said     a client that refuses without a word
                       [begun] -> gone                           closed, or silent, in the middle
"""

import logging
import ssl
from collections.abc import Callable
from datetime import datetime

from leafward.hub.failures import Evidence, Failure, Failures
from leafward.hub.failures_diagnosis import CLOSED, LEFT, NOT_TLS, TIMED_OUT, Sight, diagnose, shown
from leafward.hub.gate import host_of
from leafward.hub.log_budget import LogBudget
from leafward.hub.metrics import HubMetrics
from leafward.wire.tls.alerts import alert_of
from leafward.wire.tls.connection import TlsConnection

logger = logging.getLogger(__name__)

# A socket on which nothing was said: a port check. It is counted, and is nobody's failure.
_NOTHING_SAID = "nothing-said"
# OpenSSL's reasons for bytes that are no TLS.
_GARBAGE = frozenset({"wrong_version_number", "http_request", "https_proxy_request", "unexpected_message"})


class HandshakeWatch:
    """`failed` is for the TLS context. `monotonic` gives seconds, `clock` the time in UTC."""

    def __init__(
        self,
        failures: Failures,
        metrics: HubMetrics,
        clock: Callable[[], datetime],
        *,
        monotonic: Callable[[], float],
        handshake_timeout: float,
        connect_timeout: float,
    ) -> None:
        self.failures = failures
        self.metrics = metrics
        self.clock = clock
        self.monotonic = monotonic
        self.handshake_timeout = handshake_timeout
        self.connect_timeout = connect_timeout
        # The hub ends connections itself: who is cut now has not left.
        self.stopping = False
        self._budget = LogBudget()

    def begin(self, address: str) -> "Attempt":
        """A connection was accepted."""
        return Attempt(self, address)

    def failed(self, tls: TlsConnection, error: ssl.SSLError) -> None:
        """A handshake failed, or an alert came after it."""
        alert = alert_of(error)
        symptom = (error.reason or "unknown").lower() if alert is None else alert.name
        attempt = tls.owner
        if isinstance(attempt, Attempt):
            attempt.note(symptom, None if alert is None else alert.from_peer)
        else:
            self.count(symptom, "?", None)

    def count(self, symptom: str, address: str, server_name: str | None) -> None:
        """For attempts: counted, and said as far as the log's budget goes."""
        self.metrics.handshakes_failed[symptom] += 1
        if self._budget.take():
            asked = "" if server_name is None else f" for {server_name}"
            logger.info("a TLS handshake of %s%s failed: %s", address, asked, symptom)


class Attempt:
    """One accepted connection."""

    __slots__ = ("_address", "_at", "_noted", "_watch", "tls")

    def __init__(self, watch: HandshakeWatch, address: str) -> None:
        self._watch = watch
        self._address = address
        self._at = watch.monotonic()
        self._noted = False
        self.tls: TlsConnection | None = None

    def begun(self, tls: TlsConnection) -> None:
        """It has its TLS connection."""
        self.tls, tls.owner = tls, self

    def done(self) -> None:
        """The handshake is done."""
        metrics, tls = self._watch.metrics, self.tls
        self._at = self._watch.monotonic()
        metrics.handshakes += 1
        if tls is not None:
            metrics.handshakes_resumed += tls.session_reused
            metrics.key_exchanges[tls.group() or "unknown"] += 1

    def gone(self, *, given_up: bool) -> None:
        """The handshake has not come to its end, and nobody can say why but by what is missing.

        `given_up`: the hub has ended it, for want of room or because it stops.
        """
        tls, watch = self.tls, self._watch
        if not (self._noted or tls is None or given_up or watch.stopping):
            if tls.opening() == "nothing":
                watch.metrics.handshakes_failed[_NOTHING_SAID] += 1
            else:
                waited = watch.monotonic() - self._at
                self.note(TIMED_OUT if waited >= watch.handshake_timeout * 0.9 else CLOSED, None)
        # Whoever holds us still shall not hold OpenSSL's memory.
        self.tls = None

    def lost(self) -> None:
        """The connection is closed, after its handshake."""
        tls, watch = self.tls, self._watch
        # Whom we have waited for in vain we have closed ourselves.
        waited = watch.monotonic() - self._at
        if not (self._noted or tls is None or tls.heard or watch.stopping) and waited < watch.connect_timeout * 0.9:
            watch.metrics.left_without_a_word += 1
            self._list(LEFT, None)
        self.tls = None

    def note(self, symptom: str, by_client: bool | None) -> None:
        """It failed, and this is what was seen; the first word counts."""
        if self._noted:
            return
        name = self._list(symptom, by_client)
        self._watch.count(symptom, self._address, name)

    def _list(self, symptom: str, by_client: bool | None) -> str | None:
        """Puts it on the list; the name that was asked for."""
        self._noted = True
        tls = self.tls
        if tls is None:
            return None
        sight = self._sight(tls, symptom, by_client)
        found = diagnose(sight)
        at = self._watch.clock()
        self._watch.failures.note(
            Failure(
                kind="handshake",
                address=host_of(self._address),
                who=sight.server_name or "",
                symptom=sight.symptom,
                code=found.code,
                first=at,
                last=at,
                alternatives=found.alternatives,
                evidence=_evidence(sight, tls),
                certificate=sight.shown.sha256,
            )
        )
        return sight.server_name

    def _sight(self, tls: TlsConnection, symptom: str, by_client: bool | None) -> Sight:
        opening, hello = tls.opening(), tls.hello()
        if opening not in ("tls", "nothing") or (hello is None and symptom in _GARBAGE):
            symptom = NOT_TLS
        return Sight(
            symptom=symptom,
            by_client=by_client,
            opening=opening,
            hello=hello,
            server_name=tls.server_name if hello is None else hello.server_name,
            shown=shown(tls.chain),
            names=tls.context.names,
            now=self._watch.clock(),
        )


def _evidence(sight: Sight, tls: TlsConnection) -> Evidence:
    """What was seen, for people and for the doctor."""
    known: dict[str, str | int | bool | list[str] | None] = {
        "alert": sight.symptom if sight.by_client is not None else None,
        "sent_by": None if sight.by_client is None else "client" if sight.by_client else "hub",
        "server_name": sight.server_name,
        "shown_common_name": sight.shown.common_name,
        "shown_names": list(sight.shown.names[:16]),
        "shown_until": sight.shown.not_after.isoformat(),
        "shown_bytes": sight.shown.size,
        "gateway_time": sight.now.isoformat(timespec="seconds"),
    }
    if sight.opening != "tls":
        known["spoke"] = sight.opening
    if tls.established:
        known["version"] = tls.version()
    if sight.hello is not None:
        known["offered_versions"] = list(sight.hello.versions)
        known["offered_groups"] = list(sight.hello.groups)
    return {name: said for name, said in known.items() if said is not None}
