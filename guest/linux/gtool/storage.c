/* Block I/O past the page cache, one request at a time; trays of drives. */
#define _GNU_SOURCE /* O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <linux/cdrom.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gtool.h"

static long request(const char *kind, int disk, void *buffer, uint64_t offset, uint64_t length) {
    uint64_t range[2] = {offset, length};
    if (!strcmp(kind, "read"))
        return pread(disk, buffer, length, offset);
    if (!strcmp(kind, "write"))
        return pwrite(disk, buffer, length, offset);
    if (!strcmp(kind, "flush"))
        return fsync(disk);
    if (!strcmp(kind, "discard"))
        return ioctl(disk, BLKDISCARD, range);
    if (!strcmp(kind, "zero"))
        return ioctl(disk, BLKZEROOUT, range);
    errno = EINVAL;
    return -1;
}

static uint64_t number(char ***args, uint64_t otherwise) {
    return **args ? strtoull(*(*args)++, NULL, 0) : otherwise;
}

/* The next number of a sequence without a pattern, the same in every run (xorshift). */
static uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* "random-KIND" takes its offsets, in whole lengths, from anywhere on the disk behind OFFSET. */
int storage_io(char **args) {
    const char *kind = args[0], *path = args[1];
    bool random = !strncmp(kind, "random-", 7);
    if (random)
        kind += 7;
    char **rest = args + 2;
    uint64_t offset = number(&rest, 0), length = number(&rest, 4096), count = number(&rest, 1);

    int disk = open(path, O_RDWR | O_DIRECT);
    if (disk < 0)
        disk = open(path, O_RDONLY | O_DIRECT);
    if (disk < 0)
        return fail(path);
    void *buffer = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (buffer == MAP_FAILED)
        return fail("mmap");
    memset(buffer, 0x5a, length);
    uint64_t size = 0, state = 0x9e3779b97f4a7c15;
    if (random && ioctl(disk, BLKGETSIZE64, &size))
        return fail("size");
    if (random && (!length || size < length || size - length < offset)) {
        errno = EINVAL;
        return fail("offset");
    }
    uint64_t places = random ? (size - offset) / length : 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t place = random ? next(&state) % places : i;
        if (request(kind, disk, buffer, offset + place * length, length) < 0)
            return fail(kind);
    }
    printf("done=%lu\n", count);
    return 0;
}

int storage_tray(char **args) {
    int drive = open(args[1], O_RDONLY | O_NONBLOCK);
    if (drive < 0)
        return fail(args[1]);
    return ioctl(drive, !strcmp(args[0], "open") ? CDROMEJECT : CDROMCLOSETRAY) ? fail("tray") : 0;
}
