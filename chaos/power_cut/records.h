/* What power_cut keeps, to be called by the functions that it stands before. */
#ifndef RECORDS_H
#define RECORDS_H
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/types.h>
#include <unistd.h>

#define MOST_FDS 4096

/* The function that has the name in the next library. */
#define REAL(type, name, ...)                                                                                \
    static type (*real_##name)(__VA_ARGS__);                                                                 \
    if (!real_##name) real_##name = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

/* Held over a change and its record. */
extern pthread_mutex_t lock;

/* The file's name within the watched folder; NULL if it is not watched. */
const char *watched_name(const char *path);

/* Whether the descriptor may be that of a watched file. */
int may_be_watched(int fd);

/* To be called before and after each change. `offset` -1 is the descriptor's own position. */
void before_open(const char *name, const char *path, int flags);
void after_open(const char *name, int fd);
void before_write(int fd, size_t count, off_t offset);
void before_unlink(const char *name, const char *path);

/* fsync or fdatasync, which `real` is. */
int synced(int fd, int (*real)(int));

#endif
