// SPDX-License-Identifier: MIT
/*
 * platform.h: what differs between compilers and processors, in one place.
 *
 * Nothing else in the tree tests the compiler or the processor inside a function body.
 */
#ifndef GOALLOC_PLATFORM_H
#define GOALLOC_PLATFORM_H

#define GA_LIKELY(x)   __builtin_expect(!!(x), 1)
#define GA_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define GA_NOINLINE    __attribute__((noinline))
#define GA_COLD        __attribute__((noinline, cold))
#define GA_INLINE      static inline __attribute__((always_inline))
#define GA_EXPORT      __attribute__((visibility("default")))
/* Data that fast paths read: reached without the global offset table. */
#define GA_HIDDEN       __attribute__((visibility("hidden")))
#define GA_NORETURN     __attribute__((noreturn))
#define GA_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define GA_CACHE_LINE   64

/*
 * A block of second names for functions. gcc would have each repeat the attributes that libc's
 * headers give the first.
 */
#if defined(__clang__)
#define GA_ALIASES_BEGIN
#define GA_ALIASES_END
#else
#define GA_ALIASES_BEGIN                                                                           \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wmissing-attributes\"")
#define GA_ALIASES_END _Pragma("GCC diagnostic pop")
#endif

/* The thread pointer: no two threads have the same, and a forked child's thread keeps its own. */
#if defined(__x86_64__)
#define GA_THREAD_POINTER(out) __asm__ volatile("movq %%fs:0, %0" : "=r"(out))
#elif defined(__aarch64__)
#define GA_THREAD_POINTER(out) __asm__ volatile("mrs %0, tpidr_el0" : "=r"(out))
#endif

/*
 * Asks for a line that is about to be written. gcc's builtin would have plain x86-64 ask for one to
 * read, which another core that holds it then has to give up a second time; processors without
 * prefetchw take it for a nop.
 */
#if defined(__x86_64__)
#define GA_PREFETCH_WRITE(p) __asm__ volatile("prefetchw (%0)" : : "r"(p))
#else
#define GA_PREFETCH_WRITE(p) __builtin_prefetch((p), 1)
#endif

/* Asks for a line that is about to be read. gcc takes a function that only calls its builtin
 * for one without effect, and leaves it out. */
#if defined(__x86_64__)
#define GA_PREFETCH(p) __asm__ volatile("prefetcht0 (%0)" : : "r"(p))
#elif defined(__aarch64__)
#define GA_PREFETCH(p) __asm__ volatile("prfm pldl1keep, [%0]" : : "r"(p))
#endif

/*
 * A second build of a function for processors with vectors of 32 bytes, and whether this is one
 * whose kernel keeps them. Elsewhere both builds are the same. (Not gcc's builtin: with it comes a
 * constructor, which touches code that few processes need.)
 */
#if defined(__x86_64__)
#include <cpuid.h>
#define GA_FOR_WIDE __attribute__((target("avx2")))
GA_INLINE int ga_has_wide(void)
{
    unsigned a, b, c, d, kept, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX))
        return 0;
    __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
    return (kept & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}
#else
#define GA_FOR_WIDE
GA_INLINE int ga_has_wide(void)
{
    return 0;
}
#endif

/* A processor hint for a spinning thread. */
#if defined(__x86_64__)
#define GA_CPU_RELAX() __asm__ volatile("pause" ::: "memory")
#elif defined(__aarch64__)
#define GA_CPU_RELAX() __asm__ volatile("yield" ::: "memory")
#else
#error "goalloc knows x86-64 and aarch64"
#endif

/* A store that no later load passes. atomic_store and atomic_load say so too, but qemu 7.2 lets an
 * aarch64 store-release be passed by a load-acquire; on x86-64 the two are the same instruction. */
#define GA_STORE_FIRST(word, value) ((void)atomic_exchange(&(word), value))

/*
 * A word that other threads access too, where any of its values will do. Relaxed in all but name:
 * gcc doesn't fold an atomic load into the compare that uses it, nor join atomic stores in a row.
 */
#if defined(__SANITIZE_THREAD__)
/* ThreadSanitizer's shadow fills the middle of the address space. */
#define GA_LOW_ADDRESSES 1
/* A function whose accesses it isn't told of. */
#define GA_UNSEEN                 static __attribute__((noinline, unused, no_sanitize("thread")))
#define GA_LOAD_ANY(word)         __atomic_load_n(&(word), __ATOMIC_RELAXED)
#define GA_STORE_ANY(word, value) __atomic_store_n(&(word), value, __ATOMIC_RELAXED)
#else
#define GA_LOW_ADDRESSES          0
#define GA_UNSEEN                 GA_INLINE
#define GA_LOAD_ANY(word)         (word)
#define GA_STORE_ANY(word, value) ((void)((word) = (value)))
#endif

/*
 * *where += bytes, in place. gcc keeps a value that it has just loaded in a register and spends two
 * more instructions than the processor needs.
 */
#if defined(__x86_64__)
#define GA_ADD_IN_PLACE(where, bytes)                                                              \
    __asm__("addq %1, %0" : "+m"(where) : "i"((long)(bytes)) : "cc")
#else
#define GA_ADD_IN_PLACE(where, bytes) ((where) = (void *)((char *)(where) + (bytes)))
#endif

/* Makes the compiler forget what it knows of a value. */
#define GA_FORGET(value) __asm__("" : "+r"(value))

/*
 * The address of a thread-local variable through the thread pointer, read anew at each use.
 *
 * A compiler may keep the address of a plain __thread variable in a register across a call. When
 * a coroutine migrates to another thread inside that call the kept address is the old thread's.
 * volatile forbids that, and the initial-exec offset keeps it at two instructions.
 *
 * GOALLOC_PLAIN_TLS is for tests/process/coroutines_may_change_threads.sh alone, which shows that
 * programs break with it.
 */
#if defined(GOALLOC_PLAIN_TLS)
#define GA_TLS_LOAD(out, symbol)    ((out) = (symbol))
#define GA_TLS_ADD(to, symbol)      ((to) += (uintptr_t)(symbol))
#define GA_TLS_STORE(symbol, value) ((symbol) = (value))
#elif defined(__x86_64__)
#define GA_TLS_LOAD(out, symbol)                                                                   \
    __asm__ volatile("movq " #symbol "@gottpoff(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=d"(out))
/* to += the variable, in as many instructions; kept out of rax, where malloc's result belongs. */
#define GA_TLS_ADD(to, symbol)                                                                     \
    do {                                                                                           \
        void *ga_tls_offset_;                                                                      \
        __asm__ volatile("movq " #symbol "@gottpoff(%%rip), %1\n\taddq %%fs:(%1), %0"              \
                         : "+c"(to), "=&r"(ga_tls_offset_)                                         \
                         :                                                                         \
                         : "cc");                                                                  \
    } while (0)
#define GA_TLS_STORE(symbol, value)                                                                \
    do {                                                                                           \
        void *ga_tls_offset_;                                                                      \
        __asm__ volatile("movq " #symbol "@gottpoff(%%rip), %0\n\tmovq %1, %%fs:(%0)"              \
                         : "=&r"(ga_tls_offset_)                                                   \
                         : "r"(value)                                                              \
                         : "memory");                                                              \
    } while (0)
#elif defined(__aarch64__)
#define GA_TLS_LOAD(out, symbol)                                                                   \
    do {                                                                                           \
        void *ga_tls_offset_;                                                                      \
        __asm__ volatile("adrp %1, :gottprel:" #symbol "\n\t"                                      \
                         "ldr %1, [%1, :gottprel_lo12:" #symbol "]\n\t"                            \
                         "mrs %0, tpidr_el0\n\t"                                                   \
                         "ldr %0, [%0, %1]"                                                        \
                         : "=&r"(out), "=&r"(ga_tls_offset_));                                     \
    } while (0)
#define GA_TLS_ADD(to, symbol)                                                                     \
    do {                                                                                           \
        void *ga_tls_value_;                                                                       \
        GA_TLS_LOAD(ga_tls_value_, symbol);                                                        \
        (to) += (uintptr_t)ga_tls_value_;                                                          \
    } while (0)
#define GA_TLS_STORE(symbol, value)                                                                \
    do {                                                                                           \
        void *ga_tls_offset_, *ga_tls_pointer_;                                                    \
        __asm__ volatile("adrp %1, :gottprel:" #symbol "\n\t"                                      \
                         "ldr %1, [%1, :gottprel_lo12:" #symbol "]\n\t"                            \
                         "mrs %0, tpidr_el0\n\t"                                                   \
                         "str %2, [%0, %1]"                                                        \
                         : "=&r"(ga_tls_pointer_), "=&r"(ga_tls_offset_)                           \
                         : "r"(value)                                                              \
                         : "memory");                                                              \
    } while (0)
#endif

#endif
