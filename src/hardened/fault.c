// SPDX-License-Identifier: MIT
/*
 * fault.c: a report from the page that trapped.
 *
 * Place: the handler of SIGSEGV and SIGBUS that os_handle_faults installs, in modes that have pages
 * which trap. A fault elsewhere isn't ours: the program's own handler gets it.
 *
 * Invariants: nothing here allocates; what is looked up is constant or copied. A program that
 * installs a handler of its own later gets its faults without a report.
 * Locking: none. Signals: this is one.
 */
#include "../os/os.h"
#include "../os/report.h"
#include "internal.h"

/* A pad of a block above 32 KB, or such a block after it was freed. */
static bool describe_slab(uintptr_t address, struct fault *out)
{
    const struct span *span = mheap_find_span((const void *)address);
    const struct slab *slab = span && span->state == SPAN_HARDENED ? span->owner : NULL;
    if (!slab || slab->slots != 1)
        return false;
    bool live = note_load(slab->own_note) & NOTE_IN_USE;
    out->misuse.block = (void *)slab->base;
    out->misuse.size = slab->size;
    out->misuse.class = slab->class;
    out->misuse.class_size = size_classes[slab->class].size;
    out->misuse.what = !live                  ? "after free"
                       : address < slab->base ? "before the start of a block"
                                              : "past the end of a block";
    return true;
}

static bool on_fault(uintptr_t address, const char *access)
{
    struct fault fault = {.misuse = {.address = (void *)address}};
    char what[64];
    struct text text;
    if (!sample_describe(address, &fault) && !describe_slab(address, &fault))
        return false;
    text_init(&text, what, sizeof(what));
    text_add(&text, "%s %s", access, fault.misuse.what);
    fault.misuse.what = what;
    misuse_print(&fault.misuse);
    return true;
}

void fault_start(void)
{
    if (!os_handle_faults(on_fault))
        report_line("no handler of SIGSEGV: pages that trap will not be explained");
}
