"""curl, by HTTPS in IoT Hub's REST form."""

from leafward.cli.snippets.leaf import Leaf
from leafward.cli.snippets.shell_words import certificate_options, command


def write(leaf: Leaf) -> str:
    """The command. 204 is the answer that means: taken, and durable."""
    proof = certificate_options(leaf) if leaf.x509 else (("-H", f"Authorization: {leaf.token}"),)
    host = f"[{leaf.gateway}]" if ":" in leaf.gateway else leaf.gateway
    return command(
        ("curl", "--silent", "--show-error", "--fail", "--write-out", "%{http_code}\\n"),
        ("--cacert", leaf.root),
        *proof,
        ("-H", "Content-Type: application/json", "--data", '{"temperature": 21.5}'),
        f"https://{host}:{leaf.https_port}{leaf.telemetry_path}",
    )
