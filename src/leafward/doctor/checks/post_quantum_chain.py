"""A TLS 1.2 client cannot verify the chain.

A certificate of the chain has an ML-DSA key. TLS 1.2 has no numbers for such signatures and gets none, and OpenSSL
before 3.5 cannot read the key. The Azure SDK for Python speaks TLS 1.2 only.

Comes about: the hierarchy was made with --key ml-dsa-65 or the like, and a gateway hangs below it.

See: leafward chain HOST:PORT names the kind of each key.

Mend: maker: issue the gateway's device CA below a hierarchy with ec-p256 keys: leafward ca device --key ec-p256
--issuer NAME.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("post-quantum-chain", "chain", __doc__)
