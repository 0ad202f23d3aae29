// TLS as on the board: mbedTLS, the root and the device's certificate from the sketch, the server's name compared.
#pragma once
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>

#include "Client.h"

class WiFiClientSecure : public Client {
 public:
  WiFiClientSecure();
  void setCACert(const char *pem) { root_ = pem; }
  void setCertificate(const char *pem) { certificate_ = pem; }
  void setPrivateKey(const char *pem) { key_ = pem; }
  int connect(IPAddress, uint16_t) override { return 0; }
  int connect(const char *host, uint16_t port) override;
  size_t write(uint8_t one) override { return write(&one, 1); }
  size_t write(const uint8_t *data, size_t size) override;
  int available() override;
  int read() override;
  int read(uint8_t *data, size_t size) override;
  int peek() override { return -1; }
  void flush() override {}
  void stop() override;
  uint8_t connected() override { return open_; }
  operator bool() override { return open_; }

 private:
  const char *root_ = nullptr, *certificate_ = nullptr, *key_ = nullptr;
  bool open_ = false;
  mbedtls_net_context net_;
  mbedtls_ssl_context ssl_;
  mbedtls_ssl_config config_;
  mbedtls_x509_crt trusted_, own_;
  mbedtls_pk_context own_key_;
  mbedtls_entropy_context entropy_;
  mbedtls_ctr_drbg_context random_;
};
