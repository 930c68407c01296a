// SPDX-License-Identifier: MIT
/*
 * init.c: what happens when the library is loaded and when the process ends.
 *
 * Place: the dynamic linker, or libc's start in a static program, calls the constructor. Allocation
 * works before it: ld.so and other libraries' constructors may come first. What the constructor
 * adds is what needs libc: a thread-exit hook, the fork handlers, and the options.
 */
#include <string.h>

#include "../observe/observe.h"
#include "../options/options.h"
#include "../os/os.h"
#include "../scavenger/scavenger.h"
#include "internal.h"

const char init_linked;

/* glibc hands the constructors what main gets; getenv would need libc to be set up. */
static const char *find_environment(char **environment, const char *name)
{
    size_t length = strlen(name);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
            return *environment + length + 1;
    return NULL;
}

static void read_options(char **environment)
{
    const char *list = os_is_setuid() ? NULL : find_environment(environment, "GOALLOC");
    if (list)
        options_parse(list);
    if (options.help)
        options_print_help();
}

__attribute__((constructor(101))) static void start(int argc, char **argv, char **environment)
{
    (void)argc;
    (void)argv;
    mcache_init_process();
    fork_init();
    read_options(environment);
}

/* After the program's own exit handlers and destructors. */
__attribute__((destructor(101))) static void finish(void)
{
    scavenger_stop();
    if (options.stats)
        observe_print();
}
