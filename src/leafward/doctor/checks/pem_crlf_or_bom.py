"""A PEM file has Windows line ends or a byte order mark.

Measured: OpenSSL, Python (from a file) and Node read both. Python refuses a byte order mark in text that is passed as
a string (cadata), and small parsers compare the first line.

Comes about: the file was saved by an editor on Windows.

See: file FILE says "with CRLF line terminators" or "with BOM".

Mend: sed 's/\\r$//; 1s/^\\xef\\xbb\\xbf//' FILE > PLAIN.
"""

from leafward.doctor.check import file_check

CHECK = file_check("pem-crlf-or-bom", "a PEM file has CRLF line ends or a byte order mark", __doc__)
