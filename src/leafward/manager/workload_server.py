"""The Workload API: what the manager does for a module, on `workload.sock`.

Who calls decides: it has to be the module that the path names, of the generation that the path names. Anything else is
403 "forbidden", whether the module exists or not. The list of modules and the trust bundle are for everybody.
"""

from collections.abc import Iterable

from leafward.errors import AccessDenied
from leafward.manager.admission import Admission
from leafward.manager.event_stream import workload_events
from leafward.manager.http_routes import Call, Route, Routes, anybody
from leafward.manager.identity_certificate import issue_identity
from leafward.manager.module_list import list_modules
from leafward.manager.module_secrets import MasterKey, sign
from leafward.manager.module_tokens import generation
from leafward.manager.pairs import Pair
from leafward.manager.server_certificate import ServerCertificates
from leafward.manager.start import Standing
from leafward.manager.trust_bundle import bundle_to_pem
from leafward.pki.encoding import private_key_to_pem
from leafward.wire import workload_api as api


class WorkloadApi:
    """The answers, one method a route. For one thread: the manager's loop."""

    def __init__(self, standing: Standing, admission: Admission, master: MasterKey) -> None:
        self._standing = standing
        self._admission = admission
        self._master = master
        lifetime = standing.settings.renewal.server_lifetime
        self._servers = ServerCertificates(standing.hub, standing.names, standing.workload_ca, lifetime, standing.held)

    def routes(self, further: Iterable[Route] = ()) -> Routes:
        """Every endpoint of IoT Edge's Workload API, and `further` ones."""
        routes = (
            Route("GET", api.MODULES, self._modules, admit=anybody),
            Route("GET", api.TRUST_BUNDLE, self._trust_bundle, admit=anybody),
            Route("GET", api.MANIFEST_TRUST_BUNDLE, self._manifest_trust_bundle, admit=anybody),
            Route("POST", api.SIGN, self._sign),
            Route("POST", api.ENCRYPT, self._encrypt),
            Route("POST", api.DECRYPT, self._decrypt),
            Route("POST", api.SERVER_CERTIFICATE, self._server_certificate, status=201, manner="in-turn"),
            Route("POST", api.IDENTITY_CERTIFICATE, self._identity_certificate, status=201, manner="in-turn"),
            workload_events(self._standing.events, self._admission),
            *further,
        )
        return Routes(routes, self._admit, owner=self._admission.owner, body_limit=api.MAX_REQUEST_BODY)

    def _admit(self, call: Call) -> None:
        identity = self._standing.modules.find(call.module_id)
        who = self._admission.who(call, identity)
        if who is None or who.module_id != call.module_id or identity is None or not identity.enabled:
            raise AccessDenied("forbidden")
        # A process of an earlier registration of the name holds none of the present one's rights.
        if {who.generation_id, generation(call) or identity.generation_id} != {identity.generation_id}:
            raise AccessDenied("forbidden")

    def _modules(self, _call: Call) -> bytes:
        return list_modules(self._standing.modules, self._admission.callers)

    def _trust_bundle(self, _call: Call) -> bytes:
        return api.trust_bundle_response(bundle_to_pem(self._standing.anchors))

    def _manifest_trust_bundle(self, _call: Call) -> bytes:
        return api.trust_bundle_response(b"")

    def _sign(self, call: Call) -> bytes:
        request = api.SignRequest.parse(call.body)
        identity = self._standing.modules.get(call.module_id)
        # As the daemon since 1.2: the key the caller names is not looked at, the module has one.
        return api.sign_response(sign(identity.primary_key or b"", request.data))

    def _encrypt(self, call: Call) -> bytes:
        request = api.EncryptRequest.parse(call.body)
        ciphertext = self._master.encrypt(
            request.plaintext,
            module=call.module_id,
            generation_id=generation(call) or "",
            vector=request.initialization_vector,
        )
        return api.encrypt_response(ciphertext)

    def _decrypt(self, call: Call) -> bytes:
        request = api.DecryptRequest.parse(call.body)
        plaintext = self._master.decrypt(
            request.ciphertext,
            module=call.module_id,
            generation_id=generation(call) or "",
            vector=request.initialization_vector,
        )
        return api.decrypt_response(plaintext)

    def _server_certificate(self, call: Call) -> bytes:
        request = api.ServerCertificateRequest.parse(call.body)
        now = self._standing.time.now()
        return _certificate(
            self._servers.answer(call.module_id, request.common_name, expiration=request.expiration, now=now)
        )

    def _identity_certificate(self, call: Call) -> bytes:
        request = api.IdentityCertificateRequest.parse(call.body)
        return _certificate(
            issue_identity(
                self._standing.workload_ca.issuer,
                hub_name=str(self._standing.settings.hostname),
                device_id=self._standing.settings.device.device_id,
                module_id=call.module_id,
                expiration=request.expiration,
                now=self._standing.time.now(),
            )
        )


def _certificate(pair: Pair) -> bytes:
    end = pair.chain.leaf.not_valid_after_utc
    return api.CertificateResponse(private_key_to_pem(pair.key), pair.chain.to_pem(), end).to_json()
