"""mosquitto_pub, on IoT Hub's topic, as the SDKs do it."""

from leafward.cli.snippets.leaf import Leaf
from leafward.cli.snippets.shell_words import certificate_options, command


def write(leaf: Leaf) -> str:
    """The command."""
    password = () if leaf.x509 else (("-P", leaf.token),)
    return command(
        ("mosquitto_pub", "-V", "mqttv311", "-h", leaf.gateway, "-p", leaf.mqtt_port),
        ("--cafile", leaf.root),
        *certificate_options(leaf),
        ("-i", leaf.device_id, "-u", leaf.user_name),
        *password,
        ("-q", 1, "-t", leaf.topic, "-m", '{"temperature": 21.5}'),
    )
