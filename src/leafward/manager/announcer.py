"""Tells what has changed: compares what is in use with what was told last, and publishes the difference.

Whoever changes certificates need not say which: a renewal, a rotation and its way back are told in the same way.
"""

import logging
from typing import Any

from cryptography import x509

from leafward.errors import LeafwardError
from leafward.manager.start import Standing, remember
from leafward.manager.trust_bundle import publish
from leafward.pki.chain import fingerprint
from leafward.store.home import Home
from leafward.wire.api_fields import moment

_log = logging.getLogger(__name__)


def certificates(standing: Standing) -> dict[str, x509.Certificate]:
    """What is in use, by role, issuers first."""
    return {
        "device_ca": standing.device_ca.chain.leaf,
        "workload_ca": standing.workload_ca.certificate,
        "hub_server": standing.hub.certificate,
    }


class Announcer:
    """For the loop's thread. What is in use when it is made counts as told."""

    def __init__(self, home: Home, standing: Standing) -> None:
        self._home = home
        self._standing = standing
        self._told = certificates(standing)
        self._told_roots = standing.anchors

    def tell(self) -> None:
        """Publishes the difference: the trust bundle first, since the new certificates are verified by it."""
        standing = self._standing
        if standing.anchors != self._told_roots:
            self._told_roots = standing.anchors
            self._tell_roots()
        before, self._told = self._told, certificates(standing)
        changed = {role: one for role, one in self._told.items() if one != before[role]}
        standing.time.learn(one for role, one in changed.items() if role == "device_ca")
        standing.time.learn_own(one for role, one in changed.items() if role != "device_ca")
        for role, certificate in changed.items():
            standing.events.publish("certificate", **_facts(role, certificate))
        if "device_ca" in changed:
            self._remember()
        if "workload_ca" in changed:
            self._tell_modules()

    def _tell_roots(self) -> None:
        try:
            publish(self._home, self._standing.anchors)
        except LeafwardError as error:
            _log.error("the trust bundle was not written: %s", error)
        self._standing.events.publish("trust-bundle", roots=[fingerprint(root) for root in self._standing.anchors])

    def _tell_modules(self) -> None:
        """Their certificates are good until they end; who wants one below the new workload CA asks now."""
        for one in self._standing.held.holdings():
            facts = {"name": one.module_id, "sha256": one.sha256, "not_after": moment(one.not_after)}
            self._standing.events.publish("certificate", **facts, reason="issuer-changed")

    def _remember(self) -> None:
        try:
            remember(self._home, self._standing.settings, self._standing.device_ca)
        except LeafwardError as error:
            _log.warning("%s", error)


def _facts(role: str, certificate: x509.Certificate) -> dict[str, Any]:
    return {"name": role, "sha256": fingerprint(certificate), "not_after": moment(certificate.not_valid_after_utc)}
