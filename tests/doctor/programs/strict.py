"""Python's TLS as a judge, with its own defaults: see tests/oracles/stand.py. Run by another Python than the tests'."""

import socket
import ssl
import sys

address, port = sys.argv[1], int(sys.argv[2])
for line in sys.stdin:
    _purpose, name, trusted, *_ = line.rstrip("\n").split("\t")
    context = ssl.create_default_context(cafile=trusted)
    try:
        with socket.create_connection((address, port)) as plain, context.wrap_socket(plain, server_hostname=name):
            sys.stdout.write("accepted\n")
    except ssl.SSLError as error:
        sys.stdout.write(f"refused: {error}\n")
