"""The flags of CONNECT (figure 3.4), the same in MQTT 3.1.1 and 5."""

from leafward.wire.mqtt.cursor import Body

USERNAME, PASSWORD, WILL_RETAIN, WILL, CLEAN_SESSION, _RESERVED = 0x80, 0x40, 0x20, 0x04, 0x02, 0x01
_WILL_QOS = 0x18


def connect_flags(body: Body) -> int:
    """Reads them: 3.1.2-3, 3.1.2-11, -13, -14, -15."""
    flags = body.byte()
    if flags & _RESERVED:
        body.malformed("its reserved flag is set")
    if not flags & WILL and flags & (WILL_RETAIN | _WILL_QOS):
        body.malformed("will QoS or will retain is set without a will")
    if flags & _WILL_QOS == _WILL_QOS:
        body.malformed("its will has QoS 3")
    return flags
