// Past the end of an array, over the heap and everything else, until the memory ends.
#include "plugin.h"
static void *attack(const item *it) {
  volatile char small[8];
  for (size_t n = 0;; n++) small[n] = it->id.at[0];
}
