#pragma once
#include "Arduino.h"

class Print {
 public:
  virtual ~Print() {}
  virtual size_t write(uint8_t) = 0;
  virtual size_t write(const uint8_t *, size_t size) { return size; }
};

class Stream : public Print {};
