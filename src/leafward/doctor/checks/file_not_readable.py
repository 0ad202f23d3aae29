"""A file cannot be read.

It is there, and this user may not read it; or it is a device, a socket, a folder without certificates, or so large (4
MiB and more) that it can be no certificate file.

Comes about: a key belongs to root or to the service's user; a path names a disk image or a log.

See: ls -l PATH; namei -l PATH shows which folder on the way is closed.

Mend: run the doctor as the user that uses the file (sudo -u USER leafward doctor …), or name another file.
"""

from leafward.doctor.check import file_check

CHECK = file_check("file-not-readable", "a file cannot be read", __doc__)
