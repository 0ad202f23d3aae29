"""The shared access signature has expired.

The time in se= has passed by this clock. A hub refuses the login (CONNACK 5, HTTP 401).

Comes about: a token made once and stored; a leaf whose clock is behind when it makes tokens; a renewal that failed.

See: the number after se= is seconds since 1970: date -u -d @NUMBER.

Mend: leaf: make a new token (the SDKs do it by themselves from the key), and set the clock.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("sas-expired", "settings", "the shared access signature has expired", Stage.SETTINGS, __doc__)
