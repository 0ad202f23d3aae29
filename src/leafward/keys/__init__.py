"""Where private keys live. A key is a handle that signs and shows its public half, wherever its bytes are.

Callers ask `key_store` by key reference ("file:/…/key.pem") and never learn which backend answered. A backend is one
file here, one line in `key_store.BACKENDS`, and one line in the contract suite.
"""
