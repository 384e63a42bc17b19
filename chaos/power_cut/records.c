/*
 * Keeps what is needed to undo every write since a file's last fsync, as a power cut would.
 *
 * Preloaded (LD_PRELOAD) into a process. POWER_CUT_FILES names the folder whose files are watched (their
 * "-shm" aside, which no database trusts after a crash), POWER_CUT_LOGS another one on the same file system,
 * where for each watched file NAME there can be
 *
 *   NAME.writes       one record for each write or change of size since the last fsync: struct record and then
 *                     the old bytes. It is written before the change is made.
 *   NAME.new          the file was made since the last fsync of it or of its folder
 *   NAME.gone         the file that had this name before, unlinked since then; NAME.gone.writes are its records
 *
 * and where a file "fsync-fails" that holds "P N" makes each fsync from the process's Nth on fail with EIO, with
 * the probability P. chaos/power.py plays the records back.
 */
#include "records.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define MOST_FILES 64

struct record {
    int64_t offset;   /* where the old bytes stood */
    int64_t old_size; /* of the file, in bytes */
    int64_t length;   /* how many old bytes follow */
};

struct watched {
    char name[NAME_MAX + 1];
    dev_t device;
    ino_t inode;
    int log; /* NAME.writes */
};

static struct watched watched_files[MOST_FILES];
static int watched_count;
static struct watched *by_fd[MOST_FDS];
static long fsyncs;
static unsigned int seed;
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Where things are */

static const char *files_folder(void) { return getenv("POWER_CUT_FILES"); }

static void log_path(char *path, const char *name, const char *suffix) {
    snprintf(path, PATH_MAX, "%s/%s%s", getenv("POWER_CUT_LOGS"), name, suffix);
}

const char *watched_name(const char *path) {
    const char *folder = files_folder();
    size_t length = folder ? strlen(folder) : 0, size = strlen(path);
    if (!length || strncmp(path, folder, length) || path[length] != '/') return NULL;
    const char *name = path + length + 1;
    if (!*name || strchr(name, '/') || strlen(name) > NAME_MAX) return NULL;
    return size >= 4 && !strcmp(path + size - 4, "-shm") ? NULL : name;
}

static void fail_hard(const char *what) {
    perror(what);
    _exit(99);
}

static int open_log(const char *name) {
    char path[PATH_MAX];
    log_path(path, name, ".writes");
    REAL(int, open, const char *, int, ...);
    int log = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0) fail_hard(path);
    return log;
}

static struct watched *find(const char *name) {
    for (int i = 0; i < watched_count; i++)
        if (!strcmp(watched_files[i].name, name)) return &watched_files[i];
    if (watched_count == MOST_FILES) return NULL;
    struct watched *file = &watched_files[watched_count++];
    strcpy(file->name, name);
    file->log = -1;
    return file;
}

/* The watched file behind a descriptor; NULL if it is none, or has been unlinked. */
static struct watched *behind(int fd, struct stat *state) {
    struct watched *file = fd >= 0 && fd < MOST_FDS ? by_fd[fd] : NULL;
    if (!file || fstat(fd, state)) return NULL;
    return file->device == state->st_dev && file->inode == state->st_ino ? file : NULL;
}

int may_be_watched(int fd) { return fd >= 0 && fd < MOST_FDS && by_fd[fd]; }

/* What is noted */

static void mark(const char *name, const char *suffix) {
    char path[PATH_MAX];
    log_path(path, name, suffix);
    REAL(int, open, const char *, int, ...);
    int fd = real_open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) fail_hard(path);
    close(fd);
}

static void forget(const char *name, const char *suffix) {
    char path[PATH_MAX];
    log_path(path, name, suffix);
    REAL(int, unlink, const char *);
    real_unlink(path);
}

static int is_marked(const char *name, const char *suffix) {
    char path[PATH_MAX];
    log_path(path, name, suffix);
    return !access(path, F_OK);
}

static void note_change(int fd, struct watched *file, off_t size, off_t offset, off_t count) {
    off_t end = offset + count < size ? offset + count : size;
    size_t length = end > offset ? end - offset : 0;
    char *bytes = malloc(sizeof(struct record) + length);
    struct record head = {offset, size, length};
    REAL(ssize_t, pread, int, void *, size_t, off_t);
    REAL(ssize_t, write, int, const void *, size_t);
    memcpy(bytes, &head, sizeof head);
    if (length && real_pread(fd, bytes + sizeof head, length, offset) != (ssize_t)length) fail_hard("pread");
    size_t whole = sizeof head + length;
    if (real_write(file->log, bytes, whole) != (ssize_t)whole) fail_hard("undo log");
    free(bytes);
}

void before_write(int fd, size_t count, off_t offset) {
    struct stat state;
    struct watched *file = behind(fd, &state);
    if (!file) return;
    if (offset < 0) offset = fcntl(fd, F_GETFL) & O_APPEND ? state.st_size : lseek(fd, 0, SEEK_CUR);
    note_change(fd, file, state.st_size, offset, count);
}

void before_open(const char *name, const char *path, int flags) {
    if (flags & O_CREAT && access(path, F_OK)) mark(name, ".new");
}

void after_open(const char *name, int fd) {
    struct stat state;
    struct watched *file = find(name);
    if (!file || fd >= MOST_FDS || fstat(fd, &state)) fail_hard("too many files");
    if (file->log < 0) file->log = open_log(name);
    file->device = state.st_dev;
    file->inode = state.st_ino;
    by_fd[fd] = file;
}

/* A file that was never on the disk leaves nothing behind; another one may come back. */
void before_unlink(const char *name, const char *path) {
    char gone[PATH_MAX], writes[PATH_MAX], gone_writes[PATH_MAX];
    struct watched *file = find(name);
    log_path(gone, name, ".gone");
    log_path(writes, name, ".writes");
    log_path(gone_writes, name, ".gone.writes");
    if (is_marked(name, ".new")) {
        forget(name, ".writes");
    } else {
        rename(writes, gone_writes);
        if (link(path, gone)) fail_hard(gone);
    }
    if (!file) return;
    if (file->log >= 0) close(file->log);
    file->log = -1;
    file->inode = 0; /* who has it open still may write to it: nobody will read that */
}

/* fsync */

static int is_to_fail(void) {
    char path[PATH_MAX];
    double probability = 0;
    long from = 1;
    log_path(path, "fsync-fails", "");
    FILE *control = fopen(path, "re");
    if (!control) return 0;
    int found = fscanf(control, "%lf %ld", &probability, &from);
    fclose(control);
    if (!seed) seed = time(NULL) ^ getpid();
    return found >= 1 && fsyncs >= from && rand_r(&seed) < probability * ((double)RAND_MAX + 1);
}

static void entry_is_safe(const char *name) {
    forget(name, ".new");
    forget(name, ".gone");
    forget(name, ".gone.writes");
}

int synced(int fd, int (*real)(int)) {
    struct stat state, folder;
    struct watched *file = behind(fd, &state);
    int is_folder = !file && files_folder() && !fstat(fd, &state) && !stat(files_folder(), &folder) &&
                    state.st_dev == folder.st_dev && state.st_ino == folder.st_ino;
    if (!file && !is_folder) return real(fd);
    pthread_mutex_lock(&lock);
    fsyncs++;
    int failed = is_to_fail();
    if (failed) errno = EIO;
    else failed = real(fd);
    if (!failed && file) {
        if (ftruncate(file->log, 0)) fail_hard("ftruncate");
        entry_is_safe(file->name);
    }
    if (!failed && is_folder)
        for (int i = 0; i < watched_count; i++) entry_is_safe(watched_files[i].name);
    pthread_mutex_unlock(&lock);
    return failed ? -1 : 0;
}
