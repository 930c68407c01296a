// SPDX-License-Identifier: MIT
/*
 * options.h: what GOALLOC=... can say.
 *
 * One table (options_table) makes the parser, GOALLOC=help, the page docs/options.md is checked
 * against, and the values below. A name alone switches a flag on; NAME=VALUE says it outright.
 */
#ifndef GOALLOC_OPTIONS_H
#define GOALLOC_OPTIONS_H

#include "../goalloc.h"

/* Constant after the library's constructor. */
struct options {
    bool stats;      /* print a summary at exit */
    bool help;       /* print the options at start */
    bool scavenge;   /* give free memory back unasked */
    bool background; /* give memory back by a thread, also while the program is idle */
};
extern struct options options;

enum option_type {
    OPTION_FLAG, /* on, off; nothing means on */
};

struct option {
    const char *name;
    enum option_type type;
    void *value;
    const char *help;
};
extern const struct option options_table[];
extern const size_t options_count;

/* Reads a comma-separated list. An item it doesn't know gets one line on stderr, with the nearest
 * name, and is passed over. */
void options_parse(const char *list);
/* The table, on stderr. */
void options_print_help(void);

#endif
