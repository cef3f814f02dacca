// The result points to what has been written over: lengths and addresses of nothing.
#include "plugin.h"
static void *attack(const item *it) {
  volatile unsigned char *bytes = yes();
  for (size_t n = 4; n < 64; n++) bytes[n] = 0xfe;
  bytes[8] = 0;
  one.value.length = it->id.length;
  return (void *)bytes;
}
