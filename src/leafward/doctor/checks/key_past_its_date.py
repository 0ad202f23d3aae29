"""A key lives longer than it is good for.

RSA-2048 is considered good until the end of 2030 (SP 800-131A). The certificate ends later. Nothing refuses it today.

Comes about: a root or device CA of twenty years with an RSA-2048 key.

See: leafward chain FILE names keys and ends.

Mend: maker: plan a successor with ec-p256 or rsa-3072; leafward refuses to issue such a one unless it is said that it
is meant.
"""

from leafward.doctor.check import rule_check

CHECK = rule_check("key-past-its-date", "strength", __doc__)
