// The stack that the compiler keeps in memory runs over whatever lies below it.
#include "plugin.h"
static uint32_t down(uint32_t depth) {
  volatile uint32_t array[1024];
  for (uint32_t n = 0; n < 1024; n++) array[n] = depth;
  return down(depth + 1) + array[depth & 1023];
}
static void *attack(const item *it) { return down(it->id.length) ? yes() : 0; }
