"""TLS for event loops, over pyOpenSSL: `context` serves, `presented` says which chain to whom, `connection` carries,
`alerts` names what went wrong, `client_hello` reads what a client asked for, `handshake` rehearses; `lowlevel`,
`lowlevel_callbacks` and `lowlevel_errors` alone touch pyOpenSSL's insides.
"""
