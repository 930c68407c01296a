// SPDX-License-Identifier: MIT
/*
 * options.h: what GOALLOC=... can say.
 *
 * One table (options_table) makes the parser, GOALLOC=help, the page docs/options.md is checked
 * against, and the values below. A name alone switches an option on; NAME=VALUE says it outright.
 *
 * What Go has a name for, in the environment variable GODEBUG, is read by Go's rules (godebug.c).
 */
#ifndef GOALLOC_OPTIONS_H
#define GOALLOC_OPTIONS_H

#include "../goalloc.h"

/* What the collector does. In the order of the option's words. */
enum gc_mode {
    GC_OFF,
    GC_AUDIT,   /* mark, free nothing, and say what would have been freed wrongly */
    GC_LEAKS,   /* say at the end what is out of reach */
    GC_COLLECT, /* free what is out of reach */
};

/* How it marks beside the program. In the order of the option's words. */
enum gc_track {
    GC_TRACK_OFF,     /* in a snapshot; where there's none, while the world is stopped */
    GC_TRACK_ON,      /* by tracking writes; where that isn't to be had, as with off */
    GC_TRACK_STOP,    /* not: while the world is stopped */
    GC_TRACK_BARRIER, /* by what the program says it writes */
};

/* Huge pages of the kernel's, under the heap. In the order of the option's words. */
enum option_thp {
    THP_AUTO,   /* as the system has it */
    THP_ALWAYS, /* wherever they fit */
    THP_NEVER,
};

/* Constant after the library's constructor. */
struct options {
    unsigned stats;        /* enum stats_mode: what is printed at exit */
    bool count;            /* count every block, at the price of the caches */
    bool help;             /* print the options at start */
    bool scavenge;         /* give free memory back unasked */
    bool background;       /* give memory back by a thread, also while the program is idle */
    unsigned thp;          /* enum option_thp */
    bool migrate;          /* every switch of coroutines changes the thread, for tests */
    uint64_t stack;        /* bytes of a coroutine's stack, unless it asks for another */
    uint64_t schedtrace;   /* milliseconds between lines about the scheduler; 0: none */
    uint64_t memory_limit; /* bytes that the library should hold at most; UINT64_MAX: no limit */
    unsigned gc;           /* enum gc_mode */
    unsigned gc_track;     /* enum gc_track */
    bool hardened;         /* src/hardened serves every malloc; what it does then: */
    bool canaries, guard_pages, quarantine, zero_on_free;
    bool report_json; /* reports of mistakes as JSON */
    size_t sample;    /* one in so many blocks is guarded; 0: none; or SAMPLE_UNSAID */
};
#define SAMPLE_UNSAID SIZE_MAX
#define SAMPLE_PLAIN  ((size_t)100000) /* what the name alone means */
extern struct options options;

/* Of a coroutine's stack, in bytes. */
#define STACK_MIN ((size_t)16 << 10)
#define STACK_MAX ((size_t)1 << 30)

#define OPTION_PATH_MAX 4096
extern char options_report[OPTION_PATH_MAX]; /* the file that reports go to; "": standard error */

enum stats_mode {
    STATS_OFF,
    STATS_SUMMARY, /* for people */
    STATS_JSON,    /* for programs */
};

enum option_type {
    OPTION_FLAG,         /* on, off; nothing means on; a bool */
    OPTION_FLAG_OR_WORD, /* the same, or a word; an unsigned: 0 off, 1 on, from 2 on the words */
    OPTION_WORD,         /* one of some words; an unsigned, the word's place among them */
    OPTION_NUMBER,       /* a number, or a size; a uint64_t */
    OPTION_STACK,        /* a size from STACK_MIN to STACK_MAX; a uint64_t */
    OPTION_LIMIT,        /* a size, off, or cgroup; a uint64_t */
    OPTION_COUNT,        /* digits, off for 0; nothing means SAMPLE_PLAIN; a size_t */
    OPTION_PATH,         /* a char[OPTION_PATH_MAX] */
};

struct option {
    const char *name;
    enum option_type type;
    void *value;
    const char *help;
    const char *const *words; /* of the types with words; NULL ends them */
};
extern const struct option options_table[];
extern const size_t options_count;

/* Reads a comma-separated list. An item it doesn't know gets one line on stderr, with the nearest
 * name, and is passed over. */
void options_parse(const char *list);
/* Reads what the environment's GOMEMLIMIT says: as memlimit=, but for "cgroup". */
void options_parse_memory_limit(const char *text);
/* The table, on stderr. */
void options_print_help(void);

/* Go's debugging variables that have a meaning here; 0: off. Constant after the constructor. */
struct godebug {
    int scavtrace;  /* print a line on what the scavenger gave back */
    int schedtrace; /* milliseconds between lines about the scheduler of coroutines */
    int gctrace;    /* print a line on each of the collector's cycles */
};
extern struct godebug godebug;

/* Reads GODEBUG's comma-separated list of NAME=NUMBER, as Go does: of two items of one name the
 * later counts; an unknown name, or what isn't a number, is passed over in silence. */
void godebug_parse(const char *list);

#endif
