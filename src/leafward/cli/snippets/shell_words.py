"""Words of a shell, for the three snippets that are command lines."""

import shlex

from leafward.cli.snippets.leaf import Leaf


def command(*words: object) -> str:
    """A command over several lines; each word stands for itself, whatever is in it. A tuple keeps to one line."""
    return " \\\n  ".join(_line(word) for word in words) + "\n"


def _line(word: object) -> str:
    return shlex.join(map(str, word)) if isinstance(word, tuple) else shlex.quote(str(word))


def certificate_options(leaf: Leaf) -> tuple[object, ...]:
    """`--cert` and `--key`, as curl and mosquitto_pub both have them."""
    return (("--cert", leaf.certificate), ("--key", leaf.private_key)) if leaf.x509 else ()
