"""From what was seen of a server to faults: which code an end of a handshake stands for. Pure.

An alert says who was displeased and hardly why: where two explanations fit, the likelier is the code and the other an
alternative.
"""

from collections.abc import Iterator

from leafward.doctor.live_evidence import Attempt, LiveEvidence
from leafward.doctor.live_login import login_faults
from leafward.doctor.noted import Noted
from leafward.wire.tls.alerts import Alert

_TRUSTED_ROOT = "openssl s_client -connect HOST:PORT shows the same from OpenSSL's side."
# Alerts by which servers refuse what a client showed of itself -> what else it may be.
_ABOUT_THE_CLIENT: dict[int, tuple[str, tuple[str, ...]]] = {
    42: ("refused-in-handshake", ("thumbprint-mismatch",)),
    43: ("refused-in-handshake", ("eku-missing-client-auth",)),
    44: ("refused-in-handshake", ("certificate-revoked",)),
    45: ("refused-in-handshake", ("certificate-expired", "clock-wrong")),
    46: ("refused-in-handshake", ("thumbprint-mismatch",)),
    48: ("client-chain-incomplete", ("root-not-trusted",)),
    49: ("refused-in-handshake", ("device-unknown", "device-disabled")),
}
_VERSION_ALERTS, _CIPHER_ALERTS = frozenset({70, 86}), frozenset({40, 47, 71, 109})
_CERTIFICATE_REQUIRED, _UNRECOGNIZED_NAME, _NO_PROTOCOL = 116, 112, 120


def faults_of(seen: LiveEvidence, *, broken: tuple[tuple[int, str], ...] = ()) -> tuple[Noted, ...]:
    """All faults. `broken` are (place, why) of the certificates that cannot be read."""
    return (*_first(seen, broken), *_others(seen), *login_faults(seen))


def _first(seen: LiveEvidence, broken: tuple[tuple[int, str], ...]) -> Iterator[Noted]:
    """Why a leaf device is not connected; nothing where it is."""
    first = seen.first
    if broken and first.end in ("done", "malformed"):
        yield _broken(broken)
    elif first.end in ("not-resolved", "refused", "unreachable", "timeout"):
        yield _not_reached(seen)
    elif first.end == "not-tls" or seen.spoken:
        yield _not_tls(seen)
    elif first.end == "older-tls":
        yield _versions(f"an answer in an older version ({first.detail})", "TLS 1.2 or 1.3")
    elif first.end == "alert" and first.alert is not None:
        yield _alert(seen, first, first.alert)
    elif first.end != "done":
        yield _cut_off(seen)


def _broken(broken: tuple[tuple[int, str], ...]) -> Noted:
    place, why = broken[0]
    return Noted(
        code="certificate-malformed",
        got=f"certificate {place + 1} of those sent: {why[:200]}",
        expected="a certificate in DER that decodes (RFC 5280 4.1)",
        who="operator",
        fix="Issue that certificate anew with a current tool, and let the server present it: leafward manager rotate.",
    )


def _not_reached(seen: LiveEvidence) -> Noted:
    first = seen.first
    more: dict[str, object] = {"step": first.step, "addresses": list(seen.addresses)}
    if first.end == "not-resolved" or first.step == "resolve":
        return Noted(
            code="name-not-resolved",
            got=first.detail or "no address",
            expected=f"an address for {seen.host}",
            who="network",
            fix=f"Write {seen.host} in the DNS that the leaf device asks, or in its /etc/hosts; a name in .local needs "
            "mDNS on both sides.",
            more=more,
        )
    if first.end == "refused":
        return Noted(
            code="port-closed",
            got=f"the connection to port {seen.port} was refused",
            expected=f"a server that listens at {seen.target}",
            who="operator",
            fix="Start the edge (leafward up, or systemctl status leafward-hub), and compare the port: ss -ltn shows "
            "those that are open, run/ready.json in the home those of the hub.",
            more=more,
        )
    if first.step in ("handshake", "after the handshake"):
        return _stalled(seen, more)
    return Noted(
        code="connect-timeout",
        got=first.detail or "no answer",
        expected=f"an answer within {seen.timeout:g} s",
        who="network",
        fix=f"Let port {seen.port} through the firewalls between leaf and gateway; see that both are on one network "
        f"(ping {seen.host}, traceroute).",
        more=more,
    )


def _stalled(seen: LiveEvidence, more: dict[str, object]) -> Noted:
    """The connection stood, and then nothing came, or too little."""
    begun = bool(seen.first.first)
    return Noted(
        code="connect-timeout",
        got="a handshake that began and stood still" if begun else "nothing came after the connection stood",
        expected=f"an answer within {seen.timeout:g} s",
        who="operator",
        fix="Restart the hub; where it answers on its own machine (leafward doctor there), large packets are lost on "
        "the way: see the MTU of VPNs and tunnels between (ping -M do -s 1400)."
        if begun
        else "Something accepts connections there and says nothing in TLS: restart the hub, or name the right port.",
        alternatives=() if begun else ("not-tls",),
        look=f"a plain question (curl -v telnet://{seen.target}): an answer means that the port speaks no TLS",
        more=more,
    )


def _not_tls(seen: LiveEvidence) -> Noted:
    spoken = seen.spoken or "something else"
    return Noted(
        code="not-tls",
        got=f"{spoken} without TLS" if seen.spoken else f"bytes that are no TLS: {seen.first.first[:16].hex(' ')}",
        expected="TLS",
        who="operator",
        fix="Name the port that speaks TLS: 8883 for MQTT, 443 for HTTPS and WebSocket. A hub of leafward has no plain "
        "ports; Mosquitto needs certfile and keyfile at its listener.",
    )


def _versions(got: str, expected: str, *, severity: str = "error") -> Noted:
    return Noted(
        code="tls-version-unsupported",
        severity="error" if severity == "error" else "warning",
        got=got,
        expected=expected,
        who="operator",
        fix="Let the server offer TLS 1.2 and 1.3, as leafward's hub does: SslProtocols=tls1.2,tls1.3 for IoT Edge's "
        "edgeHub, tls_version unset for Mosquitto.",
    )


def _alert(seen: LiveEvidence, first: Attempt, alert: Alert) -> Noted:
    more: dict[str, str] = {"step": first.step}
    said = f"the alert {alert.name} ({alert.number}): {alert.meaning}"
    if alert.number in _VERSION_ALERTS:
        return _versions(said, "TLS 1.2 or 1.3")
    if alert.number == _CERTIFICATE_REQUIRED or (first.asked and not first.shown):
        return _certificate_required(said, more)
    if first.shown and first.asked and alert.number in _ABOUT_THE_CLIENT:
        return _client_refused(said, alert, more)
    if alert.number in _CIPHER_ALERTS:
        return Noted(
            code="no-shared-cipher",
            got=said,
            expected="a cipher, a group and a signature algorithm that both sides know",
            who="operator",
            fix="Let the server offer ECDHE with AES-GCM or ChaCha20 and a certificate with a P-256 or RSA key; its "
            "log names what it missed.",
            alternatives=("refused-in-handshake",),
            look="the server's log, which names what it missed; openssl s_client -cipher ALL:@SECLEVEL=0 connects "
            "where only the cipher was missing",
            more=more,
        )
    return Noted(
        code="refused-in-handshake",
        got=said,
        expected="a handshake that comes to its end",
        who="operator",
        fix=_fix_of(alert, seen),
        more=more,
    )


def _certificate_required(said: str, more: dict[str, str]) -> Noted:
    return Noted(
        code="client-certificate-required",
        got=f"no certificate shown, and {said}",
        expected="a client certificate with its chain",
        who="leaf",
        fix="Give the leaf device its certificate and key (leafward device add ID --auth x509-ca), and look again with "
        "--certificate FILE --key FILE; or let the server ask without insisting.",
        more=more,
    )


def _client_refused(said: str, alert: Alert, more: dict[str, str]) -> Noted:
    code, alternatives = _ABOUT_THE_CLIENT[alert.number]
    return Noted(
        code=code,
        got=said,
        expected="a client certificate that the server accepts",
        who="leaf",
        fix="Send every certificate from the leaf's own up to a CA that the server trusts, in one file, leaf first; "
        "`leafward doctor CHAIN --root FILE --purpose client` judges it as the server does.",
        alternatives=alternatives,
        look="the server's log; at a hub of leafward: leafward hub failures",
        more=more,
    )


def _fix_of(alert: Alert, seen: LiveEvidence) -> str:
    if alert.number == _UNRECOGNIZED_NAME:
        return (
            f"The server has no certificate for {seen.name}: connect by a name that it has, or add the name to `names` "
            "in [device] of leafward.toml and restart the edge."
        )
    if alert.number == _NO_PROTOCOL:
        return "The server insists on an application protocol (ALPN) that leaf devices do not name: let it not."
    return "The server's log says what it did not like: leafward hub failures on a gateway of leafward."


def _cut_off(seen: LiveEvidence) -> Noted:
    first = seen.first
    if first.end == "too-much":
        got = first.detail or "more than any server needs"
        fix = "Present the chain up to the root and nothing else: OpenSSL takes no more than 100 KiB of certificates."
        return Noted(code="refused-in-handshake", got=got, expected="a chain of some KiB", who="operator", fix=fix)
    if first.asked and not first.shown:
        return _certificate_required("the connection was closed", {"step": first.step})
    got = first.detail if first.end == "malformed" else "the connection was closed without a word"
    return Noted(
        code="refused-in-handshake",
        got=got or "a message that cannot be read",
        expected="a handshake that comes to its end",
        who="operator",
        fix="See the server's log; a load balancer, a firewall or a server without a certificate closes like this. "
        + _TRUSTED_ROOT,
        alternatives=() if first.end == "malformed" else ("not-tls", "tls-version-unsupported", "tls-intercepted"),
        look="the server's log; openssl s_client with -tls1_2 and with -tls1_3; the same from another network, where "
        "no firewall or proxy is between",
        more={"step": first.step},
    )


def _others(seen: LiveEvidence) -> Iterator[Noted]:
    """What some leaf devices meet and others do not."""
    if not seen.first.done:
        older = seen.attempt("TLSv1.2")
        if older is not None and older.done and seen.first.end in ("closed", "malformed"):
            yield _versions("a server that hangs up at an offer of TLS 1.3, and takes TLS 1.2 alone", "TLS 1.2 or 1.3")
        return
    older = seen.attempt("TLSv1.2")
    if older is not None and older.end in ("alert", "older-tls") and not _is_about_certificates(older):
        got = "TLS 1.3 alone"
        yield _versions(got, "TLS 1.2 too: the Azure SDK for Python and many small devices know no other", severity="w")
    nameless = seen.attempt("any", named=False)
    if nameless is not None and seen.first.server_name is not None and nameless is not seen.first:
        yield from _without_sni(seen, nameless)


def _is_about_certificates(attempt: Attempt) -> bool:
    return attempt.asked or (attempt.alert is not None and attempt.alert.number not in _VERSION_ALERTS | _CIPHER_ALERTS)


def _without_sni(seen: LiveEvidence, nameless: Attempt) -> Iterator[Noted]:
    refused = nameless.end in ("alert", "closed")
    if not refused and (not nameless.chain or nameless.chain[0] == seen.first.chain[0]):
        return
    yield Noted(
        code="server-needs-sni",
        severity="warning",
        got="the handshake is refused" if refused else "another certificate is shown",
        expected="the same certificate for a client that names no server (no SNI)",
        who="operator",
        fix="Make this certificate the server's default one; or let the leaf's TLS library send the name (mbedTLS: "
        "mbedtls_ssl_set_hostname, wolfSSL: wolfSSL_UseSNI).",
    )
