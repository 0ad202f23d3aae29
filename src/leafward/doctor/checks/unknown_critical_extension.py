"""A critical extension is unknown.

"Critical" means: refuse what you do not understand. OpenSSL does so for everything beyond RFC 5280 and a few others
(34), and also for key identifiers, which must not be critical.

Comes about: an extension of the maker's own was marked critical; a key identifier was.

See: openssl x509 -in FILE -noout -text shows "critical" beside each.

Mend: maker: issue the certificate again with the extension not critical: leafward ca sign.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("unknown-critical-extension", "CA", __doc__)
