#pragma once
#include <cstdint>

class IPAddress {
 public:
  IPAddress() {}
  IPAddress(uint8_t, uint8_t, uint8_t, uint8_t) {}
  operator uint32_t() const { return 0; }
};
