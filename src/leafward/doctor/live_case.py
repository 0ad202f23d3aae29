"""From a server that was named to a case: looked at, its chain read, its faults noted."""

from dataclasses import replace

from leafward.doctor.case import Case
from leafward.doctor.live import Wanted, certificates_in, log_in, look
from leafward.doctor.live_evidence import LiveEvidence, Login
from leafward.doctor.live_faults import faults_of
from leafward.doctor.live_handshake import ClientCredential
from leafward.doctor.live_intercepted import intercepted
from leafward.doctor.live_login import LOOK, answer
from leafward.doctor.live_speech import MqttLogin
from leafward.doctor.noted import Noted
from leafward.doctor.probe import Target
from leafward.doctor.runner import diagnose
from leafward.doctor.target_kinds import TIMEOUT
from leafward.pki.extension import unreadable

# Of a leaf's own certificate: whether the hub minds depends on what it knows, so where a login is tried, that tells. No
# secret goes out with a certificate.
_DOUBTFUL = frozenset({"common-name-not-device-id", "client-chain-incomplete"})


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
    doubts = tuple(one for one in named.noted if one.code in _DOUBTFUL)
    sure = tuple(one for one in named.noted if one not in doubts)
    if login is None or not _is_trusted(replace(case, noted=tuple(one for one in case.noted if one not in doubts))):
        return case
    tried = log_in(wanted, seen, login)
    if tried.login is None or not doubts:
        return case_of(tried, named)
    if tried.login.return_code == 0:  # a hub that knows the certificate, or its CAs
        return case_of(tried, replace(named, noted=sure))
    return case_of(seen, replace(named, noted=(*(_refused(one, tried.login) for one in doubts), *sure)))


def _refused(doubt: Noted, login: Login) -> Noted:
    """What was doubtful, with the hub's answer, which fits other explanations too."""
    others = ("thumbprint-mismatch", "device-unknown", "device-disabled")
    return replace(doubt, more={**doubt.more, "login": answer(login)}, alternatives=others, look=LOOK)


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
