"""From a server that was named to a case: looked at, its chain read, its faults noted."""

from dataclasses import replace

from leafward.doctor.case import Case
from leafward.doctor.live import Wanted, certificates_in, look
from leafward.doctor.live_evidence import LiveEvidence
from leafward.doctor.live_faults import faults_of
from leafward.doctor.live_handshake import ClientCredential
from leafward.doctor.live_intercepted import intercepted
from leafward.doctor.live_speech import MqttLogin
from leafward.doctor.noted import Noted
from leafward.doctor.probe import Target
from leafward.doctor.target_kinds import TIMEOUT


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
        login=login,
    )
    return case_of(look(wanted), replace(base, target=str(where), name=where.name))


def case_of(seen: LiveEvidence, base: Case) -> Case:
    """What was seen, put into a case."""
    presented, broken = certificates_in(seen.chain)
    case = replace(base, presented=presented, live=seen, peer_time=seen.peer_time, purpose="server")
    return replace(case, noted=(*base.noted, *faults_of(seen, broken=broken), *_intercepted(case)))


def _intercepted(case: Case) -> tuple[Noted, ...]:
    if case.context is None:
        return ()
    anchored = bool(case.anchors) and case.openssl_finds_a_path
    found = intercepted(case.presented, anchored=anchored, roots_known=bool(case.anchors))
    return () if found is None else (found,)
