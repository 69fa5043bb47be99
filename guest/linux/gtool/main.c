/*
 * gtool: what busybox cannot do inside a test guest.
 *
 * Receive filters, user-space drivers of hot-plug slots, of the i6300esb
 * watchdog and of pvpanic (Debian's riscv64 kernel is built without theirs),
 * block I/O past the page cache, events of keyboards and pointers. Every answer
 * is lines of "key=value".
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gtool.h"

static const struct command {
    const char *name;
    const char *usage;
    int arguments; /* at least */
    int (*run)(char **args);
} commands[] = {
    {"multicast", "add|del MAC IF", 3, filter_multicast},
    {"unicast", "add|del MAC IF", 3, filter_unicast},
    {"flag", "promisc|allmulti on|off IF", 3, filter_flag},
    {"churn", "IF ROUNDS", 2, filter_churn},
    {"events", "REPORTS <DEVICE", 1, input_events},
    {"touch", "MIB", 1, memory_touch},
    {"io", "[random-]read|[random-]write|flush|discard|zero DISK [OFFSET [LENGTH [COUNT]]]", 2, storage_io},
    {"tray", "open|close DRIVE", 2, storage_tray},
    {"slots", "", 0, slots_show},
    {"drive-slots", "POLL-MS", 1, slots_drive},
    {"watchdog", "start SECONDS|kick|stop", 1, board_watchdog},
    {"pvpanic", "[EVENTS]", 0, board_pvpanic},
    {"serve", "PORT", 1, serve_port},
};

int fail(const char *what) {
    printf("error=%s: %s\n", what, strerror(errno));
    return 1;
}

static int usage(void) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        printf("gtool %s %s\n", commands[i].name, commands[i].usage);
    return 2;
}

int main(int count, char **args) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count < 2)
        return usage();
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(args[1], commands[i].name) && count - 2 >= commands[i].arguments)
            return commands[i].run(args + 2);
    return usage();
}
