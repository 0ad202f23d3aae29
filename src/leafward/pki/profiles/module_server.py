"""A module's server certificate: for a module that other modules or leaf devices connect to.

Held by the module, given out by the Workload API. Signed by the workload CA. What may go wrong: a module asks for the
hub's name, a parent's name or a wildcard (the manager refuses those); the module keeps serving it after its end.
"""

from datetime import timedelta

from leafward.pki.profile import (
    END_ENTITY_KEY_USAGE,
    NAMED_EXTENSIONS,
    SERVER_AUTH,
    Presence,
    Profile,
    SubjectRow,
)

MODULE_SERVER = Profile(
    kind="module_server",
    signed_by=frozenset({"workload_ca"}),
    ca=False,
    lifetime=timedelta(days=30),
    key_usage=END_ENTITY_KEY_USAGE,
    # TLS 1.2 clients without forward secrecy encrypt to an RSA key; NSS refuses a server's without it.
    key_usage_with_rsa=frozenset({"key_encipherment"}),
    extended_key_usage=(SERVER_AUTH,),
    extensions=NAMED_EXTENSIONS,
    subject=SubjectRow(
        common_name=Presence.OPTIONAL, hosts=Presence.REQUIRED, extra_dns=Presence.OPTIONAL, from_host=True
    ),
)
