// SPDX-License-Identifier: MIT
/*
 * report.h: text without libc's stdio, and the end of a process whose heap can't be trusted.
 *
 * Nothing here allocates or takes a lock, so it may be called anywhere.
 */
#ifndef GOALLOC_REPORT_H
#define GOALLOC_REPORT_H

#include <stdarg.h>

#include "../goalloc.h"

/*
 * A bounded text. Formats: %s, %d (int), %u (unsigned), %zu (size_t), %zx (size_t), %p, %c, %%, and
 * a field width for numbers and strings (%8zu, %-20s). What doesn't fit is cut.
 */
struct text {
    char *at;
    char *end; /* one before the last byte, which holds the terminating zero */
};

void text_init(struct text *text, char *buffer, size_t size);
void text_add(struct text *text, const char *format, ...) GA_PRINTF(2, 3);
void text_add_list(struct text *text, const char *format, va_list args);

/* One line on stderr, "goalloc: " before it. */
void report_line(const char *format, ...) GA_PRINTF(1, 2);
/* Where goes what is found in the program: a file, appended to, or NULL: standard error. Once, at
 * start. */
void report_set_path(const char *path);
void report_write(const char *text, size_t length);
/* One line there. */
void report_finding(const char *format, ...) GA_PRINTF(1, 2);
/* A line, then the end. */
GA_NORETURN GA_COLD void report_fatal(const char *format, ...) GA_PRINTF(1, 2);

/* abort, also from within its own handler. */
GA_NORETURN GA_COLD void report_abort(void);

#endif
