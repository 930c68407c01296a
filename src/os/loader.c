// SPDX-License-Identifier: MIT
/*
 * loader.c: whose code is calling, the dynamic loader's or somebody else's.
 *
 * The loader frees the memory of a thread that has ended while libc holds the lock of its thread
 * stacks (pthread_join and a detached thread's end come to it, once 40 MB of stacks lie idle). The
 * next to create or join a thread waits for that lock: so nobody who was called from there may.
 * And it allocates while its list of thread-local storage is half changed, which a thread that is
 * created just then would be given ("Inconsistency detected by ld.so", and the end).
 *
 * Place: called by src/libc's slow paths; asked by who would start a thread, or wait for one.
 *
 * Invariants: in a static program the loader can't be told apart: there none is it, and each may
 * be. Locking: none. What is found is the same for all who find it out. Fork and signals: safe in
 * both.
 */
#include <elf.h>
#include <link.h>

#include "os.h"

__thread void *os_loader_waits __attribute__((tls_model("initial-exec"), used));

/* The loader's code; 0: not looked for yet; both NOWHERE in a static program. Who reads the one
 * without the other takes its caller for the loader, once. */
static uintptr_t first, behind;
#define NOWHERE 1

static uintptr_t end_of(uintptr_t base)
{
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)base;
    const ElfW(Phdr) *part = (const ElfW(Phdr) *)(base + header->e_phoff);
    uintptr_t end = 0;
    for (unsigned i = 0; i < header->e_phnum; i++)
        if (part[i].p_type == PT_LOAD && part[i].p_vaddr + part[i].p_memsz > end)
            end = part[i].p_vaddr + part[i].p_memsz;
    return base + end;
}

GA_COLD static void find(void)
{
    uintptr_t base = (uintptr_t)_r_debug.r_ldbase;
    GA_STORE_ANY(behind, base ? end_of(base) : NOWHERE);
    GA_STORE_ANY(first, base ? base : NOWHERE);
}

bool os_is_loader(const void *code)
{
    if (GA_UNLIKELY(!GA_LOAD_ANY(first)))
        find();
    return (uintptr_t)code - GA_LOAD_ANY(first) < GA_LOAD_ANY(behind) - GA_LOAD_ANY(first);
}

bool os_may_be_loader(const void *code)
{
    return os_is_loader(code) || GA_LOAD_ANY(behind) == NOWHERE;
}
