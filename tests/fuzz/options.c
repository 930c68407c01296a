// SPDX-License-Identifier: MIT
/*
 * options.c: bytes become a list of options. A byte of 128 or more stands for a name out of the
 * table, so the fuzzer needs no dictionary and knows each new option.
 *
 * Checked, whatever the table holds:
 *   - an item says nothing or one line, ended by its only newline; what says something changes
 *     nothing, and a name that isn't in the table always does;
 *   - a list means what its items mean one after the other.
 */
#include <string.h>

#include "model.h"
#include "options/options.h"
#include "target.h"

static unsigned lines;

void fuzz_output(const char *text, size_t length)
{
    static const char start[] = "goalloc: ";
    CHECK(length > sizeof(start) && memcmp(text, start, sizeof(start) - 1) == 0);
    CHECK(memchr(text, '\n', length) == text + length - 1);
    lines++;
}

/* --- The input --- */

#define LIST_MAX 4000

static size_t add(char *list, size_t at, const char *text, size_t length)
{
    length = length < LIST_MAX - at ? length : LIST_MAX - at;
    memcpy(list + at, text, length);
    return at + length;
}

static void decode(const uint8_t *data, size_t size, char *list)
{
    size_t at = 0;
    for (size_t i = 0; i < size && data[i]; i++) {
        const char *name = options_table[data[i] % options_count].name;
        if (data[i] >= 128)
            at = add(list, at, name, strlen(name));
        else
            at = add(list, at, (const char *)&data[i], 1);
    }
    list[at] = '\0';
}

/* --- Items --- */

static bool is_known(const char *item)
{
    size_t length = strcspn(item, "=");
    for (size_t i = 0; i < options_count; i++)
        if (strlen(options_table[i].name) == length &&
            memcmp(options_table[i].name, item, length) == 0)
            return true;
    return false;
}

static void parse_item(const char *item)
{
    struct options before = options;
    lines = 0;
    options_parse(item);
    if (!*item)
        CHECK(lines == 0);
    else if (!is_known(item))
        CHECK(lines == 1);
    CHECK(lines <= 1);
    if (lines)
        CHECK(memcmp(&before, &options, sizeof(options)) == 0);
}

static void parse_items(const char *list)
{
    static char item[LIST_MAX + 1];
    while (*list) {
        size_t length = strcspn(list, ",");
        memcpy(item, list, length);
        item[length] = '\0';
        parse_item(item);
        list += length + (list[length] == ',');
    }
}

void fuzz_one(const uint8_t *data, size_t size)
{
    static char list[LIST_MAX + 1];
    struct options defaults = options, by_items;
    decode(data, size, list);
    parse_items(list);
    by_items = options;
    options = defaults;
    options_parse(list);
    if (memcmp(&by_items, &options, sizeof(options)) != 0)
        FAIL("\"%s\" means something else than its items do", list);
    options_print_help();
    options = defaults;
}
