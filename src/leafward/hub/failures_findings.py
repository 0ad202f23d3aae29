"""What to do about a line of the list: a title, who can mend it, and how, for each of the doctor's codes.

Written once, here, and put to a line only when somebody reads it: what is stored are codes and facts.
"""

from dataclasses import dataclass
from typing import Literal

from leafward.hub.failures import Failure
from leafward.hub.failures_diagnosis import LEFT

Who = Literal["maker", "operator", "leaf", "network"]
Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is one or two sentences that name the command or the setting."""

    title: str
    who: Who
    fix: str
    severity: Severity = "error"


def finding_of(failure: Failure) -> Finding:
    """What there is to say of a line."""
    if failure.symptom == LEFT and failure.code == "refused-in-handshake":
        return _LEFT
    return (_LOGINS if failure.kind == "login" else _HANDSHAKES).get(failure.code, _UNKNOWN)


def is_login(code: str) -> bool:
    """Whether a refusal of this code is somebody who could not log in; others are about what he then did."""
    return code in _LOGINS


_UNKNOWN = Finding(
    "the leaf device refuses the handshake, and does not say why",
    "leaf",
    "Run `leafward doctor HOST:PORT --root FILE` with the root and the name that the device has: it shows what such a "
    "client sees",
)

_LEFT = Finding(
    "a client left right after the handshake, without a word",
    "leaf",
    "Node.js, and curl for a name, do so when they refuse the certificate; so does a port check. Compare the root and "
    "the name of the device: `leafward doctor HOST:PORT --root FILE`",
    "warning",
)

_HANDSHAKES = {
    "root-not-trusted": Finding(
        "the leaf device does not trust the root of the chain it is shown",
        "leaf",
        "Give the device the root certificate, trust/root.pem of this gateway: the root itself, no intermediate",
    ),
    "root-same-name-different-key": Finding(
        "the leaf device has a root of the same name and another key",
        "leaf",
        "Give the device this gateway's present root, trust/root.pem, in place of the one it has",
    ),
    "intermediate-missing": Finding(
        "the chain that the hub shows has a gap, so no client can follow it to the root",
        "operator",
        "Put every certificate up to the root, leaf first, in manager/device-ca/certificate.pem; `leafward chain FILE` "
        "shows where it ends",
    ),
    "certificate-expired": Finding(
        "a certificate of the chain that the hub shows has expired",
        "operator",
        "Renew it: `leafward manager rotate`; where a CA above it is at its end, the maker issues that anew",
    ),
    "certificate-not-yet-valid": Finding(
        "the chain that the hub shows begins later than this gateway's own clock says it is",
        "operator",
        "Set the gateway's clock (`timedatectl`), then `leafward manager rotate`",
    ),
    "clock-wrong": Finding(
        "the certificate is in date here, and not by the leaf device's clock",
        "leaf",
        "Set the clock of the leaf device (NTP, or a battery for it). If it is right, look at its root certificate",
    ),
    "tls-version-unsupported": Finding(
        "the leaf device speaks no TLS version that the hub does: 1.2 and 1.3",
        "leaf",
        "Switch TLS 1.2 on in the device, or update its TLS library; older versions are not offered here",
    ),
    "no-shared-cipher": Finding(
        "the leaf device and the hub have no cipher, key exchange or signature algorithm in common",
        "leaf",
        "Let the device offer ECDHE with AES-GCM or ChaCha20, a group of X25519, P-256 or P-384, and the signature "
        "algorithm of the hub's key",
    ),
    "not-tls": Finding(
        "something speaks to the TLS port without TLS",
        "leaf",
        "Use mqtts:// and port 8883, or https://: there is no port for plain MQTT or HTTP. A load balancer in front "
        "must not send a PROXY header",
    ),
    "hostname-mismatch": Finding(
        "the leaf device looks for a name that the certificate does not have",
        "leaf",
        "Connect by a name that the certificate has, in GatewayHostName; or add the name to `names` in [device] of "
        "leafward.toml and restart the edge",
    ),
    "ip-san-missing": Finding(
        "the leaf device connects to an address, and the certificate has names alone",
        "operator",
        "Add the address to `names` in [device] of leafward.toml and restart the edge, or connect by name",
    ),
    "eku-missing-server-auth": Finding(
        "the certificate that the hub shows is not for servers",
        "operator",
        "Issue it anew with the extended key usage serverAuth; the manager's own certificates have it",
    ),
    "weak-key": Finding(
        "a key is too weak, or too dear to check, for the other side",
        "leaf",
        "Use keys of P-256 or RSA 2048 to 4096 bits in every certificate of the chain",
    ),
    "connect-timeout": Finding(
        "the leaf device began a handshake and then fell silent",
        "network",
        "Look for lost large packets on the way (MTU, VPN, firewall): the hub's answer has some kilobytes. "
        "`present_root = false` in [hub] makes it smaller",
        "warning",
    ),
    "refused-in-handshake": _UNKNOWN,
    "certificate-revoked": Finding(
        "the certificate is revoked",
        "operator",
        "Issue it anew: `leafward manager rotate`. If it stands on a list wrongly, its CA takes it off",
    ),
}

_DEVICE_ADD = "`leafward device list` shows what is registered; register it with `leafward device add ID`"
_LOGINS = {
    "device-unknown": Finding("no such device or module is registered", "operator", _DEVICE_ADD),
    "device-disabled": Finding(
        "the device is disabled", "operator", "If it may connect again: `leafward device enable ID`"
    ),
    "policy-unknown": Finding(
        "a service names a shared access policy that is not there",
        "operator",
        "`leafward hub policy list` shows which there are; make one with `leafward hub policy create NAME`",
    ),
    "not-enrolled": Finding(
        "no enrolment admits this device",
        "operator",
        "Enrol it, or the CA that has signed it: `leafward enrolment add`; which there are: `leafward enrolment list`",
    ),
    "enrolment-disabled": Finding(
        "the enrolment of this device is disabled",
        "operator",
        "If it may register again: `leafward enrolment enable ID`, with --group for a group",
    ),
    "sas-expired": Finding(
        "the token has expired",
        "leaf",
        "Make a new token; where it is new, set the clock of the leaf device: it is behind",
    ),
    "sas-signature-wrong": Finding(
        "the token was made with another key",
        "leaf",
        "Give the device its present connection string: `leafward device show ID --secrets`",
    ),
    "sas-malformed": Finding(
        "the password is no shared access signature",
        "leaf",
        "Set the connection string in the SDK, not the key as a password: the SDK makes the token",
    ),
    "sas-audience-wrong": Finding(
        "the token is for another device, or for another hub",
        "leaf",
        "Make the token for HostName and DeviceId of its connection string: `leafward device show ID --secrets`",
    ),
    "credential-missing": Finding(
        "neither a token nor a client certificate came",
        "leaf",
        "Give the device its connection string, or its certificate and key, whichever it is registered for",
    ),
    "credential-of-other-type": Finding(
        "the device is registered for another kind of credential",
        "operator",
        "`leafward device show ID` says which; remove it and add it with the right --auth",
    ),
    "login-malformed": Finding(
        "the user name or the client id is not one of IoT Hub's",
        "leaf",
        "User name {hub}/{device}/?api-version=2021-04-12, client id {device}, the same one in both",
    ),
    "certificate-malformed": Finding(
        "the client certificate cannot be read", "leaf", "Issue it anew: `leafward device add ID --auth x509-ca`"
    ),
    "certificate-expired": Finding(
        "the device's own certificate has expired",
        "operator",
        "Issue it anew: `leafward device remove ID`, then `leafward device add ID --auth x509-ca`",
    ),
    "certificate-not-yet-valid": Finding(
        "the device's own certificate begins later than this gateway's clock says it is",
        "operator",
        "Compare the clock of this gateway with that of who issued it (`timedatectl`)",
    ),
    "thumbprint-mismatch": Finding(
        "the device came with another certificate than the one it is registered with",
        "operator",
        "Register the certificate it has: `openssl x509 -in FILE -noout -fingerprint -sha256`, then `leafward device "
        "add ID --auth x509-thumbprint --thumbprint HEX`",
    ),
    "common-name-not-device-id": Finding(
        "the certificate's common name is not the device id",
        "leaf",
        "Issue a certificate with the device id as its common name, letter for letter",
    ),
    "client-chain-incomplete": Finding(
        "the device does not send the CA certificates between its own and the root",
        "leaf",
        "Give the device a chain file: its own certificate first, then every CA up to the root",
    ),
    "root-not-trusted": Finding(
        "the device's certificate leads to no root of this gateway",
        "operator",
        "Issue it below this gateway's device CA, or name its CA in `leaf_cas` of [hub]",
    ),
    "issued-for-a-module": Finding(
        "a module's certificate was used for a leaf device",
        "leaf",
        "Use a certificate of the device CA: `leafward device add ID --auth x509-ca`",
    ),
    "issued-for-another-gateway": Finding(
        "the certificate is from a CA that does not speak for this gateway's devices",
        "operator",
        "If its CA shall: name it in `leaf_cas` of [hub]. Else issue one here: `leafward device add ID --auth x509-ca`",
    ),
    "leaf-is-a-ca": Finding(
        "a CA certificate was used as a device's own", "leaf", "Issue an end-entity certificate for the device"
    ),
    "module-with-certificate": Finding(
        "a module came with a certificate", "leaf", "A module signs in with its key: `leafward module add NAME`"
    ),
    "certificate-revoked": Finding(
        "the device's certificate, or a CA above it, is revoked",
        "operator",
        "If that is wrong, take it off the list in `crls` of [hub]; else issue a new one",
    ),
    "auth-chain-wrong": Finding(
        "the login names a chain of gateways that does not hold together",
        "operator",
        "The chain begins with the device and ends with the child gateway that connects",
    ),
    "not-a-child": Finding(
        "a child gateway speaks for a device that is not registered behind it",
        "operator",
        "`leafward device add ID --parent GATEWAY` on this gateway",
    ),
}
