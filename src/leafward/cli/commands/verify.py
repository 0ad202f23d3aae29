"""`leafward verify`: path validation with our policies. Exit code 0 valid, 1 not."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward import disk
from leafward.cli import voice
from leafward.cli.options import checked_by, json_option
from leafward.cli.service import system_clock
from leafward.cli.times import checked_time, parse_time
from leafward.errors import InputError, LeafwardError, UsageError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from leafward.pki.verify import Verdict

NOT_VALID = 1
BATCH_KEYS = {"chain", "root", "intermediates", "name", "purpose", "at", "crl"}


@click.command("verify")
@click.argument("chain", required=False)
@click.option("--root", metavar="FILE", help="The trust anchors: self-signed roots.")
@click.option("--intermediates", metavar="FILE", help="More CA certificates that may lead to a root.")
@click.option(
    "--name",
    metavar="HOST",
    callback=checked_by("parse_host"),
    help="The name or address that the certificate must carry.",
)
@click.option("--purpose", type=click.Choice(["server", "client"]), default="server", show_default=True)
@click.option("--at", metavar="RFC3339", callback=checked_time, help="The time to judge by; default: now.")
@click.option("--crl", metavar="FILE", help="Revocation lists of the issuers.")
@click.option("--batch", is_flag=True, help="Read one JSON object a line with these keys, answer one a line.")
@json_option
def command(chain: str | None, batch: bool, as_json: bool, **given: str | None) -> int:
    """Path validation with our policies: exit code 0 valid, 1 not.

    \b
    Examples:
      leafward verify chain.pem --root root.pem --name gateway.local
      leafward verify leaf.pem --root root.pem --intermediates cas.pem --purpose client --at 2030-01-01T00:00:00Z
      leafward verify --batch < questions.jsonl
    """
    if batch:
        if chain is not None or any(given[key] for key in ("root", "intermediates", "name", "at", "crl")):
            raise UsageError("--batch takes its questions from standard input", hint="leafward verify --help")
        return _batch()
    if chain is None or given["root"] is None:
        raise UsageError("what to verify is not said", why="CHAIN and --root are needed", hint="leafward verify --help")
    verdict = _verify({"chain": chain, **{key: value for key, value in given.items() if value is not None}})
    answer = _answer(verdict)
    if as_json:
        voice.say_json(answer)
    else:
        voice.say("valid" if verdict.valid else f"not valid: {verdict.reason} ({verdict.rule})")
    return 0 if verdict.valid else NOT_VALID


def _batch() -> int:
    """One question a line, one answer a line, in the same order; a bad question gets an answer that says so."""
    worst = 0
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            answer = _answer(_verify(_question(line)))
        except Exception as error:  # one hostile line must not silence the answers to those after it
            reason = str(error) if isinstance(error, LeafwardError) else f"the line cannot be read: {error}"
            answer = {"valid": False, "reason": reason, "rule": None, "path": None, "error": True}
        worst = worst if answer["valid"] else NOT_VALID
        voice.say_json(answer)
    return worst


def _question(line: str) -> Mapping[str, str]:
    try:
        question = json.loads(line)
    except ValueError as error:
        raise InputError("the line is not JSON", why=str(error)) from error
    if not isinstance(question, dict) or not all(isinstance(v, str | None) for v in question.values()):
        raise InputError("the line is not an object of texts", why=f"expected the keys {', '.join(sorted(BATCH_KEYS))}")
    unknown = set(question) - BATCH_KEYS
    if unknown:
        raise InputError(f"unknown key {min(unknown)!r}", why=f"expected {', '.join(sorted(BATCH_KEYS))}")
    if not question.get("chain") or not question.get("root"):
        raise InputError("chain and root are needed")
    return {key: value for key, value in question.items() if value is not None}


def _verify(question: Mapping[str, str]) -> "Verdict":
    from leafward.pki.chain import Chain
    from leafward.pki.encoding import load_crls
    from leafward.pki.names import parse_host
    from leafward.pki.verify import verify

    purpose = question.get("purpose", "server")
    if purpose not in ("server", "client"):
        raise InputError(f"purpose {purpose!r} is not known", why="expected server or client")
    presented = _certificates(question["chain"])
    if presented and Chain.ordered(presented).leaf != presented[0]:
        return _leaf_not_first(presented)
    more = _certificates(question["intermediates"]) if "intermediates" in question else []
    extra: dict[str, Any] = {"crls": load_crls(_bytes(question["crl"]))} if "crl" in question else {}
    return verify(
        Chain(tuple(presented)),
        _certificates(question["root"]),
        now=parse_time(question["at"]) if "at" in question else system_clock(),
        name=parse_host(question["name"]) if "name" in question else None,
        purpose="client" if purpose == "client" else "server",
        intermediates=more,
        **extra,
    )


def _leaf_not_first(presented: "list[Certificate]") -> "Verdict":
    """A TLS server sends its file as it stands: one that begins with a CA is no server's chain."""
    from leafward.pki.chain import Chain
    from leafward.pki.verify import Verdict

    first, leaf = presented[0].subject, Chain.ordered(presented).leaf.subject
    reason = f"the chain does not begin with its leaf: got {first.rfc4514_string()}, expected {leaf.rfc4514_string()}"
    return Verdict(valid=False, reason=reason, rule="chain-file-leaf-not-first", path=None)


def _certificates(path_or_pem: str) -> "list[Certificate]":
    from leafward.cli.certificate_files import read_certificates
    from leafward.pki.encoding import load_certificates

    if "-----BEGIN" in path_or_pem:
        return load_certificates(path_or_pem.encode())
    return read_certificates(Path(path_or_pem))


def _bytes(path_or_pem: str) -> bytes:
    """A file's bytes; PEM text stands for itself."""
    return path_or_pem.encode() if "-----BEGIN" in path_or_pem else disk.read_file(Path(path_or_pem))


def _answer(verdict: "Verdict") -> dict[str, object]:
    from leafward.pki.chain import fingerprint

    return {
        "valid": verdict.valid,
        "reason": verdict.reason,
        "rule": verdict.rule,
        "path": [fingerprint(certificate) for certificate in verdict.path] if verdict.path else None,
    }
