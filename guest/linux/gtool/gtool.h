/* What the commands of gtool share. */
#ifndef GTOOL_H
#define GTOOL_H

#include <stdint.h>

/* Prints "error=WHAT: reason of errno"; returns the exit status of failure. */
int fail(const char *what);

/* filter.c: what a network interface receives */
int filter_multicast(char **args);
int filter_unicast(char **args);
int filter_flag(char **args);
int filter_churn(char **args);

/* input.c: what people do at keyboards and pointers */
int input_events(char **args);

/* memory.c, storage.c */
int memory_touch(char **args);
int storage_io(char **args);
int storage_tray(char **args);

/* slots.c: hot-plug slots of PCI Express */
int slots_show(char **args);
int slots_drive(char **args);

/* board.c: devices Debian's kernel has no driver for */
int board_watchdog(char **args);
int board_pvpanic(char **args);

/* serve.c */
int serve_port(char **args);

/* pci.c: configuration space and bars through sysfs */
#define PCI_DEVICES "/sys/bus/pci/devices"

typedef int pci_visitor(const char *address, int config, void *opaque);
/* Visits functions until one answers other than 0; the visitor owns `config` then. */
int pci_each(pci_visitor *visit, void *opaque);
uint32_t pci_read(int config, int offset, int size);
void pci_write(int config, int offset, int size, uint32_t value);
int pci_capability(int config, int id);
/* Opens the configuration space of the first function with that id, or -1. */
int pci_open(uint16_t vendor, uint16_t device, char address[16]);
/* Maps the first page of a bar, or NULL. */
volatile void *pci_map(const char *address, int bar);

#endif
