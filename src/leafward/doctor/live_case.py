"""From a server that was named to a case: looked at, its chain read, its faults noted."""

from dataclasses import replace

from leafward.doctor.case import Case
from leafward.doctor.live import Wanted, certificates_in, log_in, look
from leafward.doctor.live_evidence import LiveEvidence
from leafward.doctor.live_faults import faults_of
from leafward.doctor.live_handshake import ClientCredential
from leafward.doctor.live_intercepted import intercepted
from leafward.doctor.live_speech import MqttLogin
from leafward.doctor.noted import Noted
from leafward.doctor.probe import Target
from leafward.doctor.runner import diagnose
from leafward.doctor.target_kinds import TIMEOUT
from leafward.pki.extension import unreadable


def server_case(
    where: Target,
    base: Case,
    *,
    timeout: float = TIMEOUT,
    credential: ClientCredential | None = None,
    login: MqttLogin | None = None,
) -> Case:
    """The case of one server. `base` has what is known beside it: anchors, now, limits, what was noted before.

    Never raises for what the server does; an answer comes within `timeout` seconds and a moment.
    """
    wanted = Wanted(
        host=where.host,
        port=where.port,
        name=where.name,
        now=base.now,
        timeout=timeout,
        credential=credential,
    )
    seen, named = look(wanted), replace(base, target=str(where), name=where.name)
    case = case_of(seen, named)
    if login is None or not _is_trusted(case):
        return case
    return case_of(log_in(wanted, seen, login), named)


def _is_trusted(case: Case) -> bool:
    """Whether a leaf would send its credential there: known roots, a name, and nothing wrong with either side."""
    return bool(case.anchors) and case.host is not None and diagnose(case).cause is None


def case_of(seen: LiveEvidence, base: Case) -> Case:
    """What was seen, put into a case."""
    presented, broken = certificates_in(seen.chain)
    case = replace(base, presented=presented, live=seen, peer_time=seen.peer_time, purpose="server")
    return replace(case, noted=(*base.noted, *faults_of(seen, broken=broken), *_intercepted(case)))


def _intercepted(case: Case) -> tuple[Noted, ...]:
    if case.context is None:
        return ()
    anchored = bool(case.anchors) and case.openssl_finds_a_path
    readable = [one for one in case.presented if not unreadable(one)]
    found = intercepted(readable, anchored=anchored, roots_known=bool(case.anchors))
    return () if found is None else (found,)
