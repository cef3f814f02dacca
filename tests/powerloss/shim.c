/* Looks on, between a process and the C library, at everything that it writes below one folder and to its sockets, and keeps it in a
 * log in the order in which it happened. tests/crash/power.rs reads the log and rebuilds what a power loss would have left.
 *
 * POWERLOSS_ROOT: the folder. POWERLOSS_LOG: the log, which lies elsewhere and is appended to.
 * A record: kind, inode, offset (8 bytes), length of the bytes (4 bytes), bytes; numbers as the machine has them.
 *   C path  a file was made          M path  a folder was made     U path  a name was removed     R from \0 to  a rename
 *   W bytes written at offset        T       cut to offset         S       a file was synced      D path   a folder was synced
 *   N bytes were sent on a socket    O bytes were written to stdout
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int log_fd = -1;
static char root[PATH_MAX];
static size_t root_length;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

__attribute__((constructor)) static void start(void) {
  const char *folder = getenv("POWERLOSS_ROOT"), *log = getenv("POWERLOSS_LOG");
  if (!folder || !log) return;
  strncpy(root, folder, sizeof root - 1);
  root_length = strlen(root);
  int fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) abort();
  log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 500);
  syscall(SYS_close, fd);
}

static void put(const void *bytes, size_t length) {
  const char *at = bytes;
  while (length > 0) {
    ssize_t n = syscall(SYS_write, log_fd, at, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) abort();
    at += n;
    length -= (size_t)n;
  }
}

static void record(char kind, uint64_t inode, uint64_t offset, const void *bytes, size_t length) {
  char head[21];
  uint32_t size = (uint32_t)length;
  head[0] = kind;
  memcpy(head + 1, &inode, 8);
  memcpy(head + 9, &offset, 8);
  memcpy(head + 17, &size, 4);
  put(head, sizeof head);
  put(bytes, length);
}

/* Below the folder, and no shared memory of SQLite's, which is made anew. */
static int is_ours(const char *path) {
  size_t length = strlen(path);
  if (strncmp(path, root, root_length) != 0 || (path[root_length] != '/' && path[root_length] != 0)) return 0;
  return length < 4 || strcmp(path + length - 4, "-shm") != 0;
}

/* The name that a call was given, made absolute. */
static int absolute(int dir, const char *path, char *out) {
  if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
  char link[64], base[PATH_MAX];
  snprintf(link, sizeof link, dir == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dir);
  ssize_t n = readlink(link, base, sizeof base - 1);
  if (n < 0) return 0;
  base[n] = 0;
  return snprintf(out, PATH_MAX, strcmp(path, ".") == 0 ? "%s" : "%s/%s", base, path) < PATH_MAX;
}

enum kind { FOREIGN, FILE_OF_OURS, FOLDER_OF_OURS, SOCKET, STDOUT };

static enum kind kind_of(int fd, struct stat *meta, char *path) {
  if (log_fd < 0 || fd == log_fd) return FOREIGN;
  if (fd == 1) return STDOUT;
  if (fstat(fd, meta) != 0) return FOREIGN;
  if (S_ISSOCK(meta->st_mode)) return SOCKET;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, PATH_MAX - 1);
  if (n < 0) return FOREIGN;
  path[n] = 0;
  if (!is_ours(path)) return FOREIGN;
  return S_ISDIR(meta->st_mode) ? FOLDER_OF_OURS : S_ISREG(meta->st_mode) ? FILE_OF_OURS : FOREIGN;
}

#define LOCKED(result_type, call, after)        \
  do {                                          \
    pthread_mutex_lock(&mutex);                 \
    result_type result = (call);                \
    int kept = errno;                           \
    after;                                      \
    pthread_mutex_unlock(&mutex);               \
    errno = kept;                               \
    return result;                              \
  } while (0)

static void written(int fd, enum kind kind, struct stat *meta, off_t offset, const void *bytes, ssize_t n) {
  (void)fd;
  if (n <= 0) return;
  if (kind == FILE_OF_OURS) record('W', meta->st_ino, (uint64_t)offset, bytes, (size_t)n);
  if (kind == SOCKET) record('N', 0, 0, bytes, (size_t)n);
  if (kind == STDOUT) record('O', 0, 0, bytes, (size_t)n);
}

static off_t position(int fd) {
  int flags = fcntl(fd, F_GETFL);
  struct stat meta;
  if (flags & O_APPEND) return fstat(fd, &meta) == 0 ? meta.st_size : 0;
  return lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *bytes, size_t n) {
  struct stat meta;
  char path[PATH_MAX];
  enum kind kind = kind_of(fd, &meta, path);
  if (kind == FOREIGN) return REAL(write)(fd, bytes, n);
  pthread_mutex_lock(&mutex);
  off_t at = kind == FILE_OF_OURS ? position(fd) : 0;
  ssize_t result = REAL(write)(fd, bytes, n);
  int kept = errno;
  written(fd, kind, &meta, at, bytes, result);
  pthread_mutex_unlock(&mutex);
  errno = kept;
  return result;
}

static ssize_t gathered(int fd, const struct iovec *parts, int count, off_t at, ssize_t (*go)(int, const struct iovec *, int)) {
  struct stat meta;
  char path[PATH_MAX];
  enum kind kind = kind_of(fd, &meta, path);
  if (kind == FOREIGN) return go(fd, parts, count);
  pthread_mutex_lock(&mutex);
  if (kind == FILE_OF_OURS && at < 0) at = position(fd);
  ssize_t result = go(fd, parts, count), left = result;
  int kept = errno;
  for (int i = 0; i < count && left > 0; i++) {
    ssize_t n = left < (ssize_t)parts[i].iov_len ? left : (ssize_t)parts[i].iov_len;
    written(fd, kind, &meta, at, parts[i].iov_base, n);
    at += n;
    left -= n;
  }
  pthread_mutex_unlock(&mutex);
  errno = kept;
  return result;
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return gathered(fd, parts, count, -1, REAL(writev)); }

#define PWRITE(name, offset_type)                                                          \
  ssize_t name(int fd, const void *bytes, size_t n, offset_type at) {                      \
    struct stat meta;                                                                      \
    char path[PATH_MAX];                                                                   \
    enum kind kind = kind_of(fd, &meta, path);                                             \
    if (kind != FILE_OF_OURS) return REAL(name)(fd, bytes, n, at);                         \
    LOCKED(ssize_t, REAL(name)(fd, bytes, n, at), written(fd, kind, &meta, at, bytes, result)); \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define TRUNCATE(name, offset_type)                                                        \
  int name(int fd, offset_type length) {                                                   \
    struct stat meta;                                                                      \
    char path[PATH_MAX];                                                                   \
    if (kind_of(fd, &meta, path) != FILE_OF_OURS) return REAL(name)(fd, length);           \
    LOCKED(int, REAL(name)(fd, length),                                                    \
           if (result == 0) record('T', meta.st_ino, (uint64_t)length, "", 0));            \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define SYNC(name)                                                                         \
  int name(int fd) {                                                                       \
    struct stat meta;                                                                      \
    char path[PATH_MAX];                                                                   \
    enum kind kind = kind_of(fd, &meta, path);                                             \
    if (kind != FILE_OF_OURS && kind != FOLDER_OF_OURS) return REAL(name)(fd);             \
    LOCKED(int, REAL(name)(fd), if (result == 0) {                                         \
      if (kind == FILE_OF_OURS) record('S', meta.st_ino, 0, "", 0);                        \
      else record('D', meta.st_ino, 0, path, strlen(path));                                \
    });                                                                                    \
  }
SYNC(fsync)
SYNC(fdatasync)

ssize_t send(int fd, const void *bytes, size_t n, int flags) {
  if (log_fd < 0) return REAL(send)(fd, bytes, n, flags);
  struct stat meta = {0};
  LOCKED(ssize_t, REAL(send)(fd, bytes, n, flags), written(fd, SOCKET, &meta, 0, bytes, result));
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  if (log_fd < 0) return REAL(sendmsg)(fd, message, flags);
  struct stat meta = {0};
  LOCKED(ssize_t, REAL(sendmsg)(fd, message, flags), {
    ssize_t left = result;
    for (size_t i = 0; i < message->msg_iovlen && left > 0; i++) {
      ssize_t n = left < (ssize_t)message->msg_iov[i].iov_len ? left : (ssize_t)message->msg_iov[i].iov_len;
      written(fd, SOCKET, &meta, 0, message->msg_iov[i].iov_base, n);
      left -= n;
    }
  });
}

static int opened(int dir, const char *name, int flags, mode_t mode, int (*go)(int, const char *, int, ...)) {
  char path[PATH_MAX];
  if (log_fd < 0 || !(flags & (O_CREAT | O_TRUNC)) || !absolute(dir, name, path) || !is_ours(path))
    return go(dir, name, flags, mode);
  pthread_mutex_lock(&mutex);
  struct stat meta;
  int existed = stat(path, &meta) == 0;
  int fd = go(dir, name, flags, mode);
  int kept = errno;
  if (fd >= 0 && fstat(fd, &meta) == 0) {
    if (!existed) record('C', meta.st_ino, 0, path, strlen(path));
    else if (flags & O_TRUNC) record('T', meta.st_ino, 0, "", 0);
  }
  pthread_mutex_unlock(&mutex);
  errno = kept;
  return fd;
}

#define MODE(flags, mode)                                      \
  mode_t mode = 0;                                             \
  if ((flags) & (O_CREAT | __O_TMPFILE)) {                     \
    va_list rest;                                              \
    va_start(rest, flags);                                     \
    mode = va_arg(rest, mode_t);                               \
    va_end(rest);                                              \
  }

int open(const char *name, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, name, flags, mode, REAL(openat)); }
int open64(const char *name, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, name, flags, mode, REAL(openat64)); }
int openat(int dir, const char *name, int flags, ...) { MODE(flags, mode) return opened(dir, name, flags, mode, REAL(openat)); }
int openat64(int dir, const char *name, int flags, ...) { MODE(flags, mode) return opened(dir, name, flags, mode, REAL(openat64)); }

int unlink(const char *name) {
  char path[PATH_MAX];
  if (log_fd < 0 || !absolute(AT_FDCWD, name, path) || !is_ours(path)) return REAL(unlink)(name);
  LOCKED(int, REAL(unlink)(name), if (result == 0) record('U', 0, 0, path, strlen(path)));
}

int rename(const char *from, const char *to) {
  char both[2 * PATH_MAX], path[PATH_MAX];
  if (log_fd < 0 || !absolute(AT_FDCWD, from, both) || !absolute(AT_FDCWD, to, path) || !is_ours(path))
    return REAL(rename)(from, to);
  size_t first = strlen(both) + 1;
  strcpy(both + first, path);
  LOCKED(int, REAL(rename)(from, to), if (result == 0) record('R', 0, 0, both, first + strlen(path)));
}

int mkdir(const char *name, mode_t mode) {
  char path[PATH_MAX];
  if (log_fd < 0 || !absolute(AT_FDCWD, name, path) || !is_ours(path)) return REAL(mkdir)(name, mode);
  LOCKED(int, REAL(mkdir)(name, mode), if (result == 0) record('M', 0, 0, path, strlen(path)));
}
