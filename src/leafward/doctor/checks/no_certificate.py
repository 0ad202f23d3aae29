"""There is no certificate at all.

The server sent none, or the file that was named has nothing in it. Nothing can be verified, so nothing can be said
about the chain.

Comes about: a file was created and never written (a full disk, a redirection whose command failed); a server uses a
cipher without certificates (anonymous, or a shared key).

See: ls -l FILE shows its size; openssl s_client -connect HOST:PORT says "no peer certificate available".

Mend: operator: write the file again (leafward manager rotate makes the hub's own anew); a server without a
certificate needs one in its settings.
"""

from leafward.doctor.case import Case
from leafward.doctor.check import NOT_APPLICABLE, OK, Check, Failed, Outcome, Stage, file_finding, outcome


def _examine(case: Case) -> Outcome:
    if (case.live is None and not case.files) or any(one.severity == "error" for one in case.noted):
        return NOT_APPLICABLE
    empty = [file_finding(CHECK, fault) for fault in case.file_faults if fault.code == CHECK.code]
    if empty or case.presented or any(fault.severity == "error" for fault in case.file_faults):
        return outcome(empty) if empty else OK
    nothing = CHECK.finding(
        "error",
        evidence={"got": "no certificate", "expected": "a chain, the peer's own certificate first"},
        who="operator",
        fix="Name the file with the certificates, or give the server a certificate: leafward manager rotate.",
    )
    return Failed((nothing,))


CHECK = Check(
    code="no-certificate",
    family="chain",
    title="there is no certificate",
    order=Stage.FILES,
    examine=_examine,
    text=__doc__ or "",
)
