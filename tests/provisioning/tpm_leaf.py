"""A device with a TPM, as the SDKs do it: keys, the activation of a challenge, signatures. By tpm2-pytss and swtpm."""

from typing import Any


class TpmLeaf:
    """The device's side; `tcti` names its TPM, `endorsement` and `storage` the kinds of its keys."""

    def __init__(self, tcti: str, *, endorsement: str = "rsa2048", storage: str = "rsa2048") -> None:
        from tpm2_pytss import ESAPI

        self._tpm: Any = ESAPI(tcti)
        self._endorsement, self._endorsement_public = self._primary(endorsement, endorsement=True)
        self._storage, self._storage_public = self._primary(storage, endorsement=False)
        self._key: Any = None

    @property
    def endorsement_key(self) -> bytes:
        return self._endorsement_public.marshal()

    @property
    def storage_root_key(self) -> bytes:
        return self._storage_public.marshal()

    def activate(self, blob: bytes) -> None:
        """Takes in the key of a challenge: it can sign with it from now on, and not show it."""
        from tpm2_pytss import (
            TPM2_ALG,
            TPM2B_DATA,
            TPM2B_ENCRYPTED_SECRET,
            TPM2B_ID_OBJECT,
            TPM2B_PRIVATE,
            TPM2B_PUBLIC,
            TPMT_SYM_DEF_OBJECT,
        )

        parts = []
        for kind in (TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET, TPM2B_PRIVATE, TPM2B_ENCRYPTED_SECRET, TPM2B_PUBLIC):
            part, size = kind.unmarshal(blob)
            parts.append(part)
            blob = blob[size:]
        assert blob == b"\0\0"
        credential, secret, private, seed, public = parts
        session = self._session()
        try:
            inner = self._tpm.activate_credential(
                self._storage, self._endorsement, credential, secret, session2=session
            )
        finally:
            self._tpm.flush_context(session)
        symmetric = TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.AES)
        symmetric.keyBits.sym, symmetric.mode.sym = 128, TPM2_ALG.CFB
        imported = self._tpm.import_(self._storage, TPM2B_DATA(bytes(inner)), public, private, seed, symmetric)
        if self._key is not None:
            self._tpm.flush_context(self._key)
        self._key = self._tpm.load(self._storage, imported, public)

    def sign(self, data: bytes) -> bytes:
        """HMAC-SHA256 by the activated key."""
        from tpm2_pytss import TPM2_ALG

        return bytes(self._tpm.hmac(self._key, data, TPM2_ALG.SHA256))

    def close(self) -> None:
        for handle in (self._endorsement, self._storage, self._key):
            if handle is not None:
                self._tpm.flush_context(handle)
        self._tpm.close()

    def _session(self) -> Any:
        """The policy of an endorsement key: the endorsement hierarchy's own authorisation."""
        from tpm2_pytss import ESYS_TR, TPM2_ALG, TPM2_SE, TPMT_SYM_DEF

        session = self._tpm.start_auth_session(
            ESYS_TR.NONE, ESYS_TR.NONE, TPM2_SE.POLICY, TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL), TPM2_ALG.SHA256
        )
        self._tpm.policy_secret(ESYS_TR.ENDORSEMENT, session, b"", b"", b"", 0)
        return session

    def _primary(self, kind: str, *, endorsement: bool) -> tuple[Any, Any]:
        """The key that the SDKs' template makes (RSA 2048, AES-128-CFB), or its like of another kind."""
        from tpm2_pytss import ESYS_TR, TPM2B_PUBLIC, TPM2B_SENSITIVE_CREATE, TPMA_OBJECT, TPMT_PUBLIC

        attributes = TPMA_OBJECT.RESTRICTED | TPMA_OBJECT.DECRYPT | TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT
        attributes |= TPMA_OBJECT.SENSITIVEDATAORIGIN
        attributes |= TPMA_OBJECT.ADMINWITHPOLICY if endorsement else TPMA_OBJECT.USERWITHAUTH | TPMA_OBJECT.NODA
        template = TPMT_PUBLIC.parse(f"{kind}:aes128cfb", objectAttributes=attributes)
        if endorsement:
            policy = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
            template.authPolicy = bytes.fromhex(policy)
        hierarchy = ESYS_TR.ENDORSEMENT if endorsement else ESYS_TR.OWNER
        handle, public, *_ = self._tpm.create_primary(
            TPM2B_SENSITIVE_CREATE(), TPM2B_PUBLIC(publicArea=template), hierarchy
        )
        return handle, public
