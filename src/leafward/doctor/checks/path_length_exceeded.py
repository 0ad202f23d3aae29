"""More CAs hang below a CA than it allows.

pathlen in basicConstraints is how many CA certificates may stand between that CA and the leaf. With a workload CA
below it the device CA needs pathlen 1, the one above it 2. OpenSSL: 25, Node PATH_LENGTH_EXCEEDED.

Comes about: a device CA made with pathlen 0 (what IoT Edge 1.2 asks for, where it signs the hub itself) is used with
a workload CA below it; the maker left no room for one more intermediate.

See: openssl x509 -in CA -noout -ext basicConstraints for each CA, counted from the leaf up.

Mend: maker: issue the CA with room (leafward ca intermediate --intermediates-below N, leafward ca device has 1), or
leave a level out.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("path-length-exceeded", "CA", __doc__)
