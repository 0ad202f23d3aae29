"""Stands in for lines in /etc/hosts, so that tests need no right to write there: LEAF_HOSTS="gateway.test=127.1.2.3".

Python imports this room at its start when it is on the path. The programs under test are not changed.
"""

import os
import socket

_hosts = dict(entry.split("=", 1) for entry in os.environ.get("LEAF_HOSTS", "").split(",") if entry)
_ask = socket.getaddrinfo


def _answer(host, *arguments, **options):
    return _ask(_hosts.get(host, host), *arguments, **options)


socket.getaddrinfo = _answer
