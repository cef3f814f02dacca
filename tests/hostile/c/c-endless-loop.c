#include "plugin.h"
static volatile uint32_t count;
static void *attack(const item *it) { for (;;) count += it->id.length; }
