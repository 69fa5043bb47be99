/* Devices that Debian's riscv64 kernel has no driver for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gtool.h"

/* Intel 6300ESB, "Watchdog Timers": 8086:25ab, memory bar 0. */
enum { ESB_CONFIG = 0x60, ESB_LOCK = 0x68, ESB_LOCK_ENABLE = 0x02 };
enum { ESB_CLOCK_1KHZ_NO_INTERRUPT = 0x03 };
enum { ESB_RELOAD = 0x100 };

struct esb {
    volatile uint32_t stage1, stage2, interrupt;
    volatile uint16_t reload;
};

/* Every write to the timer's registers is preceded by two magic ones. */
static void unlock(struct esb *esb) {
    esb->reload = 0x80;
    esb->reload = 0x86;
}

static void start(struct esb *esb, int config, uint32_t seconds) {
    uint32_t preload = seconds << 9; /* the clock is 1 kHz, and each stage gets half */
    pci_write(config, ESB_CONFIG, 2, ESB_CLOCK_1KHZ_NO_INTERRUPT);
    unlock(esb);
    esb->stage1 = preload;
    unlock(esb);
    esb->stage2 = preload;
    unlock(esb);
    esb->reload = ESB_RELOAD;
    pci_write(config, ESB_LOCK, 1, ESB_LOCK_ENABLE);
}

int board_watchdog(char **args) {
    char address[16];
    int config = pci_open(0x8086, 0x25ab, address);
    struct esb *esb = config < 0 ? NULL : (struct esb *)pci_map(address, 0);
    if (!esb)
        return fail("i6300esb");
    if (!strcmp(args[0], "start")) {
        start(esb, config, args[1] ? strtoul(args[1], NULL, 0) : 2);
    } else if (!strcmp(args[0], "kick")) {
        unlock(esb);
        esb->reload = ESB_RELOAD;
    } else {
        pci_write(config, ESB_LOCK, 1, 0);
    }
    printf("lock=%02x\n", pci_read(config, ESB_LOCK, 1));
    return 0;
}

/* pvpanic: 1b36:0011, one byte of events. Without an argument only says which it knows. */
int board_pvpanic(char **args) {
    char address[16];
    volatile uint8_t *events = pci_open(0x1b36, 0x0011, address) < 0 ? NULL : pci_map(address, 0);
    if (!events)
        return fail("pvpanic");
    printf("events=0x%x\n", *events);
    fflush(stdout);
    if (args[0])
        *events = strtoul(args[0], NULL, 0);
    return 0;
}
