"""A certificate cannot be read.

The armour is whole, and what is inside is no certificate, or one with a name or a date that does not decode. No stack
reads it.

Comes about: the file was damaged and the damage kept the base64 intact; a faulty tool made it; a server sends
something else.

See: openssl x509 -in FILE -noout -text, openssl asn1parse -in FILE.

Mend: copy the certificate again from where it was issued, or issue it anew: leafward ca sign.
"""

from dataclasses import replace

from cryptography.hazmat.primitives.serialization import Encoding

from leafward.doctor.case import Case
from leafward.doctor.check import Check, Outcome, Stage, file_finding, outcome
from leafward.doctor.finding import Finding
from leafward.pki.chain import fingerprint
from leafward.pki.extension import unreadable
from leafward.pki.rules import rule


def _examine(case: Case) -> Outcome:
    found = [file_finding(CHECK, fault) for fault in case.file_faults if fault.code == CHECK.code]
    for place, certificate in enumerate(case.presented):
        if why := unreadable(certificate):
            size = len(certificate.public_bytes(Encoding.DER))
            found.append(replace(_finding(why, place, size), certificate=fingerprint(certificate)))
    return outcome(found)


def _finding(why: str, place: int, size: int) -> Finding:
    return CHECK.finding(
        "error",
        evidence={"got": why, "expected": "a certificate as in RFC 5280", "place": place, "bytes": size},
        who="maker",
        fix="The certificate is damaged, or a faulty tool made it: copy it again, or issue it anew (leafward ca sign).",
    )


CHECK = Check(
    code="certificate-malformed",
    family="files",
    title=rule("certificate-malformed").title,
    # Before the path, where OpenSSL meets it: a certificate that does not decode is not there.
    order=Stage.REACH,
    examine=_examine,
    text=__doc__ or "",
)
