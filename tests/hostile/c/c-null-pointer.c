// Address 0 is memory like any other here: nothing but the guest's own.
#include "plugin.h"
static volatile uintptr_t nowhere;
static void *attack(const item *it) {
  volatile uint32_t *zero = (volatile uint32_t *)nowhere;
  *zero = it->id.length;
  return *zero == it->id.length ? yes() : 0;
}
