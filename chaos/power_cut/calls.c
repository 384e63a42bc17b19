/* The functions that stand before those of the C library; see records.c. */
#include "records.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

int fsync(int fd) {
    REAL(int, fsync, int);
    return synced(fd, real_fsync);
}

int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return synced(fd, real_fdatasync);
}

/* What changes files */

#define GUARDED(name, path, flags, call)                                                                     \
    const char *name = watched_name(path);                                                                   \
    if (!name) return call;                                                                                  \
    pthread_mutex_lock(&lock);                                                                               \
    before_open(name, path, flags);                                                                          \
    int fd = call;                                                                                           \
    int error = errno;                                                                                       \
    if (fd >= 0) after_open(name, fd);                                                                       \
    pthread_mutex_unlock(&lock);                                                                             \
    errno = error;                                                                                           \
    return fd

#define MODE_OF(flags)                                                                                       \
    mode_t mode = 0;                                                                                         \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                     \
        va_list rest;                                                                                        \
        va_start(rest, flags);                                                                               \
        mode = va_arg(rest, mode_t);                                                                         \
        va_end(rest);                                                                                        \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    REAL(int, open, const char *, int, ...);
    GUARDED(name, path, flags, real_open(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    REAL(int, open64, const char *, int, ...);
    GUARDED(name, path, flags, real_open64(path, flags, mode));
}

int openat(int at, const char *path, int flags, ...) {
    MODE_OF(flags)
    REAL(int, openat, int, const char *, int, ...);
    GUARDED(name, path, flags, real_openat(at, path, flags, mode));
}

int openat64(int at, const char *path, int flags, ...) {
    MODE_OF(flags)
    REAL(int, openat64, int, const char *, int, ...);
    GUARDED(name, path, flags, real_openat64(at, path, flags, mode));
}

int unlink(const char *path) {
    REAL(int, unlink, const char *);
    const char *name = watched_name(path);
    if (!name || access(path, F_OK)) return real_unlink(path);
    pthread_mutex_lock(&lock);
    before_unlink(name, path);
    int result = real_unlink(path);
    pthread_mutex_unlock(&lock);
    return result;
}

#define CHANGING(fd, count, offset, type, call)                                                              \
    if (!may_be_watched(fd)) return call;                                                 \
    pthread_mutex_lock(&lock);                                                                               \
    before_write(fd, count, offset);                                                                         \
    type result = call;                                                                                      \
    pthread_mutex_unlock(&lock);                                                                             \
    return result

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(ssize_t, write, int, const void *, size_t);
    CHANGING(fd, count, -1, ssize_t, real_write(fd, bytes, count));
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    CHANGING(fd, count, offset, ssize_t, real_pwrite(fd, bytes, count, offset));
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    CHANGING(fd, count, offset, ssize_t, real_pwrite64(fd, bytes, count, offset));
}

/* From the new size on, or, where the file grows, nothing is lost. */
int ftruncate(int fd, off_t size) {
    REAL(int, ftruncate, int, off_t);
    CHANGING(fd, SSIZE_MAX / 2, size, int, real_ftruncate(fd, size));
}

int ftruncate64(int fd, off64_t size) {
    REAL(int, ftruncate64, int, off64_t);
    CHANGING(fd, SSIZE_MAX / 2, size, int, real_ftruncate64(fd, size));
}
