"""There is no TLS version in common.

The server speaks neither TLS 1.2 nor 1.3 (an error), or 1.3 alone, which clients of TLS 1.2 cannot use (a warning:
the Azure SDK for Python speaks TLS 1.2 and nothing else). OpenSSL says "tlsv1 alert protocol version" or "unsupported
protocol".

Comes about: an old server or middlebox with TLS 1.0 or 1.1; a setting that allows one version only.

See: openssl s_client -connect HOST:PORT -tls1_2, and -tls1_3.

Mend: operator: offer TLS 1.2 and 1.3. IoT Edge's edgeHub: SslProtocols=tls1.2,tls1.3 in its environment; leafward's
hub always offers both.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("tls-version-unsupported", "reach", "there is no TLS version in common", Stage.REACH, __doc__)
