"""The SharedAccessKey is no key.

It is not base64, or does not have the 16 to 64 bytes that a key has. The SDKs sign with it all the same or stop with
an error of base64 (Python: "Incorrect padding").

Comes about: '=' at the end lost in copying or in a URL; a password in place of the key; blanks.

See: printf %s KEY | base64 -d | wc -c says how many bytes it has: 16 to 64, most often 32.

Mend: leaf: copy the key again: leafward device show ID --secrets prints the connection string.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("shared-access-key-invalid", "settings", "the shared access key is none", Stage.SETTINGS, __doc__)
