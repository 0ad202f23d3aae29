"""Arduino on an ESP32: no file system, so the root, and with `--show-secret` the key, stand in the sketch."""

from pathlib import Path
from urllib.parse import quote

from leafward import disk
from leafward.cli.snippets.leaf import HIDDEN, Leaf, fill, text
from leafward.errors import LeafwardError
from leafward.wire.base64_text import encode_base64
from leafward.wire.sas import resource_of

_CODE = r"""// ESP32 boards, and the library PubSubClient.
#include <WiFi.h>
#include <WiFiClientSecure.h>
#include <PubSubClient.h>
#include <mbedtls/base64.h>
#include <mbedtls/md.h>
#include <time.h>

const char *WIFI_NAME = "your network";
const char *WIFI_PASSWORD = "its password";
const char *GATEWAY = @GATEWAY@;
const char *DEVICE = @DEVICE@;
const char *USER_NAME = @USER@;
const char *TOPIC = @TOPIC@;

const char ROOT[] = R"pem(@ROOT@)pem";

@PROOF@
WiFiClientSecure tls;
PubSubClient mqtt(tls);

void setup() {
  Serial.begin(115200);
  WiFi.begin(WIFI_NAME, WIFI_PASSWORD);
  while (WiFi.status() != WL_CONNECTED) delay(200);
  // Certificates are judged by the time: without it none is valid.
  configTime(0, 0, "pool.ntp.org");
  while (time(nullptr) < 1700000000) delay(200);
  tls.setCACert(ROOT);
  @SETUP@
  mqtt.setServer(GATEWAY, @PORT@);
  mqtt.setBufferSize(2048);
}

void loop() {
  if (!mqtt.connected() && !mqtt.connect(DEVICE, USER_NAME, @PASSWORD@)) {
    Serial.printf("not connected: %d\n", mqtt.state());
    delay(10000);
    return;
  }
  mqtt.loop();
  mqtt.publish(TOPIC, "{\"temperature\": 21.5}");
  delay(10000);
}
"""
_BY_KEY = r"""const char *KEY = @KEY@;          // base64, as in the connection string
const char *RESOURCE = @RESOURCE@;

// A SAS token that holds a day: the key itself never leaves the device.
String token() {
  String expiry = String((unsigned long)time(nullptr) + 86400UL);
  String text = String(RESOURCE) + "\n" + expiry;
  unsigned char key[64], mac[32], encoded[48];
  size_t size = 0, length = 0;
  mbedtls_base64_decode(key, sizeof key, &size, (const unsigned char *)KEY, strlen(KEY));
  mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key, size,
                  (const unsigned char *)text.c_str(), text.length(), mac);
  mbedtls_base64_encode(encoded, sizeof encoded, &length, mac, sizeof mac);
  String signature((const char *)encoded);
  signature.replace("+", "%2B");
  signature.replace("/", "%2F");
  signature.replace("=", "%3D");
  return "SharedAccessSignature sr=" + String(RESOURCE) + "&sig=" + signature + "&se=" + expiry;
}
"""
_BY_CERTIFICATE = """\
const char CERTIFICATE[] = R"pem(@CERTIFICATE@)pem";

const char KEY[] = R"pem(@KEY@)pem";
"""


def write(leaf: Leaf) -> str:
    """The sketch."""
    values = {
        "GATEWAY": text(leaf.gateway),
        "DEVICE": text(leaf.device_id),
        "USER": text(leaf.user_name),
        "TOPIC": text(leaf.topic),
        "ROOT": leaf.root_pem,
        "PORT": leaf.mqtt_port,
    }
    if leaf.x509:
        proof = fill(_BY_CERTIFICATE, CERTIFICATE=_contents(leaf.certificate), KEY=_secret_file(leaf))
        setup, password = "tls.setCertificate(CERTIFICATE);\n  tls.setPrivateKey(KEY);", "nullptr"
    else:
        resource = quote(resource_of(leaf.gateway, leaf.device_id), safe="")
        key = HIDDEN.format(leaf.device_id) if leaf.key is None else encode_base64(leaf.key)
        proof = fill(_BY_KEY, KEY=text(key), RESOURCE=text(resource))
        setup, password = "", "token().c_str()"
    return fill(_CODE, PROOF=proof, SETUP=setup, PASSWORD=password, **values)


def _secret_file(leaf: Leaf) -> str:
    """The key's PEM where it may be shown, which `leaf.show_files` says."""
    if not leaf.show_files:
        return f"<the contents of {leaf.private_key}: --show-secret puts them here>"
    return _contents(leaf.private_key)


def _contents(path: Path | None) -> str:
    try:
        return "" if path is None else disk.read_file(path).decode("ascii", "replace")
    except LeafwardError:
        return f"<the contents of {path}>"
