"""The certificate comes from an earlier workload CA of the same name.

Every workload CA has the same common name. After a rotation only key identifiers and the signature tell the new one
from the old; a server that goes on with its old certificate beside the new CA fails everywhere: OpenSSL says "unable
to get local issuer certificate" (20), though the issuer of that name is in the chain.

Comes about: the device CA or the workload CA was changed and the hub was not restarted, or a part of the files was
restored from a backup.

See: openssl x509 -in HUB -noout -ext authorityKeyIdentifier against openssl x509 -in WORKLOAD_CA -noout -ext
subjectKeyIdentifier.

Mend: operator: leafward manager rotate issues the hub's certificate anew, and the hub takes it without a restart. IoT
Edge: restart edgeHub.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("stale-workload-ca", "chain", __doc__)
