/*
 * Hot-plug slots of PCI Express ports, driven by polling from user space.
 *
 * Register names and bits: PCI Express Base Specification 5.0, §7.5.3.9-11.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gtool.h"

enum { CAP_ID = 0x10, FLAGS = 0x02, LINK_STATUS = 0x12, SLOT_CAP = 0x14, SLOT_CONTROL = 0x18, SLOT_STATUS = 0x1a };
enum { FLAGS_SLOT = 0x100, HOT_PLUG_CAPABLE = 0x40 };
enum { POWER_INDICATOR = 0x300, POWER_INDICATOR_ON = 0x100, POWER_INDICATOR_OFF = 0x300, POWER_OFF = 0x400 };
enum { ATTENTION = 0x01, PRESENCE_CHANGED = 0x08, EVENTS = 0x1f, PRESENT = 0x40 };

struct slot {
    char address[16];
    int config;
    int cap;
    int occupied;
};

struct slots {
    int count;
    struct slot slot[64];
};

static int find(const char *address, int config, void *opaque) {
    struct slots *slots = opaque;
    int cap = pci_capability(config, CAP_ID);
    if (!cap || !(pci_read(config, cap + FLAGS, 2) & FLAGS_SLOT) ||
        !(pci_read(config, cap + SLOT_CAP, 4) & HOT_PLUG_CAPABLE) || slots->count == 64)
        return 0;
    struct slot *slot = &slots->slot[slots->count++];
    snprintf(slot->address, sizeof slot->address, "%.15s", address);
    slot->config = dup(config);
    slot->cap = cap;
    slot->occupied = !!(pci_read(config, cap + SLOT_STATUS, 2) & PRESENT);
    return 0;
}

static void show(const struct slot *slot) {
    int config = slot->config, cap = slot->cap;
    uint32_t capabilities = pci_read(config, cap + SLOT_CAP, 4);
    printf("slot=%u port=%s cap=%08x control=%04x status=%04x link=%04x\n", capabilities >> 19, slot->address,
           capabilities, pci_read(config, cap + SLOT_CONTROL, 2), pci_read(config, cap + SLOT_STATUS, 2),
           pci_read(config, cap + LINK_STATUS, 2));
}

static void write_file(const char *path, const char *text) {
    int file = open(path, O_WRONLY);
    if (file < 0 || write(file, text, strlen(text)) < 0)
        fail(path);
    close(file);
}

/* Names the functions behind a port, and removes them from the kernel. */
static void functions(const struct slot *slot, int remove) {
    char path[600];
    snprintf(path, sizeof path, PCI_DEVICES "/%s", slot->address);
    DIR *children = opendir(path);
    for (struct dirent *entry; children && (entry = readdir(children));) {
        if (strlen(entry->d_name) != 12 || entry->d_name[4] != ':' || entry->d_name[10] != '.')
            continue;
        printf("%s=%s\n", remove ? "removed" : "added", entry->d_name);
        if (!remove)
            continue;
        snprintf(path, sizeof path, PCI_DEVICES "/%s/%s/remove", slot->address, entry->d_name);
        write_file(path, "1");
    }
    if (children)
        closedir(children);
}

static void power_on(struct slot *slot, uint32_t control) {
    control = (control & ~(POWER_INDICATOR | POWER_OFF)) | POWER_INDICATOR_ON;
    pci_write(slot->config, slot->cap + SLOT_CONTROL, 2, control);
    usleep(100000); /* as long as a link may take, §6.6.1 */
    write_file("/sys/bus/pci/rescan", "1");
    functions(slot, 0);
    slot->occupied = 1;
}

static void power_off(struct slot *slot, uint32_t control) {
    functions(slot, 1);
    pci_write(slot->config, slot->cap + SLOT_STATUS, 2, EVENTS);
    pci_write(slot->config, slot->cap + SLOT_CONTROL, 2, control | POWER_INDICATOR_OFF | POWER_OFF);
    /* What is there after a change is another device, whose events are still to be served. */
    uint32_t status = pci_read(slot->config, slot->cap + SLOT_STATUS, 2);
    slot->occupied = (status & (PRESENT | PRESENCE_CHANGED)) == PRESENT;
}

static void serve(struct slot *slot) {
    uint32_t status = pci_read(slot->config, slot->cap + SLOT_STATUS, 2);
    uint32_t control = pci_read(slot->config, slot->cap + SLOT_CONTROL, 2);
    if (!(status & EVENTS))
        return;
    pci_write(slot->config, slot->cap + SLOT_STATUS, 2, status & EVENTS);
    if ((status & PRESENT) && !slot->occupied) {
        power_on(slot, control);
    } else if ((status & PRESENT) && (status & ATTENTION)) {
        power_off(slot, control);
    } else if (!(status & PRESENT) && slot->occupied) {
        functions(slot, 1);
        slot->occupied = 0;
    }
}

int slots_show(char **args) {
    (void)args;
    struct slots slots = {0};
    pci_each(find, &slots);
    for (int i = 0; i < slots.count; i++)
        show(&slots.slot[i]);
    return 0;
}

int slots_drive(char **args) {
    struct slots slots = {0};
    pci_each(find, &slots);
    for (;;) {
        for (int i = 0; i < slots.count; i++)
            serve(&slots.slot[i]);
        usleep(atoi(args[0]) * 1000);
    }
}
