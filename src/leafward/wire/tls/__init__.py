"""TLS for event loops, over pyOpenSSL: `context` serves, `connection` carries, `alerts` names what went wrong,
`handshake` rehearses, and `lowlevel` alone touches pyOpenSSL's insides.
"""
