"""TLS for event loops, over pyOpenSSL: `context` serves, `presented` says which chain to whom, `connection` carries,
`alerts` names what went wrong, `client_hello` reads what a client asked for, `handshake` rehearses; `lowlevel` and
`lowlevel_callbacks` alone touch pyOpenSSL's insides.
"""
