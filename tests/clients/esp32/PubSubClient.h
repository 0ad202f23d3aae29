// What our sketch uses of PubSubClient 2.8, written anew, as Debian does not have the library: MQTT 3.1.1 by hand.
#pragma once
#include <Arduino.h>
#include <Client.h>

class PubSubClient {
 public:
  explicit PubSubClient(Client &client) : client_(client) {}
  PubSubClient &setServer(const char *host, uint16_t port) {
    host_ = host;
    port_ = port;
    return *this;
  }
  bool setBufferSize(uint16_t size) {
    room_ = size;
    return true;
  }
  bool connect(const char *id, const char *user, const char *password) {
    if (!client_.connect(host_, port_)) return false;
    std::string flags = {char(0x82 | (password ? 0x40 : 0)), 0, 15};
    std::string rest = std::string("\0\4MQTT\4", 7) + flags + field(id) + field(user) + (password ? field(password) : "");
    uint8_t answer[4] = {};
    if (!send(0x10, rest)) return false;
    for (uint8_t &one : answer) one = client_.read();
    state_ = answer[3];
    if (state_) client_.stop();
    return !state_;
  }
  bool publish(const char *topic, const char *body) { return send(0x30, field(topic) + body); }
  bool connected() { return client_.connected(); }
  bool loop() { return connected(); }
  int state() { return state_; }

 private:
  static std::string field(const std::string &text) {
    return std::string({char(text.size() >> 8), char(text.size())}) + text;
  }
  bool send(uint8_t kind, const std::string &rest) {
    std::string packet(1, kind);
    if (rest.size() + 5 > room_) return false;
    for (size_t left = rest.size(), first = 1; first || left; left >>= 7, first = 0)
      packet += char((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    packet += rest;
    return client_.write((const uint8_t *)packet.data(), packet.size()) == packet.size();
  }

  Client &client_;
  const char *host_ = nullptr;
  uint16_t port_ = 0, room_ = 256;
  int state_ = -1;
};
