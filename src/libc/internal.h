// SPDX-License-Identifier: MIT
/*
 * internal.h: what the entry points share. Nothing below src/libc includes it.
 *
 * malloc.c      malloc, calloc, realloc, free and what C says of them
 * aligned.c     memalign and its relatives
 * cxx.c         operator new and delete; cxx_shared.c and cxx_static.c: what they need of C++
 * introspect.c  malloc_trim, mallopt and ga_* that change something
 * statistics.c  mallinfo, malloc_info and ga_* that tell something
 * bad_pointer.c what a bad pointer is told
 * noscan.c      blocks without pointers, which only a collector tells from others
 * typed.c       blocks whose pointers lie where a type says, the same
 * gc.c          the collector's ga_gc_* calls; barrier.c: those that tell what is written
 * unwind_*.c    who called
 * stand_in.c    who serves where a sanitizer or valgrind has come; memcheck.c: under the latter
 * init.c        the library's constructor and destructor
 * fork.c        fork
 * dlopen.c      dlopen without RTLD_DEEPBIND (shared library only)
 */
#ifndef GOALLOC_LIBC_INTERNAL_H
#define GOALLOC_LIBC_INTERNAL_H

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "../goalloc.h"
#include "../hardened/hardened.h"
#include "../mcache/mcache.h"
#include "../mheap/mheap.h"
#include "../size_classes/size_classes.h"

/* The largest request: what a ptrdiff_t can span, as glibc has it. */
#define REQUEST_MAX ((size_t)PTRDIFF_MAX)

/* --- malloc.c --- */

/* A block that realloc makes at least this long is placed where it can go on growing. */
#define GROWING_MIN ((size_t)32 << 10)

/* What the fast paths declined. `caller`: of malloc, or free, which may be the loader. */
void *malloc_declined(size_t size, const void *caller);
void free_declined(void *p, const void *caller);
/* Sizes above SMALL_BYTE_MAX, empty magazines. Sets ENOMEM. */
void *malloc_slow(size_t size, const void *caller);
/* An object of the class, never a guarded one; sets ENOMEM. */
void *malloc_of_class(unsigned class);
void free_slow(void *p, unsigned class);
/* The same for a free that names a size which the class entry doesn't bear out. */
void free_sized_slow(void *p, size_t size);
/* malloc_usable_size and the free of a block without a class, past any stand-in. */
size_t heap_usable_size(void *p);
void heap_free_large(void *p);
/* The free of whatever has no class; NULL too. */
void free_unclassed(void *p);
/* A large block that stays one. */
void *realloc_large(void *p, size_t size);
/* A large block as C sees it; sets ENOMEM. */
void *large_block(struct span *span);
/* A large block; drains the caches before it gives up. NULL: out of memory. */
struct span *alloc_large(size_t size, size_t align, enum mheap_contents contents);

GA_INLINE void *malloc_inline(size_t size)
{
    if (GA_LIKELY(size <= SMALL_BYTE_MAX)) {
        void *p;
        if (GA_LIKELY(mcache_pop_of(mcache_words_self(size_class_offset_by_byte[size]), &p)))
            return p;
        return malloc_declined(size, __builtin_return_address(0));
    }
    return malloc_slow(size, __builtin_return_address(0));
}

GA_INLINE void free_inline(void *p)
{
    if (GA_UNLIKELY(!mcache_push_of(mcache_words_self(mheap_class_offset_of(p)), p)))
        free_declined(p, __builtin_return_address(0));
}

/* size_classes[0].size is 0, so one compare finds both what is no object and what is too small. */
GA_INLINE void free_sized_inline(void *p, size_t size)
{
    size_t class = mheap_class_of(p);
    if (GA_UNLIKELY(size > size_classes[class].size))
        free_sized_slow(p, size);
    else if (GA_UNLIKELY(!mcache_push(mcache_self(), class, p)))
        free_slow(p, (unsigned)class);
}

GA_INLINE void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* --- aligned.c --- */

/* align is a power of two. Sets ENOMEM. */
void *alloc_aligned(size_t align, size_t size);
/* The same past the thread's cache and any stand-in; align is more than MIN_ALIGN. NULL: out of
 * memory. */
void *heap_aligned(size_t align, size_t size);

/* --- bad_pointer.c --- */

/* p was given to `function`, but no block starts there: one line, and abort. */
GA_NORETURN void bad_pointer(const void *p, const char *function);

/* --- noscan.c --- */

/* Whether p lies in a span of objects without pointers, whose class entry is 0. */
GA_INLINE bool is_noscan(const struct span *span)
{
    return span && span->noscan && span->class != 0;
}
void *noscan_malloc(size_t size);
void *noscan_realloc(const struct span *span, void *p, size_t size);
/* A small block that lies apart, of either kind. */
void apart_free(const struct span *span, void *p);

/* --- typed.c --- */

GA_INLINE bool is_typed(const struct span *span)
{
    return span && span->typed;
}
/* Zeroed; `type` is one of src/gc's types. */
void *typed_malloc(size_t size, uint32_t type);
/* p lies in a span of one or several such blocks. */
void *typed_realloc(struct span *span, void *p, size_t size);

/* --- gc.c --- */

/* What gc_enable is given by the options alone: NULL, or the word that ga_gc_write reads. */
unsigned *told_by_option(void);

/* After a slow path, with no lock held. */
void after_slow_path(size_t allocated);
/* p's block has `size` bytes, but was freed as one of `believed`. */
GA_NORETURN void bad_size(const void *p, size_t size, size_t believed);
/* p's block was freed before. */
GA_NORETURN void bad_freed(const void *p, unsigned class, const char *function);

/* --- unwind_shared.c --- */

/* Lets reports say who called; nothing in a static program. false: unwind_open has to be tried. */
bool unwind_init(void);
/* Tries once more, at a malloc called from there; false: not now either. */
bool unwind_open(const void *caller);

/* --- What this libc's headers don't declare --- */
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t align, size_t size);
void cfree(void *p);
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_reallocarray(void *p, size_t count, size_t size);
void __libc_free(void *p);
void __libc_cfree(void *p);
void *__libc_memalign(size_t align, size_t size);
void *__libc_valloc(size_t size);
void *__libc_pvalloc(size_t size);
int __posix_memalign(void **out, size_t align, size_t size);

/* --- init.c --- */
extern const char init_linked; /* lets malloc.c pull init.c out of the static library */

/* --- fork.c --- */
void fork_init(void);

#endif
