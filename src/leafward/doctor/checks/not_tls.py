"""The port speaks something else than TLS.

What came as the answer to a TLS ClientHello is no TLS: plain HTTP, plain MQTT, SSH. OpenSSL says "wrong version
number", Node EPROTO, Java "Unsupported or unrecognized SSL message".

Comes about: the port of another service; a broker whose listener has no certificate (1883 instead of 8883); a proxy
that answers with an error page.

See: nc HOST PORT; curl -v http://HOST:PORT/; mosquitto_sub -h HOST -p PORT -t x.

Mend: leaf: use the port that speaks TLS (8883, 443). Operator: give the listener its certificate and key.
"""

from leafward.doctor.check import Stage
from leafward.doctor.noted import noted_check

CHECK = noted_check("not-tls", "reach", "the port speaks no TLS", Stage.REACH, __doc__)
