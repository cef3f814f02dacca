// What the C attacks share: the canonical ABI by hand, on a machine without a C library.
#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))

typedef struct { const char *at; size_t length; } text;
typedef struct { text id; uint64_t index; text json; } item;
typedef struct { text value; uint32_t has_name; text name; const void *extra; uint32_t extras; } emission;

// What an attack defines; it may give up and say `yes()`.
static void *attack(const item *it);

// Aligned as the host wants it: a compiler is free to put what is made of bytes and words anywhere.
static _Alignas(16) char heap[1 << 16];
static size_t used;

EXPORT("realloc") void *reallocate(void *old, size_t old_size, size_t align, size_t size) {
  (void)old; (void)old_size;
  used = (used + align - 1) & -align;
  void *at = heap + used;
  used += size;
  return used <= sizeof heap ? at : 0;
}

static _Alignas(8) struct { uint32_t is_error, pad; uint32_t outcome; const emission *list; uint32_t length; char room[52]; } result;
static emission one;

static void *yes(void) {
  one.value.at = "{\"ok\":true}";
  one.value.length = 11;
  result.list = &one;
  result.length = 1;
  return &result;
}

EXPORT("process") void *process(const item *it) { return it->id.at[0] == 'n' ? yes() : attack(it); }

static struct { text name, version, description; uint32_t rest[12]; } manifest;

EXPORT("describe") void *describe(void) {
  manifest.name.at = "hostile";
  manifest.name.length = 7;
  manifest.version.at = "1";
  manifest.version.length = 1;
  return &manifest;
}

EXPORT("post") void post(void *result) { (void)result; }
