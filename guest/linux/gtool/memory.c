/* Memory that was really used once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "gtool.h"

/* Writes to every page of that many MiB and frees them by ending. */
int memory_touch(char **args) {
    size_t length = strtoul(args[0], NULL, 0) << 20;
    void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return fail("mmap");
    memset(memory, 0x5a, length);
    printf("touched=%zu\n", length);
    return 0;
}
