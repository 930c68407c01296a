// SPDX-License-Identifier: MIT
/*
 * options.c: the options table and its parser.
 *
 * Place: read by all; src/libc's constructor has the environment's GOALLOC parsed. Calls the
 * reporter only.
 *
 * Invariants: parsing never allocates and never fails: what it doesn't understand it names, once.
 * Locking: none; written before main, read afterwards.
 */
#include "../os/report.h"
#include "internal.h"

struct options options = {
    .scavenge = true,
    .stack = UINT64_C(64) << 10,
    .memory_limit = UINT64_MAX,
    .gc_track = GC_TRACK_ON,
    .canaries = true,
    .guard_pages = true,
    .quarantine = true,
    .zero_on_free = true,
    .sample = SAMPLE_UNSAID,
};
char options_report[OPTION_PATH_MAX];

static const char *const gc_words[] = {"off", "audit", "leaks", "collect", NULL};

static const char *const gc_track_words[] = {"stop", "barrier", NULL};

static const char *const thp_words[] = {"auto", "always", "never", NULL};

static const char *const stats_words[] = {"json", NULL}; /* STATS_JSON */

const struct option options_table[] = {
    {"background", OPTION_FLAG, &options.background,
     "give memory back by a thread, also while the program is idle (default off)", NULL},
    {"canaries", OPTION_FLAG, &options.canaries,
     "hardened: check a secret word behind each block (default on)", NULL},
    {"count", OPTION_FLAG, &options.count,
     "count every block allocated and freed, which makes both slow (default off)", NULL},
    {"gc", OPTION_WORD, &options.gc,
     "what becomes of blocks out of reach: off, audit, leaks, collect (default off)", gc_words},
    {"gc_track", OPTION_FLAG_OR_WORD, &options.gc_track,
     "mark beside the program: by tracked writes, off: in a copy, stop, barrier (default on)",
     gc_track_words},
    {"guard_pages", OPTION_FLAG, &options.guard_pages,
     "hardened: pages that trap around blocks above 32 KB (default on)", NULL},
    {"hardened", OPTION_FLAG, &options.hardened,
     "find the program's mistakes with memory, for some of its speed (default off)", NULL},
    {"help", OPTION_FLAG, &options.help, "print this list at start", NULL},
    {"memlimit", OPTION_LIMIT, &options.memory_limit,
     "hold at most so much memory, as far as it goes: 200MiB, off, cgroup (default off)", NULL},
    {"migrate", OPTION_FLAG, &options.migrate,
     "a test: coroutines change threads at every switch (default off)", NULL},
    {"quarantine", OPTION_FLAG, &options.quarantine,
     "hardened: keep freed blocks back for a while (default on)", NULL},
    {"report", OPTION_PATH, options_report,
     "append reports of mistakes, leaks and audits to this file (default standard error)", NULL},
    {"report_json", OPTION_FLAG, &options.report_json,
     "write each report of a mistake as a line of JSON (default off)", NULL},
    {"sample", OPTION_COUNT, &options.sample,
     "guard one in so many blocks by pages that trap (default off; alone 100000)", NULL},
    {"scavenge", OPTION_FLAG, &options.scavenge,
     "give free memory back to the system unasked (default on)", NULL},
    {"schedtrace", OPTION_NUMBER, &options.schedtrace,
     "every so many milliseconds, a line about the scheduler of coroutines (default 0: none)",
     NULL},
    {"stack", OPTION_STACK, &options.stack,
     "a coroutine's stack: 16KiB to 1GiB, rounded up to a power of two (default 64KiB)", NULL},
    {"stats", OPTION_FLAG_OR_WORD, &options.stats,
     "print a summary of the heap at exit; stats=json: as a JSON object", stats_words},
    {"thp", OPTION_WORD, &options.thp,
     "huge pages under the heap: auto, always, never (default auto)", thp_words},
    {"zero_on_free", OPTION_FLAG, &options.zero_on_free,
     "hardened: zero freed blocks, and check that they stay so (default on)", NULL},
};
const size_t options_count = sizeof(options_table) / sizeof(*options_table);

/* --- The nearest name --- */

#define NAME_MAX_LENGTH 32

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned d = a < b ? a : b;
    return d < c ? d : c;
}

/* Levenshtein's distance, one row at a time, where two letters that changed places count as one. */
static unsigned distance(const char *a, size_t a_length, const char *b)
{
    unsigned rows[3][NAME_MAX_LENGTH + 1];
    size_t b_length = strlen(b);
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned *row = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            row[j] = least(row[j - 1] + 1, before[j] + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && two_before[j - 2] + 1 < row[j])
                row[j] = two_before[j - 2] + 1;
        }
    }
    return rows[a_length % 3][b_length];
}

static const char *nearest_name(const char *name, size_t length)
{
    const char *best = options_table[0].name;
    unsigned best_distance = ~0u;
    for (size_t i = 0; i < options_count; i++) {
        /* What begins like it is as near as can be. */
        bool begins = length && strncmp(options_table[i].name, name, length) == 0;
        unsigned d = begins ? 0 : distance(name, length, options_table[i].name);
        if (d < best_distance) {
            best_distance = d;
            best = options_table[i].name;
        }
    }
    return best;
}

/* --- Parsing --- */

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

/* A copy that %s can print; long ones are cut. What would break the line or steer a terminal shows
 * as a question mark. */
GA_COLD static const char *slice_text(struct slice slice, char *buffer, size_t size)
{
    size_t length = slice.length < size - 1 ? slice.length : size - 1;
    for (size_t i = 0; i < length; i++) {
        char c = slice.at[i];
        buffer[i] = (char)(is_control(c) ? '?' : c);
    }
    buffer[length] = '\0';
    return buffer;
}

static void set_option(struct slice name, struct slice value)
{
    char text[NAME_MAX_LENGTH + 1], allowed[128];
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (!slice_is(name, option->name))
            continue;
        if (!option_set(option, value))
            report_line("option %s can't be \"%s\": it is %s", option->name,
                        slice_text(value, text, sizeof(text)),
                        option_allows(option, allowed, sizeof(allowed)));
        return;
    }
    slice_text(name, text, sizeof(text));
    report_line("unknown option \"%s\"; did you mean \"%s\"? (GOALLOC=help lists all)", text,
                nearest_name(text, strlen(text)));
}

static void parse_item(struct slice item)
{
    const char *equals = memchr(item.at, '=', item.length);
    struct slice name = item, value = {NULL, 0};
    if (equals) {
        name.length = (size_t)(equals - item.at);
        value.at = equals + 1;
        value.length = item.length - name.length - 1;
    }
    set_option(name, value);
}

void options_parse(const char *list)
{
    while (*list) {
        struct slice item = {list, strcspn(list, ",")};
        list += item.length + (list[item.length] == ',');
        if (item.length)
            parse_item(item);
    }
}

void options_parse_memory_limit(const char *limit)
{
    struct slice value = {limit, strlen(limit)};
    char text[NAME_MAX_LENGTH + 1];
    if (value.length == 0) /* as Go takes it */
        return;
    if (slice_is(value, "off"))
        options.memory_limit = UINT64_MAX;
    else if (!parse_size(value, &options.memory_limit))
        report_line("GOMEMLIMIT can't be \"%s\": it is a number of B, KiB, MiB, GiB or TiB, or off",
                    slice_text(value, text, sizeof(text)));
}

void options_print_help(void)
{
    report_line("options, comma-separated in the environment variable GOALLOC:");
    for (size_t i = 0; i < options_count; i++)
        report_line("  %-12s %s", options_table[i].name, options_table[i].help);
}
