// SPDX-License-Identifier: MIT
/*
 * values.c: the values that options can have, by their types.
 *
 * Place: options.c comes here with what follows a name. Calls src/os for the limit of a cgroup.
 *
 * Invariants: a value is either taken as a whole or not at all.
 * Locking: none; before main. Fork and signals: not concerned.
 */
#include "../os/os.h"
#include "../os/report.h"
#include "internal.h"

static bool set_flag(bool *flag, struct slice value)
{
    bool on = value.at == NULL || slice_is(value, "on") || slice_is(value, "1") ||
              slice_is(value, "true") || slice_is(value, "yes");
    bool off = value.at && (slice_is(value, "off") || slice_is(value, "0") ||
                            slice_is(value, "false") || slice_is(value, "no"));
    if (!on && !off)
        return false;
    *flag = on;
    return true;
}

/* The first two places are off and on. */
static bool set_flag_or_word(unsigned *place, const char *const *words, struct slice value)
{
    bool on;
    if (set_flag(&on, value)) {
        *place = on;
        return true;
    }
    for (unsigned i = 0; words[i]; i++) {
        if (slice_is(value, words[i])) {
            *place = 2 + i;
            return true;
        }
    }
    return false;
}

static bool set_word(unsigned *place, const char *const *words, struct slice value)
{
    for (unsigned i = 0; value.at && words[i]; i++)
        if (slice_is(value, words[i])) {
            *place = i;
            return true;
        }
    return false;
}

/* --- Sizes --- */

static unsigned unit_shift(struct slice unit)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    for (unsigned i = 0; i < 5; i++)
        if (slice_is(unit, units[i]))
            return i * 10;
    return unit.length == 0 ? 0 : 64;
}

bool parse_size(struct slice text, uint64_t *out)
{
    uint64_t number = 0;
    size_t digits = 0;
    for (; digits < text.length && text.at[digits] >= '0' && text.at[digits] <= '9'; digits++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.at[digits] - '0'), &number))
            return false;
    unsigned shift = unit_shift((struct slice){text.at + digits, text.length - digits});
    if (digits == 0 || shift == 64 || number << shift >> shift != number)
        return false;
    *out = number << shift;
    return true;
}

/* A cgroup counts the whole process, with its code, stacks and files' pages: the heap gets nine
 * tenths of it. */
static uint64_t part_of_cgroup(void)
{
    uint64_t limit = os_cgroup_memory_limit("/proc/self/cgroup", "/sys/fs/cgroup");
    return limit == UINT64_MAX ? limit : limit - limit / 10;
}

static bool set_limit(uint64_t *limit, struct slice value)
{
    if (!value.at)
        return false;
    if (slice_is(value, "off"))
        *limit = UINT64_MAX;
    else if (slice_is(value, "cgroup"))
        *limit = part_of_cgroup();
    else
        return parse_size(value, limit);
    return true;
}

/* --- Numbers, paths --- */

static bool set_stack(uint64_t *size, struct slice value)
{
    uint64_t given;
    if (!value.at || !parse_size(value, &given) || given < STACK_MIN || given > STACK_MAX)
        return false;
    *size = given;
    return true;
}

static bool set_number(size_t *number, struct slice value)
{
    uint64_t given = SAMPLE_PLAIN;
    if (value.at && (slice_is(value, "off") || slice_is(value, "no") || slice_is(value, "false")))
        given = 0;
    else if (value.at &&
             (!value.length || value.at[value.length - 1] > '9' || !parse_size(value, &given)))
        return false;
    *number = (size_t)given;
    return true;
}

static bool set_path(char *path, struct slice value)
{
    if (!value.length || value.length >= OPTION_PATH_MAX)
        return false;
    memcpy(path, value.at, value.length);
    path[value.length] = '\0';
    return true;
}

bool option_set(const struct option *option, struct slice value)
{
    switch (option->type) {
    case OPTION_FLAG:
        return set_flag(option->value, value);
    case OPTION_FLAG_OR_WORD:
        return set_flag_or_word(option->value, option->words, value);
    case OPTION_WORD:
        return set_word(option->value, option->words, value);
    case OPTION_NUMBER:
        return value.at && parse_size(value, option->value);
    case OPTION_STACK:
        return set_stack(option->value, value);
    case OPTION_LIMIT:
        return set_limit(option->value, value);
    case OPTION_COUNT:
        return set_number(option->value, value);
    case OPTION_PATH:
        return set_path(option->value, value);
    }
    return false;
}

const char *option_allows(const struct option *option, char *buffer, size_t size)
{
    struct text text;
    if (option->type == OPTION_FLAG)
        return "on or off";
    if (option->type == OPTION_NUMBER)
        return "a number, such as 1000 or 64KiB";
    if (option->type == OPTION_STACK)
        return "a size from 16KiB to 1GiB";
    if (option->type == OPTION_COUNT)
        return "a number or off";
    if (option->type == OPTION_PATH)
        return "the path of a file";
    if (option->type == OPTION_LIMIT)
        return "a number of B, KiB, MiB, GiB or TiB, or off, or cgroup";
    text_init(&text, buffer, size);
    bool flag = option->type == OPTION_FLAG_OR_WORD;
    if (flag)
        text_add(&text, "on, off");
    for (unsigned i = 0; option->words[i]; i++)
        text_add(&text, "%s%s",
                 i == 0 && !flag        ? ""
                 : option->words[i + 1] ? ", "
                                        : " or ",
                 option->words[i]);
    return buffer;
}
