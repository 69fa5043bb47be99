/* PCI configuration space and bars through sysfs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gtool.h"

enum { COMMAND = 0x04, CAPABILITIES = 0x34 };

int pci_each(pci_visitor *visit, void *opaque) {
    DIR *devices = opendir(PCI_DEVICES);
    int answer = 0;
    for (struct dirent *entry; !answer && devices && (entry = readdir(devices));) {
        char path[512];
        snprintf(path, sizeof path, PCI_DEVICES "/%s/config", entry->d_name);
        int config = open(path, O_RDWR);
        if (config < 0)
            continue;
        answer = visit(entry->d_name, config, opaque);
        if (!answer)
            close(config);
    }
    if (devices)
        closedir(devices);
    return answer;
}

uint32_t pci_read(int config, int offset, int size) {
    uint32_t value = 0;
    return pread(config, &value, size, offset) == size ? value : ~0u;
}

void pci_write(int config, int offset, int size, uint32_t value) {
    if (pwrite(config, &value, size, offset) != size)
        fail("configuration space");
}

int pci_capability(int config, int id) {
    int at = pci_read(config, CAPABILITIES, 1) & 0xfc;
    for (int links = 0; at && links < 48; links++) {
        if (pci_read(config, at, 1) == (uint32_t)id)
            return at;
        at = pci_read(config, at + 1, 1) & 0xfc;
    }
    return 0;
}

struct search {
    uint32_t id;
    int config;
    char *address;
};

static int match(const char *address, int config, void *opaque) {
    struct search *search = opaque;
    if (pci_read(config, 0, 4) != search->id)
        return 0;
    search->config = config;
    snprintf(search->address, 16, "%.15s", address);
    return 1;
}

int pci_open(uint16_t vendor, uint16_t device, char address[16]) {
    struct search search = {.id = (uint32_t)device << 16 | vendor, .address = address};
    errno = ENODEV;
    if (!pci_each(match, &search))
        return -1;
    pci_write(search.config, COMMAND, 2, pci_read(search.config, COMMAND, 2) | 6);
    return search.config;
}

volatile void *pci_map(const char *address, int bar) {
    char path[64];
    snprintf(path, sizeof path, PCI_DEVICES "/%s/resource%d", address, bar);
    int resource = open(path, O_RDWR | O_SYNC);
    if (resource < 0)
        return NULL;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, resource, 0);
    close(resource);
    return page == MAP_FAILED ? NULL : page;
}
