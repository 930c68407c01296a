// SPDX-License-Identifier: MIT
/*
 * cgroup.c: how much memory the process's control groups allow it.
 *
 * Place: src/options, for memlimit=cgroup, before main. Reads files; calls report.c to make paths.
 *
 * A group's limit holds for those below it, so the least of the process's group and all above it is
 * what counts. Version 2 has a file memory.max in each; version 1 memory.limit_in_bytes, in a
 * hierarchy of its own. In a container the path may lead nowhere, since it is the host's: then what
 * can be seen of the way up is looked at, and its top is the container's own group.
 *
 * Invariants: what can't be read limits nothing.
 * Locking: none. Fork and signals: not concerned.
 */
#include <string.h>

#include "os.h"
#include "report.h"

#define PATH_MAX_LENGTH 1024
/* Version 1 says "no limit" by the largest number of whole pages. */
#define NO_LIMIT (UINT64_C(1) << 62)

static uint64_t read_limit(const char *mount, const char *group, const char *file)
{
    char path[PATH_MAX_LENGTH], value[32];
    struct text text;
    uint64_t limit = 0;
    text_init(&text, path, sizeof(path));
    text_add(&text, "%s%s/%s", mount, group, file);
    if (!os_read_file(path, value, sizeof(value)) || value[0] < '0' || value[0] > '9')
        return UINT64_MAX; /* nothing there, or "max" */
    for (const char *at = value; *at >= '0' && *at <= '9'; at++)
        limit = limit * 10 + (uint64_t)(*at - '0');
    return limit < NO_LIMIT ? limit : UINT64_MAX;
}

/* Of the group and all above it. Cuts the name to nothing. */
static uint64_t least_limit(const char *mount, char *group, const char *file)
{
    uint64_t least = UINT64_MAX;
    for (char *cut = group + strlen(group); cut; cut = strrchr(group, '/')) {
        *cut = '\0';
        uint64_t limit = read_limit(mount, group, file);
        least = limit < least ? limit : least;
    }
    return least;
}

/* Whether a list such as "cpu,memory" has the word. */
static bool list_has(const char *list, const char *end, const char *word)
{
    size_t length = strlen(word);
    while (list < end) {
        const char *comma = memchr(list, ',', (size_t)(end - list));
        const char *stop = comma ? comma : end;
        if ((size_t)(stop - list) == length && memcmp(list, word, length) == 0)
            return true;
        list = stop + 1;
    }
    return false;
}

/* The name in the line NUMBER:LIST:NAME whose list has the controller, or, for "", is empty; with a
 * zero put behind it. NULL: there's none. */
static char *find_group(char *lines, const char *controller)
{
    for (char *line = lines, *next; line && *line; line = next) {
        char *end = strchr(line, '\n');
        next = end ? end + 1 : NULL;
        char *list = strchr(line, ':');
        char *name = list ? strchr(list + 1, ':') : NULL;
        if (!name || (end && name > end))
            continue;
        bool found = *controller ? list_has(list + 1, name, controller) : name == list + 1;
        if (!found)
            continue;
        if (end)
            *end = '\0';
        return name + 1;
    }
    return NULL;
}

uint64_t os_cgroup_memory_limit(const char *membership, const char *mount)
{
    char lines[4096], path[PATH_MAX_LENGTH];
    struct text text;
    if (!os_read_file(membership, lines, sizeof(lines)))
        return UINT64_MAX;
    char *group = find_group(lines, "memory");
    if (group) {
        text_init(&text, path, sizeof(path));
        text_add(&text, "%s/memory", mount);
        return least_limit(path, group, "memory.limit_in_bytes");
    }
    group = find_group(lines, "");
    return group ? least_limit(mount, group, "memory.max") : UINT64_MAX;
}
