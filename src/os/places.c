// SPDX-License-Identifier: MIT
/*
 * places.c: which file an address of code lies in.
 *
 * Place: misuse.c, for the frames of a report. Reads /proc/self/maps with a small buffer: dladdr
 * would take the dynamic linker's lock, which whoever made the mistake may hold.
 *
 * Invariants: nothing is allocated. Locking: none. Signals: safe.
 */
#include <string.h>

#include "misuse.h"
#include "os.h"
#include "report.h"

/* Lines of /proc/self/maps, one after the other. */
struct lines {
    int fd;
    size_t at, length; /* what is unread in `buffer` */
    char buffer[512];
    char line[320]; /* longer ones are cut */
};

static int next_char(struct lines *lines)
{
    if (lines->at == lines->length) {
        long got = os_read(lines->fd, lines->buffer, sizeof(lines->buffer));
        if (got <= 0)
            return -1;
        lines->at = 0;
        lines->length = (size_t)got;
    }
    return (unsigned char)lines->buffer[lines->at++];
}

static bool next_line(struct lines *lines)
{
    size_t length = 0;
    int c = next_char(lines);
    if (c < 0)
        return false;
    for (; c >= 0 && c != '\n'; c = next_char(lines))
        if (length < sizeof(lines->line) - 1)
            lines->line[length++] = (char)c;
    lines->line[length] = '\0';
    return true;
}

static const char *parse_hex(const char *at, uintptr_t *out)
{
    uintptr_t value = 0;
    for (;; at++) {
        unsigned c = (unsigned char)*at;
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (c - 'a' + 10);
        else
            break;
    }
    *out = value;
    return at;
}

/* "start-end flags offset device inode   path": what a line says, and its path, or NULL. */
static const char *parse_line(const char *line, uintptr_t *start, uintptr_t *end, uintptr_t *offset)
{
    line = parse_hex(line, start);
    line = parse_hex(line + (*line == '-'), end);
    const char *flags_end = *line ? strchr(line + 1, ' ') : NULL;
    if (!flags_end)
        return NULL;
    parse_hex(flags_end + 1, offset);
    return strchr(flags_end, '/');
}

/* The offset in the file is where tools look up a position-independent file's addresses, but for
 * what the linker left between segments: some bytes less than a page each. */
void misuse_add_place(struct text *text, uintptr_t address)
{
    struct lines lines = {.fd = os_open_read("/proc/self/maps")};
    if (lines.fd < 0)
        return;
    while (next_line(&lines)) {
        uintptr_t start, end, offset = 0;
        const char *path = parse_line(lines.line, &start, &end, &offset);
        if (address < start || address >= end)
            continue;
        if (path)
            text_add(text, "%s+0x%zx", path, (size_t)(address - start + offset));
        break;
    }
    os_close(lines.fd);
}
