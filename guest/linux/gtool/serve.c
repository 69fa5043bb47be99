/* The console's conversation on a virtio-serial port: a line in, its output and "@RC=n" out. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtool.h"

static int run(const char *line, int port) {
    int status = 0;
    pid_t child = fork();
    if (!child) {
        dup2(open("/dev/null", O_RDONLY), 0);
        dup2(port, 1);
        dup2(port, 2);
        execl("/bin/sh", "sh", "-c", line, NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int serve_port(char **args) {
    char line[4096];
    size_t length = 0;
    int port = open(args[0], O_RDWR);
    if (port < 0)
        return fail(args[0]);
    for (;;) {
        ssize_t n = read(port, line + length, 1);
        if (n <= 0) { /* nobody is connected on the other side */
            usleep(50000);
            length = 0;
        } else if (line[length] == '\n') {
            line[length] = 0;
            dprintf(port, "@RC=%d\n", run(line, port));
            length = 0;
        } else if (length < sizeof line - 1) {
            length++;
        }
    }
}
