// SPDX-License-Identifier: MIT
/*
 * cxx.c: every operator new and delete, without linking libstdc++.
 *
 * Place: beside malloc.c. The names are the mangled ones; C knows them by a label.
 *
 * Out of memory, a throwing new calls the new-handler until it gives up, then throws bad_alloc. Both
 * are the C++ library's: it is looked for when needed, in the program first and then by name, since
 * it may have come with a library that was opened later. A nothrow new calls the handler too, and
 * returns NULL when there's none.
 *
 * This file is compiled with -fexceptions: a bad_alloc, or what a handler throws, passes through.
 */
#include <dlfcn.h>

#include "../os/report.h"
#include "internal.h"

typedef void (*handler_fn)(void);

extern handler_fn get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak));

/* A function of whichever C++ library is loaded. */
static void *find_in_cxx_library(const char *name)
{
    static const char *const libraries[] = {"libstdc++.so.6", "libc++.so.1"};
    for (unsigned i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
        void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
        void *found = library ? dlsym(library, name) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

static handler_fn current_handler(void)
{
    handler_fn (*get)(void) = get_new_handler;
    if (!get)
        get = (handler_fn(*)(void))find_in_cxx_library("_ZSt15get_new_handlerv");
    return get ? get() : NULL;
}

GA_NORETURN static void throw_out_of_memory(size_t size)
{
    void (*throw)(void) = throw_bad_alloc;
    if (!throw)
        throw = (void (*)(void))find_in_cxx_library("_ZSt17__throw_bad_allocv");
    if (throw)
        throw();
    report_fatal("operator new: out of memory for %zu bytes, and no C++ library to throw", size);
}

/* align 0: whatever malloc gives. */
GA_COLD static void *new_retry(size_t align, size_t size, bool nothrow)
{
    for (;;) {
        handler_fn handler = current_handler();
        if (!handler) {
            if (nothrow)
                return NULL;
            throw_out_of_memory(size);
        }
        handler();
        void *p = align ? alloc_aligned(align, size) : malloc_inline(size);
        if (p)
            return p;
    }
}

GA_INLINE void *new_plain(size_t size, bool nothrow)
{
    void *p = malloc_inline(size);
    return GA_LIKELY(p != NULL) ? p : new_retry(0, size, nothrow);
}

GA_INLINE void *new_aligned(size_t size, size_t align, bool nothrow)
{
    void *p = alloc_aligned(align, size);
    return GA_LIKELY(p != NULL) ? p : new_retry(align, size, nothrow);
}

#define CXX(name) __asm__(name) GA_EXPORT

/* --- new --- */

void *cxx_new(size_t size) CXX("_Znwm");
void *cxx_new(size_t size)
{
    return new_plain(size, false);
}
void *cxx_new_array(size_t size) CXX("_Znam");
void *cxx_new_array(size_t size)
{
    return new_plain(size, false);
}
void *cxx_new_nothrow(size_t size, const void *tag) CXX("_ZnwmRKSt9nothrow_t");
void *cxx_new_nothrow(size_t size, const void *tag)
{
    (void)tag;
    return new_plain(size, true);
}
void *cxx_new_array_nothrow(size_t size, const void *tag) CXX("_ZnamRKSt9nothrow_t");
void *cxx_new_array_nothrow(size_t size, const void *tag)
{
    (void)tag;
    return new_plain(size, true);
}
void *cxx_new_aligned(size_t size, size_t align) CXX("_ZnwmSt11align_val_t");
void *cxx_new_aligned(size_t size, size_t align)
{
    return new_aligned(size, align, false);
}
void *cxx_new_array_aligned(size_t size, size_t align) CXX("_ZnamSt11align_val_t");
void *cxx_new_array_aligned(size_t size, size_t align)
{
    return new_aligned(size, align, false);
}
void *cxx_new_aligned_nothrow(size_t size, size_t align, const void *tag)
    CXX("_ZnwmSt11align_val_tRKSt9nothrow_t");
void *cxx_new_aligned_nothrow(size_t size, size_t align, const void *tag)
{
    (void)tag;
    return new_aligned(size, align, true);
}
void *cxx_new_array_aligned_nothrow(size_t size, size_t align, const void *tag)
    CXX("_ZnamSt11align_val_tRKSt9nothrow_t");
void *cxx_new_array_aligned_nothrow(size_t size, size_t align, const void *tag)
{
    (void)tag;
    return new_aligned(size, align, true);
}

/* --- delete: size, alignment and nothrow tag change nothing --- */

void cxx_delete(void *p) CXX("_ZdlPv");
void cxx_delete(void *p)
{
    free_inline(p);
}

/* The further parameters travel in registers that cxx_delete doesn't look at, so all are one. */
#define CXX_DELETE(function, name) void function(void *) CXX(name) __attribute__((alias("_ZdlPv")))

CXX_DELETE(cxx_delete_array, "_ZdaPv");
CXX_DELETE(cxx_delete_sized, "_ZdlPvm");
CXX_DELETE(cxx_delete_array_sized, "_ZdaPvm");
CXX_DELETE(cxx_delete_nothrow, "_ZdlPvRKSt9nothrow_t");
CXX_DELETE(cxx_delete_array_nothrow, "_ZdaPvRKSt9nothrow_t");
CXX_DELETE(cxx_delete_aligned, "_ZdlPvSt11align_val_t");
CXX_DELETE(cxx_delete_array_aligned, "_ZdaPvSt11align_val_t");
CXX_DELETE(cxx_delete_sized_aligned, "_ZdlPvmSt11align_val_t");
CXX_DELETE(cxx_delete_array_sized_aligned, "_ZdaPvmSt11align_val_t");
CXX_DELETE(cxx_delete_aligned_nothrow, "_ZdlPvSt11align_val_tRKSt9nothrow_t");
CXX_DELETE(cxx_delete_array_aligned_nothrow, "_ZdaPvSt11align_val_tRKSt9nothrow_t");
