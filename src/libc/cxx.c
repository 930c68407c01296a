// SPDX-License-Identifier: MIT
/*
 * cxx.c: operator new and delete, without linking libstdc++.
 *
 * Place: beside malloc.c. The names are the mangled ones; C knows them by a label.
 *
 * Out of memory, new calls the new-handler until it gives up, then throws bad_alloc; both are the
 * C++ library's (cxx.h).
 *
 * The nothrow forms must catch what the handler throws, which C can't. The shared library has its
 * own (cxx_shared.c). In the static library there are none: the C++ library's, which call our
 * throwing new inside a try, are linked.
 *
 * This file is compiled with -fexceptions: a bad_alloc, or what a handler throws, passes through.
 */
#include "cxx.h"

/* align 0: whatever malloc gives. */
GA_COLD static void *new_retry(size_t align, size_t size)
{
    for (;;) {
        new_handler_fn handler = cxx_new_handler();
        if (!handler)
            cxx_throw_bad_alloc(size);
        handler();
        void *p = align ? alloc_aligned(align, size) : malloc_inline(size);
        if (p)
            return p;
    }
}

GA_INLINE void *new_plain(size_t size)
{
    void *p = malloc_inline(size);
    return GA_LIKELY(p != NULL) ? p : new_retry(0, size);
}

GA_INLINE void *new_aligned(size_t size, size_t align)
{
    void *p = alloc_aligned(align, size);
    return GA_LIKELY(p != NULL) ? p : new_retry(align, size);
}

/* --- new --- */

void *cxx_new(size_t size) CXX("_Znwm");
void *cxx_new(size_t size)
{
    return new_plain(size);
}
void *cxx_new_array(size_t size) CXX("_Znam");
void *cxx_new_array(size_t size)
{
    return new_plain(size);
}
void *cxx_new_aligned(size_t size, size_t align) CXX("_ZnwmSt11align_val_t");
void *cxx_new_aligned(size_t size, size_t align)
{
    return new_aligned(size, align);
}
void *cxx_new_array_aligned(size_t size, size_t align) CXX("_ZnamSt11align_val_t");
void *cxx_new_array_aligned(size_t size, size_t align)
{
    return new_aligned(size, align);
}

/* --- delete: alignment and nothrow tag change nothing; a size is checked --- */

void cxx_delete(void *p) CXX("_ZdlPv");
void cxx_delete(void *p)
{
    free_inline(p);
}

/* The further parameters travel in registers that cxx_delete doesn't look at, so all are one. */
#define CXX_DELETE(function, name) void function(void *) CXX(name) __attribute__((alias("_ZdlPv")))

CXX_DELETE(cxx_delete_array, "_ZdaPv");
CXX_DELETE(cxx_delete_nothrow, "_ZdlPvRKSt9nothrow_t");
CXX_DELETE(cxx_delete_array_nothrow, "_ZdaPvRKSt9nothrow_t");
CXX_DELETE(cxx_delete_aligned, "_ZdlPvSt11align_val_t");
CXX_DELETE(cxx_delete_array_aligned, "_ZdaPvSt11align_val_t");
CXX_DELETE(cxx_delete_aligned_nothrow, "_ZdlPvSt11align_val_tRKSt9nothrow_t");
CXX_DELETE(cxx_delete_array_aligned_nothrow, "_ZdaPvSt11align_val_tRKSt9nothrow_t");

void cxx_delete_sized(void *p, size_t size) CXX("_ZdlPvm");
void cxx_delete_sized(void *p, size_t size)
{
    free_sized_inline(p, size);
}

#define CXX_DELETE_SIZED(function, name)                                                           \
    void function(void *, size_t) CXX(name) __attribute__((alias("_ZdlPvm")))

CXX_DELETE_SIZED(cxx_delete_array_sized, "_ZdaPvm");
CXX_DELETE_SIZED(cxx_delete_sized_aligned, "_ZdlPvmSt11align_val_t");
CXX_DELETE_SIZED(cxx_delete_array_sized_aligned, "_ZdaPvmSt11align_val_t");
