// SPDX-License-Identifier: MIT
/*
 * report.c: formatting and the fatal line.
 *
 * Place: called by every folder for messages. Calls os_write and abort.
 *
 * Invariants: no allocation, no lock, no errno; a line goes out in one write.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "os.h"
#include "report.h"

void text_init(struct text *text, char *buffer, size_t size)
{
    text->at = buffer;
    text->end = buffer + size - 1;
    *buffer = '\0';
}

static void add_char(struct text *text, char c)
{
    if (text->at < text->end) {
        *text->at++ = c;
        *text->at = '\0';
    }
}

struct field {
    size_t width;
    bool left;
};

static void add_field(struct text *text, const char *what, size_t length, struct field field)
{
    size_t pad = field.width > length ? field.width - length : 0;
    for (size_t i = 0; !field.left && i < pad; i++)
        add_char(text, ' ');
    for (size_t i = 0; i < length; i++)
        add_char(text, what[i]);
    for (size_t i = 0; field.left && i < pad; i++)
        add_char(text, ' ');
}

static void add_number(struct text *text, uint64_t value, unsigned base, const char *prefix,
                       struct field field)
{
    char digits[72];
    size_t i = sizeof(digits);
    do {
        digits[--i] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    for (size_t n = strlen(prefix); n > 0; n--)
        digits[--i] = prefix[n - 1];
    add_field(text, digits + i, sizeof(digits) - i, field);
}

static void add_signed(struct text *text, int value, struct field field)
{
    uint64_t magnitude = value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value;
    add_number(text, magnitude, 10, value < 0 ? "-" : "", field);
}

static const char *parse_field(const char *f, struct field *field)
{
    field->left = *f == '-';
    field->width = 0;
    for (f += field->left; *f >= '0' && *f <= '9'; f++)
        field->width = field->width * 10 + (size_t)(*f - '0');
    return f;
}

void text_add_list(struct text *text, const char *f, va_list args)
{
    for (; *f; f++) {
        if (*f != '%') {
            add_char(text, *f);
            continue;
        }
        struct field field;
        f = parse_field(f + 1, &field);
        bool wide = *f == 'z';
        f += wide;
        if (!*f)
            return; /* a lone % at the end */
        if (*f == 's') {
            const char *s = va_arg(args, const char *);
            add_field(text, s, strlen(s), field);
        } else if (*f == 'd') {
            add_signed(text, va_arg(args, int), field);
        } else if (*f == 'u' || *f == 'x') {
            uint64_t value = wide ? va_arg(args, size_t) : va_arg(args, unsigned);
            add_number(text, value, *f == 'u' ? 10 : 16, "", field);
        } else if (*f == 'p') {
            add_number(text, (uintptr_t)va_arg(args, void *), 16, "0x", field);
        } else if (*f == 'c') {
            add_char(text, (char)va_arg(args, int));
        } else {
            add_char(text, '%');
        }
    }
}

void text_add(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_add_list(text, format, args);
    va_end(args);
}

static const char *report_path; /* constant after the library's constructor */

void report_set_path(const char *path)
{
    report_path = path;
}

void report_write(const char *text, size_t length)
{
    int fd = report_path ? os_open_append(report_path) : 2;
    os_write(fd < 0 ? 2 : fd, text, length);
    if (report_path && fd >= 0)
        os_close(fd);
}

static void report_list(void (*write)(const char *text, size_t length), const char *format,
                        va_list args)
{
    char buffer[512];
    struct text text;
    text_init(&text, buffer, sizeof(buffer) - 1);
    text_add(&text, "goalloc: ");
    text_add_list(&text, format, args);
    *text.at++ = '\n';
    write(buffer, (size_t)(text.at - buffer));
}

static void write_error(const char *text, size_t length)
{
    os_write(2, text, length);
}

void report_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_list(write_error, format, args);
    va_end(args);
}

void report_finding(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_list(report_write, format, args);
    va_end(args);
}

/*
 * glibc's abort raises SIGABRT with its handler in place also when that handler led here: without
 * end, for one that makes the same mistake again.
 */
void report_abort(void)
{
    static _Atomic(int *) ending; /* the thread, by the address of its errno */
    if (atomic_exchange_explicit(&ending, &errno, memory_order_relaxed) == &errno)
        (void)signal(SIGABRT, SIG_DFL);
    abort();
}

void report_fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report_list(write_error, format, args);
    va_end(args);
    report_abort();
}
