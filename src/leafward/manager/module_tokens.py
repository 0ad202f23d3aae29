"""Tokens for modules that the kernel cannot name: those that call over TCP, as on Windows.

A token has to reach us with unmodified SDKs. Of `IOTEDGE_WORKLOADURI` Node's keeps host and port only, Python's the
path as well, and neither can be told to send a header. What both send with each signature is the generation id, which
is the manager's own text and means nothing to them. So over TCP the token stands behind it:

    IOTEDGE_MODULEGENERATIONID = GENERATION.TOKEN          /modules/filter/genid/GENERATION.TOKEN/sign

The identity certificate's path has no generation id: who wants one over TCP sends `Authorization: Bearer TOKEN`.

A token is made of the module's key, which no module sees, and the generation: nothing has to be kept, a module that is
registered anew has another, and removing the module ends it. It is worth what the module's key is: whoever has it signs
as the module. So it stands in the module's environment only, and in no list, status or log.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode

from leafward.manager.http_routes import Call
from leafward.store.identity import Identity

_LABEL = b"leafward workload token 1\0"
_SEPARATOR = "."


def token_of(identity: Identity) -> str:
    """The module's token: 43 characters of base64url. Raises nothing; an identity without a key has an empty one."""
    if identity.primary_key is None:
        return ""
    message = _LABEL + f"{identity.device_id}\0{identity.module_id}\0{identity.generation_id}".encode()
    digest = hmac.digest(identity.primary_key, message, hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def generation_with_token(identity: Identity) -> str:
    """What a module that calls over TCP has as its generation id."""
    return f"{identity.generation_id}{_SEPARATOR}{token_of(identity)}"


def generation(call: Call) -> str | None:
    """The generation id that a call names, without a token; None where its path has none."""
    if call.generation_id is None or not call.door.by_token:
        return call.generation_id
    return call.generation_id.partition(_SEPARATOR)[0]


def shows_token(call: Call, identity: Identity) -> bool:
    """Whether a call carries the token of `identity`, in its path or its header."""
    expected = token_of(identity).encode()
    in_path = (call.generation_id or "").partition(_SEPARATOR)[2]
    shown = (in_path, call.bearer or "")
    # Both are compared, whichever is right: how long it takes says nothing.
    matches = [hmac.compare_digest(one.encode(), expected) for one in shown]
    return bool(expected) and any(matches)
