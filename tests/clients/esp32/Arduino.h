// An ESP32 as far as our sketch uses one: a program of the host, with the host's clock and network.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>

typedef uint8_t byte;
typedef bool boolean;
#define PROGMEM
#define pgm_read_byte_near(address) (*(const uint8_t *)(address))

class String {
 public:
  String(const char *text = "") : text_(text) {}
  String(unsigned long number) : text_(std::to_string(number)) {}
  const char *c_str() const { return text_.c_str(); }
  unsigned int length() const { return text_.size(); }
  void replace(const String &from, const String &to) {
    for (size_t at = 0; (at = text_.find(from.text_, at)) != std::string::npos; at += to.text_.size())
      text_.replace(at, from.text_.size(), to.text_);
  }
  friend String operator+(const String &left, const String &right) { return String((left.text_ + right.text_).c_str()); }

 private:
  std::string text_;
};

struct SerialPort {
  void begin(int) {}
  template <typename... Values>
  void printf(const char *format, Values... values) { std::printf(format, values...); }
};
extern SerialPort Serial;

void setup();
void loop();
unsigned long millis();
inline void delay(unsigned long) { usleep(20000); }  // nobody waits ten seconds in a test
inline void yield() {}
inline void configTime(long, int, const char *) {}
