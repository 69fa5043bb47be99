/* Keyboards and pointers, through evdev. */
#include <linux/input.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gtool.h"

/* Reads from standard input, which the shell has opened before anything was done: so nothing is
 * missed. Ends after so many reports, with what is yet to come left there. */
int input_events(char **args) {
    struct input_event event;
    for (long reports = strtol(args[0], NULL, 0); reports > 0;) {
        if (read(0, &event, sizeof event) != sizeof event)
            return fail("read");
        if (event.type == EV_SYN)
            reports--;
        printf("event=%u,%u,%d\n", event.type, event.code, event.value);
    }
    return 0;
}
