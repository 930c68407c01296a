// SPDX-License-Identifier: MIT
/*
 * init.c: what happens when the library is loaded and when the process ends.
 *
 * Place: the dynamic linker, or libc's start in a static program, calls the constructor. Allocation
 * works before it: ld.so and other libraries' constructors may come first. What the constructor
 * adds is what needs libc: a thread-exit hook, the fork handlers, and the options.
 */
#include <string.h>

#include "../gc/gc.h"
#include "../hardened/hardened.h"
#include "../observe/observe.h"
#include "../options/options.h"
#include "../os/misuse.h"
#include "../os/os.h"
#include "../os/report.h"
#include "../scavenger/scavenger.h"
#include "internal.h"
#include "stand_in.h"

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
    environment = os_is_setuid() ? NULL : environment;
    const char *limit = find_environment(environment, "GOMEMLIMIT");
    if (limit)
        options_parse_memory_limit(limit);
    const char *list = find_environment(environment, "GOALLOC");
    if (list)
        options_parse(list);
    const char *go_list = find_environment(environment, "GODEBUG");
    if (go_list)
        godebug_parse(go_list);
    if (options.count)
        mcache_give_up();
    if (options.help)
        options_print_help();
}

/* Not with blocks that src/hardened serves, in which the collector can't look for pointers. */
GA_COLD static void start_collector(char **environment)
{
    if (hardened_modes) {
        report_line("gc: not together with hardened or sample; nothing will be collected");
        return;
    }
    gc_configure(find_environment(environment, "GOGC"));
    if (!gc_enable((enum gc_mode)options.gc, told_by_option()))
        report_line("gc: no memory for its tables; nothing will be collected");
}

/* With no mode on none of that code is touched: it lies apart in the file (src/rare.ld). A stand-in
 * looks at memory itself, and needs the heap as it is. */
static void start_modes(void)
{
    bool samples = options.sample && options.sample != SAMPLE_UNSAID;
    if (options_report[0])
        report_set_path(options_report);
    if (options.report_json || options.hardened)
        misuse_set_output(options.report_json, options.hardened ? NULL : MISUSE_HINT);
    if ((!options.hardened && !samples) || stand_in() != NULL)
        return;
    hardened_free_other = free_unclassed;
    bool unwinds = unwind_init();
    hardened_start(unwinds ? 0 : HARDENED_UNWINDER);
}

__attribute__((constructor(101))) static void start(int argc, char **argv, char **environment)
{
    (void)argc;
    (void)argv;
    stand_in_announce();
    mcache_init_process();
    fork_init();
    read_options(environment);
    scavenger_set_limit(options.memory_limit);
    if (options.thp != THP_AUTO)
        mheap_advise();
    if (options.background && options.thp == THP_AUTO && !options.hardened && options.gc == GC_OFF)
        scavenger_allow_collapse();
    start_modes();
    if (options.gc != GC_OFF && !stand_in())
        start_collector(environment);
}

/* After the program's own exit handlers and destructors. */
__attribute__((destructor(101))) static void finish(void)
{
    if (GA_UNLIKELY(GA_LOAD_ANY(gc_on)))
        gc_finish();
    scavenger_stop();
    if (hardened_modes)
        hardened_finish();
    scavenger_trace_rest();
    if (options.stats == STATS_JSON)
        observe_print_json();
    else if (options.stats)
        observe_print();
}
