"""Texts that say no more than that it failed: they count only where nothing else in the text said more."""

from leafward.doctor.error_words.codes import ADDRESS, CA, CUT_OFF, EXPIRED, LOGIN, NAME, NO_PATH, Words

_ANYTHING = (
    f"{NO_PATH} certificate-expired certificate-not-yet-valid {CA} subject-key-id-missing chain-out-of-order "
    "path-length-exceeded signature-invalid"
)
WORDS: Words = (
    (r"validity check failed|timestamp check failed", f"{EXPIRED} certificate-not-yet-valid"),
    (r"RemoteCertificateChainErrors|errors in the certificate chain", _ANYTHING),
    (
        (
            r"certificate verify failed|CERTIFICATE_VERIFY_FAILED|PKIX path (building|validation) failed|"
            r"SSL certificate problem"
        ),
        _ANYTHING,
    ),
    (
        (
            r"-0x0*2700\b|X509 - Certificate verification failed|PKI verification of server certificate failed|"
            r"Error in the certificate|remote certificate (is invalid|was rejected)|invalid peer certificate|"
            r"Failed to verify peer certificate|A TLS error occurred|Error in the IoTHub client due to TLS exchanges"
        ),
        f"{_ANYTHING} {NAME} {ADDRESS}",
    ),
    # MQTT.js and paho, where the server hung up once TLS stood.
    (
        r"Unable to establish a connection|Lost connection to IoTHub|The connection was lost",
        f"refused-in-handshake client-certificate-required {LOGIN}",
    ),
    (
        r"A fatal alert message was received|-0x0*7780\b|received alert fatal error",
        "refused-in-handshake client-certificate-required client-chain-incomplete no-shared-cipher",
    ),
    (r"EPROTO\b", CUT_OFF),
)
