"""openssl s_client: nothing but a TLS handshake, judged strictly, and a message by hand through it."""

import shlex

from leafward.cli.snippets.leaf import Leaf, is_address
from leafward.cli.snippets.shell_words import command

_BODY = '{"temperature": 21.5}'


def write(leaf: Leaf) -> str:
    """The command. It says how the chain was verified, and then HTTP's 204: taken, and durable."""
    host = f"[{leaf.gateway}]" if ":" in leaf.gateway else leaf.gateway
    proof = [] if leaf.x509 else [f"Authorization: {leaf.token}"]
    request = (
        f"POST {leaf.telemetry_path} HTTP/1.1",
        f"Host: {host}",
        *proof,
        "Content-Type: application/json",
        f"Content-Length: {len(_BODY)}",
        "Connection: close",
        "",
    )
    lines = " ".join(shlex.quote(line) for line in request)
    files = ("-cert", leaf.certificate, "-key", leaf.private_key, "-cert_chain", leaf.certificate)
    certificate = (files,) if leaf.x509 else ()
    name = "-verify_ip" if is_address(leaf.gateway) else "-verify_hostname"
    server = () if is_address(leaf.gateway) else ("-servername", leaf.gateway)
    handshake = command(
        ("openssl", "s_client", "-quiet", "-connect", f"{host}:{leaf.https_port}", *server),
        ("-CAfile", leaf.root, name, leaf.gateway, "-verify_return_error"),
        *certificate,
    )
    return f"{{ printf '%s\\r\\n' {lines}; printf '%s' {shlex.quote(_BODY)}; }} | {handshake}"
