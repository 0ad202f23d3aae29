"""Others on this machine may read a private key.

The file with the key can be read by its group or by everybody. OpenSSL does not look; leafward's manager refuses to
use it.

Comes about: the file was made with the usual umask, copied from another system, or written by the convenience scripts
(mode 0444).

See: ls -l KEY.

Mend: chmod 600 KEY, and give it to the user of the service. If others use this machine, make a new key and
certificate.
"""

from leafward.doctor.check import file_check

CHECK = file_check("file-too-open", "others may read a private key", __doc__)
