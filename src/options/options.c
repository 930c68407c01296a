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
#include <string.h>

#include "../os/report.h"
#include "options.h"

struct options options = {.scavenge = true};

const struct option options_table[] = {
    {"background", OPTION_FLAG, &options.background,
     "give memory back by a thread, also while the program is idle (default off)"},
    {"help", OPTION_FLAG, &options.help, "print this list at start"},
    {"scavenge", OPTION_FLAG, &options.scavenge,
     "give free memory back to the system unasked (default on)"},
    {"stats", OPTION_FLAG, &options.stats, "print a summary of the heap at exit"},
};
const size_t options_count = sizeof(options_table) / sizeof(*options_table);

/* --- The nearest name --- */

#define NAME_MAX_LENGTH 32

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned d = a < b ? a : b;
    return d < c ? d : c;
}

/* Levenshtein's distance, one row at a time. */
static unsigned distance(const char *a, size_t a_length, const char *b)
{
    unsigned row[NAME_MAX_LENGTH + 1];
    size_t b_length = strlen(b);
    for (size_t j = 0; j <= b_length; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned above = row[j];
            row[j] = least(row[j - 1] + 1, above + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_length];
}

static const char *nearest_name(const char *name, size_t length)
{
    const char *best = options_table[0].name;
    unsigned best_distance = ~0u;
    for (size_t i = 0; i < options_count; i++) {
        unsigned d = distance(name, length, options_table[i].name);
        if (d < best_distance) {
            best_distance = d;
            best = options_table[i].name;
        }
    }
    return best;
}

/* --- Parsing --- */

struct slice {
    const char *at;
    size_t length;
};

static bool slice_is(struct slice slice, const char *word)
{
    return strlen(word) == slice.length && memcmp(slice.at, word, slice.length) == 0;
}

/* A copy that %s can print; long ones are cut. */
static const char *slice_text(struct slice slice, char *buffer, size_t size)
{
    size_t length = slice.length < size - 1 ? slice.length : size - 1;
    if (slice.at)
        memcpy(buffer, slice.at, length);
    buffer[length] = '\0';
    return buffer;
}

static bool set_flag(const struct option *option, struct slice value)
{
    bool on = value.at == NULL || slice_is(value, "on") || slice_is(value, "1") ||
              slice_is(value, "true") || slice_is(value, "yes");
    bool off = value.at && (slice_is(value, "off") || slice_is(value, "0") ||
                            slice_is(value, "false") || slice_is(value, "no"));
    if (!on && !off)
        return false;
    *(bool *)option->value = on;
    return true;
}

static void set_option(struct slice name, struct slice value)
{
    char text[NAME_MAX_LENGTH + 1];
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        if (!slice_is(name, option->name))
            continue;
        if (!set_flag(option, value))
            report_line("option %s can't be \"%s\": it is on or off", option->name,
                        slice_text(value, text, sizeof(text)));
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

void options_print_help(void)
{
    report_line("options, comma-separated in the environment variable GOALLOC:");
    for (size_t i = 0; i < options_count; i++)
        report_line("  %-12s %s", options_table[i].name, options_table[i].help);
}
