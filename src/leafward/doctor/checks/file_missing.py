"""A file that was named does not exist.

Nothing stands at that path. Or it was meant as a server: then the port is missing.

Comes about: a typing mistake, a relative path from another folder, a volume that is not mounted in the container.

See: ls -l PATH, from the same folder and as the same user as the program that needs it.

Mend: correct the path; for a server write HOST:PORT.
"""

from leafward.doctor.check import file_check

CHECK = file_check("file-missing", "a file is not there", __doc__)
