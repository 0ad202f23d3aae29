"""Enrolment over Secure Transport (RFC 7030, with the corrections of RFC 8951), without a socket.

`targets` says what a path asks for, `bodies` reads and writes what travels in base64, `csr_attributes` what a device is
told to ask for, `key_delivery` the answer that holds a private key, `linking` the proof that a request belongs to its
TLS connection. For a client, `server_url` says where to ask, and `answers` reads what comes back. Strict in what is
sent, tolerant in what is taken: each tolerance used is named, so it can be noted.
"""
