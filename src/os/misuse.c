// SPDX-License-Identifier: MIT
/*
 * misuse.c: one report in its two forms.
 *
 * Place: whoever finds a bad pointer or a broken block fills a struct misuse in. Calls report.c and
 * places.c.
 *
 * Invariants: nothing is allocated; the first line is one write, and so is a report in JSON.
 * Locking: the big buffer serves one thread at a time; one that finds it taken, or comes from a
 * handler of SIGABRT during a report, does without it and prints the first line alone.
 * Signals: safe, also on a small alternate stack.
 */
#include <string.h>

#include "misuse.h"
#include "os.h"
#include "report.h"

/* Constant after the library's constructor. */
static misuse_unwinder *unwinder;
static struct {
    const char *hint;
    bool json;
} output = {.hint = MISUSE_HINT};

static struct {
    atomic_bool taken; /* acquire to take, release to give up */
    char bytes[16384];
} big;

void misuse_set_output(bool json, const char *hint)
{
    output.json = json;
    output.hint = hint;
}

void misuse_set_unwinder(misuse_unwinder *unwind)
{
    unwinder = unwind;
}

void misuse_trace_now(struct misuse_trace *out, unsigned thread)
{
    out->thread = thread;
    out->depth = unwinder ? unwinder(out->frames, MISUSE_FRAMES) : 0;
}

/* --- As text --- */

static void add_where(struct text *text, const struct misuse *misuse)
{
    uintptr_t at = (uintptr_t)misuse->address, block = (uintptr_t)misuse->block;
    if (misuse->where)
        text_add(text, " %s", misuse->where);
    if (!block || (at == block && misuse->where))
        return;
    if (at < block)
        text_add(text, " is %zu bytes before the block at %p", (size_t)(block - at), (void *)block);
    else if (at > block && at - block < misuse->size)
        text_add(text, " is %zu bytes into the block at %p", (size_t)(at - block), (void *)block);
    else if (at > block)
        text_add(text, " is %zu bytes past the end of the block at %p",
                 (size_t)(at - block - misuse->size), (void *)block);
}

/* In the form "(size class 7 of 112 bytes, thread 4711)". */
static void add_block(struct text *text, const struct misuse *misuse)
{
    text_add(text, " (");
    if (misuse->class)
        text_add(text, "size class %u of %zu bytes, ", misuse->class, misuse->class_size);
    if (misuse->size && misuse->size != misuse->class_size)
        text_add(text, "block of %zu bytes, ", misuse->size);
    text_add(text, "thread %u", os_thread_id());
    const char *hint = misuse->hint ? misuse->hint : output.hint;
    if (hint)
        text_add(text, "; %s", hint);
    text_add(text, ")\n");
}

static void add_first_line(struct text *text, const struct misuse *misuse)
{
    text_add(text, "goalloc: %s: %p", misuse->what, (void *)(uintptr_t)misuse->address);
    add_where(text, misuse);
    add_block(text, misuse);
}

static void add_trace(struct text *text, const char *what, const struct misuse_trace *trace)
{
    if (!trace || !trace->thread)
        return;
    text_add(text, "goalloc:   %s thread %u%s\n", what, trace->thread, trace->depth ? ":" : "");
    for (unsigned i = 0; i < trace->depth; i++) {
        text_add(text, "goalloc:     %p ", (void *)trace->frames[i]);
        misuse_add_place(text, trace->frames[i]);
        text_add(text, "\n");
    }
}

static void add_text(struct text *text, const struct misuse *misuse)
{
    add_first_line(text, misuse);
    add_trace(text, "found in", misuse->now);
    add_trace(text, "allocated by", misuse->allocated);
    add_trace(text, "freed by", misuse->freed);
}

/* --- As JSON: one line, one object --- */

static void add_json_string(struct text *text, const char *string)
{
    text_add(text, "\"");
    for (; *string; string++) {
        unsigned char c = (unsigned char)*string;
        if (c == '"' || c == '\\')
            text_add(text, "\\%c", c);
        else
            text_add(text, "%c", c < ' ' ? '?' : c);
    }
    text_add(text, "\"");
}

static void add_json_frame(struct text *text, uintptr_t frame)
{
    char buffer[384];
    struct text place;
    text_init(&place, buffer, sizeof(buffer));
    misuse_add_place(&place, frame);
    text_add(text, "{\"pc\":\"%p\",\"place\":", (void *)frame);
    add_json_string(text, buffer);
    text_add(text, "}");
}

static void add_json_trace(struct text *text, const char *name, const struct misuse_trace *trace)
{
    if (!trace || !trace->thread)
        return;
    text_add(text, ",\"%s\":{\"thread\":%u,\"stack\":[", name, trace->thread);
    for (unsigned i = 0; i < trace->depth; i++) {
        text_add(text, i ? "," : "");
        add_json_frame(text, trace->frames[i]);
    }
    text_add(text, "]}");
}

static void add_json_block(struct text *text, const struct misuse *misuse)
{
    if (misuse->block) {
        uintptr_t at = (uintptr_t)misuse->address, block = (uintptr_t)misuse->block;
        text_add(text, ",\"block\":\"%p\",\"offset\":%s%zu", (void *)block, at < block ? "-" : "",
                 (size_t)(at < block ? block - at : at - block));
    }
    if (misuse->size)
        text_add(text, ",\"size\":%zu", misuse->size);
    if (misuse->class)
        text_add(text, ",\"class\":%u,\"class_size\":%zu", misuse->class, misuse->class_size);
}

static void add_json(struct text *text, const struct misuse *misuse)
{
    text_add(text, "{\"goalloc\":");
    add_json_string(text, misuse->what);
    text_add(text, ",\"address\":\"%p\"", (void *)(uintptr_t)misuse->address);
    add_json_block(text, misuse);
    text_add(text, ",\"thread\":%u", os_thread_id());
    add_json_trace(text, "found", misuse->now);
    add_json_trace(text, "allocated", misuse->allocated);
    add_json_trace(text, "freed", misuse->freed);
    text_add(text, "}\n");
}

/* --- Either --- */

GA_NOINLINE static void print_first_line(const struct misuse *misuse)
{
    char buffer[512];
    struct text text;
    struct misuse bare = *misuse;
    bare.now = bare.allocated = bare.freed = NULL;
    text_init(&text, buffer, sizeof(buffer));
    if (output.json)
        add_json(&text, &bare);
    else
        add_first_line(&text, &bare);
    report_write(buffer, (size_t)(text.at - buffer));
}

/* A report of text goes out line by line, as a reader of a log expects it. */
static void write_lines(const char *bytes)
{
    for (const char *end; *bytes; bytes = end) {
        end = strchr(bytes, '\n');
        end = end ? end + 1 : bytes + strlen(bytes);
        report_write(bytes, (size_t)(end - bytes));
    }
}

void misuse_print(const struct misuse *misuse)
{
    struct text text;
    if (atomic_exchange_explicit(&big.taken, true, memory_order_acquire)) {
        print_first_line(misuse);
        return;
    }
    struct misuse whole = *misuse;
    struct misuse_trace now;
    if (unwinder && !whole.now) {
        misuse_trace_now(&now, os_thread_id());
        whole.now = &now;
    }
    text_init(&text, big.bytes, sizeof(big.bytes));
    if (output.json)
        add_json(&text, &whole);
    else
        add_text(&text, &whole);
    write_lines(big.bytes);
    atomic_store_explicit(&big.taken, false, memory_order_release);
}

void misuse_report(const struct misuse *misuse)
{
    misuse_print(misuse);
    report_abort();
}

void misuse_call(const char *function, const char *kind, const struct misuse *about)
{
    char what[96];
    struct text text;
    struct misuse misuse = *about;
    text_init(&text, what, sizeof(what));
    text_add(&text, "%s of %s", function, kind);
    misuse.what = what;
    misuse_report(&misuse);
}
