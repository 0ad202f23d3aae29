// The board's side: its clock, its TLS, and a life of a few turns of the sketch's loop. BOARD_RESOLVES is what its
// network says of every name: mbedTLS compares names and no addresses, so the gateway has to have one.
#include <WiFi.h>
#include <WiFiClientSecure.h>
#include <time.h>

SerialPort Serial;
Network WiFi;

unsigned long millis() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000UL + now.tv_nsec / 1000000;
}

WiFiClientSecure::WiFiClientSecure() {
  mbedtls_net_init(&net_);
  mbedtls_ssl_init(&ssl_);
  mbedtls_ssl_config_init(&config_);
  mbedtls_x509_crt_init(&trusted_);
  mbedtls_x509_crt_init(&own_);
  mbedtls_pk_init(&own_key_);
  mbedtls_entropy_init(&entropy_);
  mbedtls_ctr_drbg_init(&random_);
}

static size_t whole(const char *pem) { return strlen(pem) + 1; }

int WiFiClientSecure::connect(const char *host, uint16_t port) {
  const char *address = getenv("BOARD_RESOLVES");
  mbedtls_ctr_drbg_seed(&random_, mbedtls_entropy_func, &entropy_, nullptr, 0);
  int failed = mbedtls_x509_crt_parse(&trusted_, (const uint8_t *)root_, whole(root_));
  if (!failed && certificate_)
    failed = mbedtls_x509_crt_parse(&own_, (const uint8_t *)certificate_, whole(certificate_)) ||
             mbedtls_pk_parse_key(&own_key_, (const uint8_t *)key_, whole(key_), nullptr, 0);
  mbedtls_ssl_config_defaults(&config_, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
  mbedtls_ssl_conf_rng(&config_, mbedtls_ctr_drbg_random, &random_);
  mbedtls_ssl_conf_authmode(&config_, MBEDTLS_SSL_VERIFY_REQUIRED);
  mbedtls_ssl_conf_ca_chain(&config_, &trusted_, nullptr);
  if (certificate_) mbedtls_ssl_conf_own_cert(&config_, &own_, &own_key_);
  if (failed) return 0;
  if (mbedtls_net_connect(&net_, address ? address : host, std::to_string(port).c_str(), MBEDTLS_NET_PROTO_TCP)) return 0;
  mbedtls_ssl_setup(&ssl_, &config_);
  mbedtls_ssl_set_hostname(&ssl_, host);
  mbedtls_ssl_set_bio(&ssl_, &net_, mbedtls_net_send, mbedtls_net_recv, nullptr);
  open_ = mbedtls_ssl_handshake(&ssl_) == 0;
  return open_;
}

size_t WiFiClientSecure::write(const uint8_t *data, size_t size) {
  int written = mbedtls_ssl_write(&ssl_, data, size);
  return written < 0 ? 0 : written;
}

int WiFiClientSecure::available() {
  if (!open_) return 0;
  int ready = mbedtls_net_poll(&net_, MBEDTLS_NET_POLL_READ, 0);
  if (ready > 0) mbedtls_ssl_read(&ssl_, nullptr, 0);
  return mbedtls_ssl_get_bytes_avail(&ssl_);
}

int WiFiClientSecure::read() {
  uint8_t one;
  return read(&one, 1) == 1 ? one : -1;
}

int WiFiClientSecure::read(uint8_t *data, size_t size) {
  int got = mbedtls_ssl_read(&ssl_, data, size);
  if (got <= 0) open_ = false;
  return got;
}

void WiFiClientSecure::stop() {
  if (open_) mbedtls_ssl_close_notify(&ssl_);
  mbedtls_net_free(&net_);
  open_ = false;
}

extern WiFiClientSecure tls;

int main() {
  setup();
  for (int turn = 0; turn < 3 && !tls.connected(); turn++) loop();
  if (!tls.connected()) return 1;
  tls.stop();
  return 0;
}
