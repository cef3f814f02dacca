// Called as what it is not.
#include "plugin.h"
static void *(*volatile pointer)(void) = yes;
static void *attack(const item *it) { return ((void *(*)(uint64_t, double))pointer)(it->index, 0.5); }
