// SPDX-License-Identifier: MIT
/*
 * cxx_shared.c: the C++ library as the shared library finds it, and the nothrow forms of new.
 *
 * Place: behind cxx.c. A preloaded library meets programs with a C++ library, without one, and with
 * one that comes later, as a part of something opened at run time. So what is needed of it is
 * looked for when it is needed, among what is loaded, and never linked.
 *
 * A nothrow new that finds no memory calls the C++ library's own, which calls our throwing new
 * inside a try: only C++ can catch what a new-handler throws.
 */
#include <dlfcn.h>

#include "../os/report.h"
#include "cxx.h"

/* Of the C++ library itself: its own operator new, too, and not ours. */
static void *find(const char *name)
{
    static const char *const libraries[] = {"libstdc++.so.6", "libc++.so.1"};
    for (unsigned i = 0; i < sizeof(libraries) / sizeof(*libraries); i++) {
        void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
        void *found = library ? dlsym(library, name) : NULL;
        if (library)
            dlclose(library);
        if (found)
            return found;
    }
    return NULL;
}

new_handler_fn cxx_new_handler(void)
{
    static const char name[] = "_ZSt15get_new_handlerv";
    void *found = dlsym(RTLD_DEFAULT, name);
    new_handler_fn (*get)(void) = (new_handler_fn(*)(void))(found ? found : find(name));
    return get ? get() : NULL;
}

GA_NORETURN void cxx_throw_bad_alloc(size_t size)
{
    static const char name[] = "_ZSt17__throw_bad_allocv";
    void *found = dlsym(RTLD_DEFAULT, name);
    void (*throw)(void) = (void (*)(void))(found ? found : find(name));
    if (throw)
        throw();
    report_fatal("operator new: out of memory for %zu bytes, and no C++ library to throw", size);
}

GA_COLD static void *retry_plain(size_t size, const void *tag)
{
    void *(*new)(size_t, const void *) = NULL;
    if (cxx_new_handler())
        new = (void *(*)(size_t, const void *))find("_ZnwmRKSt9nothrow_t");
    return new ? new (size, tag) : NULL;
}

GA_COLD static void *retry_aligned(size_t size, size_t align, const void *tag)
{
    void *(*new)(size_t, size_t, const void *) = NULL;
    if (cxx_new_handler())
        new = (void *(*)(size_t, size_t, const void *))find("_ZnwmSt11align_val_tRKSt9nothrow_t");
    return new ? new (size, align, tag) : NULL;
}

void *cxx_new_nothrow(size_t size, const void *tag) CXX("_ZnwmRKSt9nothrow_t");
void *cxx_new_nothrow(size_t size, const void *tag)
{
    void *p = malloc_inline(size);
    return GA_LIKELY(p != NULL) ? p : retry_plain(size, tag);
}

void *cxx_new_aligned_nothrow(size_t size, size_t align, const void *tag)
    CXX("_ZnwmSt11align_val_tRKSt9nothrow_t");
void *cxx_new_aligned_nothrow(size_t size, size_t align, const void *tag)
{
    void *p = alloc_aligned(align, size);
    return GA_LIKELY(p != NULL) ? p : retry_aligned(size, align, tag);
}

void *cxx_new_array_nothrow(size_t size, const void *tag) CXX("_ZnamRKSt9nothrow_t")
    __attribute__((alias("_ZnwmRKSt9nothrow_t")));
void *cxx_new_array_aligned_nothrow(size_t size, size_t align, const void *tag)
    CXX("_ZnamSt11align_val_tRKSt9nothrow_t")
        __attribute__((alias("_ZnwmSt11align_val_tRKSt9nothrow_t")));
