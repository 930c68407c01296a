// SPDX-License-Identifier: MIT
/*
 * godebug.c: the environment variable GODEBUG, by Go's rules.
 *
 * Place: src/libc's constructor has it parsed; who prints a trace reads the value. Calls nothing.
 *
 * Invariants: parsing never allocates, never fails and never prints: the variable is Go's, and a
 * Go program may be what it was set for. Locking: none; written before main, read afterwards.
 */
#include <limits.h>
#include <string.h>

#include "options.h"

struct godebug godebug;

/* The variable of that name, or NULL. */
static int *find(const char *name, size_t length)
{
    if (length == strlen("scavtrace") && memcmp(name, "scavtrace", length) == 0)
        return &godebug.scavtrace;
    if (length == strlen("schedtrace") && memcmp(name, "schedtrace", length) == 0)
        return &godebug.schedtrace;
    if (length == strlen("gctrace") && memcmp(name, "gctrace", length) == 0)
        return &godebug.gctrace;
    return NULL;
}

/* A decimal number that fits an int, a sign before it or none; false: it isn't one. */
static bool read_number(const char *at, size_t length, int *number)
{
    bool negative = length && *at == '-';
    bool sign = negative || (length && *at == '+');
    long value = 0;
    if (length == sign)
        return false;
    for (size_t i = sign; i < length; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        value = value * 10 + (at[i] - '0');
        if (value > INT_MAX)
            return false;
    }
    *number = (int)(negative ? -value : value);
    return true;
}

void godebug_parse(const char *list)
{
    while (*list) {
        size_t length = strcspn(list, ",");
        const char *equals = memchr(list, '=', length);
        int *variable = equals ? find(list, (size_t)(equals - list)) : NULL;
        int number;
        if (variable && read_number(equals + 1, (size_t)(list + length - equals - 1), &number))
            *variable = number;
        list += length + (list[length] == ',');
    }
}
