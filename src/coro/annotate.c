// SPDX-License-Identifier: MIT
/*
 * annotate.c: what sanitizers and valgrind are told of stacks and switches.
 *
 * Place: called around each switch, if sched.annotated says that somebody listens. Calls the
 * sanitizers' runtimes through weak references: nothing is needed to build, or at run time.
 *
 * Locking: none. Invariants: annotate_leave and annotate_arrive come in pairs, nothing that is
 * instrumented between the first and the switch.
 */
#include "internal.h"

extern void __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size)
    __attribute__((weak));
extern void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size)
    __attribute__((weak));
extern void __lsan_register_root_region(const void *start, size_t size) __attribute__((weak));
extern void *__tsan_get_current_fiber(void) __attribute__((weak));
extern void *__tsan_create_fiber(unsigned flags) __attribute__((weak));
extern void __tsan_switch_to_fiber(void *fiber, unsigned flags) __attribute__((weak));

/* --- valgrind: a sequence of instructions that does nothing elsewhere --- */

#if defined(__x86_64__)
GA_INLINE uint64_t valgrind_request(uint64_t request, uint64_t a, uint64_t b)
{
    volatile uint64_t arguments[6] = {request, a, b, 0, 0, 0};
    uint64_t result = 0;
    __asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\trolq $61, %%rdi\n\trolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(result)
                     : "a"(&arguments[0])
                     : "cc", "memory");
    return result;
}
#elif defined(__aarch64__)
GA_INLINE uint64_t valgrind_request(uint64_t request, uint64_t a, uint64_t b)
{
    volatile uint64_t arguments[6] = {request, a, b, 0, 0, 0};
    uint64_t result;
    __asm__ volatile("mov x3, #0\n\tmov x4, %1\n\tror x12, x12, #3\n\tror x12, x12, #13\n\t"
                     "ror x12, x12, #51\n\tror x12, x12, #61\n\torr x10, x10, x10\n\tmov %0, x3"
                     : "=r"(result)
                     : "r"(&arguments[0])
                     : "cc", "memory", "x3", "x4");
    return result;
}
#endif

#define VALGRIND_RUNNING        0x1001
#define VALGRIND_STACK_REGISTER 0x1501

bool annotate_wanted(void)
{
    return &__sanitizer_start_switch_fiber || &__tsan_switch_to_fiber ||
           &__lsan_register_root_region || valgrind_request(VALGRIND_RUNNING, 0, 0) != 0;
}

void annotate_new(struct waiter *waiter)
{
    size_t guard = os_page_size();
    waiter->fiber.bottom = (const void *)(waiter->stack + guard);
    waiter->fiber.size = waiter->stack_size - guard;
    if (&__tsan_create_fiber)
        waiter->fiber.thread_sanitizer = __tsan_create_fiber(0);
    /* What a parked coroutine alone knows of is no leak. */
    if (&__lsan_register_root_region)
        __lsan_register_root_region(waiter->fiber.bottom, waiter->fiber.size);
    valgrind_request(VALGRIND_STACK_REGISTER, waiter->stack + guard,
                     waiter->stack + waiter->stack_size);
}

void annotate_thread(struct fiber *fiber)
{
    if (&__tsan_get_current_fiber)
        fiber->thread_sanitizer = __tsan_get_current_fiber();
}

void annotate_leave(struct fiber *from, const struct fiber *to, bool from_dead)
{
    if (&__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(from_dead ? NULL : &from->fake_stack, to->bottom, to->size);
    if (&__tsan_switch_to_fiber)
        __tsan_switch_to_fiber(to->thread_sanitizer, 0);
}

/* Whose stack was left is told its bounds: a thread's own stack's are known to the sanitizer only.
 */
void annotate_arrive(struct fiber *self, struct fiber *from)
{
    if (&__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(self->fake_stack, &from->bottom, &from->size);
    self->fake_stack = NULL;
}
