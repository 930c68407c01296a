// SPDX-License-Identifier: MIT
//
// A block lives as long as a pointer to it lies anywhere that the program can read it from: static
// and thread-local data of the program and of a library it opened, thread-specific values, the
// stack, registers, a signal's frame on an alternate stack, mappings, other blocks, at any multiple
// of four bytes, to any byte of the block and right behind it.

#include "collected.h"

#include <sys/mman.h>
#include <ucontext.h>

#define SIZE 400

static char packed[64];
static void *volatile in_bss;
static void *volatile in_data = packed;
static __thread void *volatile in_tls;

static hidden keep_in(void *volatile *place)
{
    void *block = make_block(SIZE);
    *place = block;
    return hide(block);
}

static void static_data_counts(void)
{
    hidden a = keep_in(&in_bss), b = keep_in(&in_data), c = keep_in(&in_tls);
    expect_alive(a, SIZE, "zeroed static data");
    expect_alive(b, SIZE, "static data");
    expect_alive(c, SIZE, "thread-local data");
}

static void interior_pointers_count(void)
{
    hidden h = keep_in(&in_bss);
    in_bss = (char *)in_bss + SIZE / 2;
    expect_alive(h, SIZE, "static data, to its middle");
    in_bss = (char *)in_bss + SIZE / 2 - 1;
    expect_alive(h, SIZE, "static data, to its last byte");
}

/* The class's size is the request's here, so that the end is the next block's start. */
static void one_past_the_end_counts(void)
{
    void *block = make_block(512);
    hidden h = hide(block);
    in_bss = (char *)block + 512;
    block = NULL;
    expect_alive(h, 512, "static data, to right behind it");
    for (size_t size = 16; size <= (size_t)4 << 20; size *= 4) {
        void **holder = make_block(64);
        block = make_block(size);
        h = hide(block);
        *holder = (char *)block + size;
        in_bss = holder;
        block = holder = NULL;
        expect_alive(h, size, "a block, to right behind it");
        block = realloc(unhide(h), size * 2);
        for (size_t i = 0; i < size / 4; i++)
            ((uint64_t *)block)[i] = PATTERN ^ i;
        h = hide(block);
        *(void **)in_bss = (char *)block + size * 2;
        block = NULL;
        expect_alive(h, size * 2, "a block, to right behind one that was resized");
    }
    char *large = make_block((size_t)3 << 20);
    h = hide(large);
    in_bss = large + ((size_t)3 << 20);
    large = NULL;
    expect_alive(h, (size_t)3 << 20, "static data, to right behind a large block");
}

static void four_byte_alignment_counts(void)
{
    void *block = make_block(SIZE);
    hidden h = hide(block);
    memcpy(packed + 4, &block, sizeof(block));
    block = NULL;
    expect_alive(h, SIZE, "static data at an odd multiple of four");
    char *holder = make_block(SIZE);
    block = make_block(SIZE);
    h = hide(block);
    memcpy(holder + 12, &block, sizeof(block));
    in_bss = holder;
    holder = NULL;
    block = NULL;
    expect_alive(h, SIZE, "a block at an odd multiple of four");
}

static void chains_count(void)
{
    hidden all[100];
    void **first = NULL;
    for (unsigned i = 0; i < 100; i++) {
        void **block = make_block(SIZE + i * 16);
        block[0] = first;
        first = block;
        all[i] = hide(block);
    }
    in_bss = first;
    first = NULL;
    full_cycle();
    overwrite_free(SIZE);
    for (unsigned i = 0; i < 100; i++)
        expect(((uint64_t *)unhide(all[i]))[1] == (PATTERN ^ 1), "expected block %u of a chain", i);
    in_bss = NULL;
}

static void mappings_count(void)
{
    void **page = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(page != MAP_FAILED, "expected a mapping");
    page[5000] = make_block(SIZE);
    hidden h = hide(page[5000]);
    expect_alive(h, SIZE, "a mapping");
    mprotect(page, 65536, PROT_READ);
    expect_alive(h, SIZE, "a mapping made read-only");
    mprotect(page, 65536, PROT_READ | PROT_WRITE);
    void *volatile *moved = mremap(page, 65536, 131072, MREMAP_MAYMOVE);
    expect_alive(h, SIZE, "a mapping that was moved");
    munmap((void *)moved, 131072);
}

static void stacks_count(void)
{
    void *volatile on_stack = make_block(SIZE);
    hidden h = hide(on_stack);
    expect_alive(h, SIZE, "the stack");
    expect(on_stack != NULL, "expected the compiler to keep it");
}

static void thread_specific_values_count(void)
{
    pthread_key_t keys[64];
    for (unsigned i = 0; i < 64; i++)
        pthread_key_create(&keys[i], NULL);
    pthread_setspecific(keys[0], make_block(SIZE));
    pthread_setspecific(keys[60], make_block(SIZE));
    hidden a = hide(pthread_getspecific(keys[0])), b = hide(pthread_getspecific(keys[60]));
    expect_alive(a, SIZE, "a thread-specific value");
    expect_alive(b, SIZE, "a thread-specific value of the second level");
    for (unsigned i = 0; i < 64; i++)
        pthread_key_delete(keys[i]);
}

static void opened_libraries_count(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/libkeeper.so", folder);
    void *library = dlopen(path, RTLD_NOW);
    expect(library != NULL, "expected to open %s: %s", path, dlerror());
    void **(*static_place)(void), **(*tls_place)(void);
    void *symbol = dlsym(library, "keeper_static");
    memcpy(&static_place, &symbol, sizeof(symbol));
    symbol = dlsym(library, "keeper_thread");
    memcpy(&tls_place, &symbol, sizeof(symbol));
    *static_place() = make_block(SIZE);
    *tls_place() = make_block(SIZE);
    hidden a = hide(*static_place()), b = hide(*tls_place());
    expect_alive(a, SIZE, "an opened library's data");
    expect_alive(b, SIZE, "an opened library's thread-local data");
    dlclose(library);
}

/* --- Other threads, stopped in the midst of something --- */

static atomic_int ready, leave;
static hidden thread_hidden;

static void wait_for(atomic_int *flag)
{
    while (!atomic_load(flag))
        usleep(200);
}

#if defined(__x86_64__)
/* The pointer is in one register, and nowhere else. */
static void spin_with_register(void *block)
{
    __asm__ volatile("movq %0, %%r12\n\txorl %%eax, %%eax\n\tmovl $1, %1\n"
                     "1:\tpause\n\tcmpl $0, %2\n\tje 1b\n\t"
                     "xorq %%r12, %%r12"
                     : "+r"(block), "=m"(ready)
                     : "m"(leave)
                     : "rax", "r12", "memory", "cc");
}

/* In a vector register, as a copy of a structure has it for a moment. */
static void spin_with_vector(void *block)
{
    __asm__ volatile("movq %0, %%xmm7\n\txorq %0, %0\n\tmovl $1, %1\n"
                     "1:\tpause\n\tcmpl $0, %2\n\tje 1b\n\tpxor %%xmm7, %%xmm7"
                     : "+r"(block), "=m"(ready)
                     : "m"(leave)
                     : "xmm7", "memory", "cc");
}

/* Below the stack pointer, where a leaf function may keep things. */
__attribute__((noinline)) static void spin_with_red_zone(void *block)
{
    __asm__ volatile("movq %0, -64(%%rsp)\n\txorq %0, %0\n\tmovl $1, %1\n"
                     "1:\tpause\n\tcmpl $0, %2\n\tje 1b\n\tmovq $0, -64(%%rsp)"
                     : "+r"(block), "=m"(ready)
                     : "m"(leave)
                     : "memory", "cc");
}
#endif

struct spin {
    void (*spin)(void *block);
    const char *where;
};

__attribute__((noinline)) static void *make_hidden_block(void)
{
    void *block = make_block(SIZE);
    thread_hidden = hide(block);
    return block;
}

__attribute__((unused)) static void *spin_thread(void *argument)
{
    const struct spin *spin = argument;
    clear_stack();
    spin->spin(make_hidden_block());
    return NULL;
}

static void while_thread_runs(void *(*body)(void *), void *argument, const char *where)
{
    pthread_t thread;
    atomic_store(&ready, 0);
    atomic_store(&leave, 0);
    pthread_create(&thread, NULL, body, argument);
    wait_for(&ready);
    expect_alive(thread_hidden, SIZE, where);
    atomic_store(&leave, 1);
    pthread_join(thread, NULL);
}

static void *sleep_thread(void *unused)
{
    void *volatile block = make_hidden_block();
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    atomic_store(&ready, 1);
    wait_for(&leave);
    expect(block != NULL, "expected the compiler to keep it");
    return unused;
}

static void on_signal(int number)
{
    (void)number;
    void *volatile block = make_hidden_block();
    atomic_store(&ready, 1);
    wait_for(&leave);
    expect(block != NULL, "expected the compiler to keep it");
}

/* The alternate stack is a block that only the kernel knows. */
static void *alternate_thread(void *unused)
{
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    memset(&stack, 0, sizeof(stack));
    raise(SIGUSR1);
    return unused;
}

/* The interrupted stack counts while a handler runs on another. */
static void *interrupted_thread(void *unused)
{
    static char other[65536];
    void *volatile block = make_hidden_block();
    hidden h = thread_hidden;
    stack_t stack = {.ss_sp = other, .ss_size = sizeof(other)};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR2, &action, NULL);
    raise(SIGUSR2);
    expect(is_whole(h, SIZE), "expected an interrupted stack to count");
    expect(block != NULL, "expected the compiler to keep it");
    return unused;
}

static ucontext_t here, there;

static void in_context(void)
{
    void *volatile block = make_hidden_block();
    swapcontext(&there, &here);
    expect(block != NULL, "expected the compiler to keep it");
}

/* A stack in a block, that nobody runs on just now. */
static void parked_stacks_count(void)
{
    getcontext(&there);
    there.uc_stack.ss_sp = malloc(65536);
    there.uc_stack.ss_size = 65536;
    there.uc_link = &here;
    makecontext(&there, in_context, 0);
    swapcontext(&here, &there);
    expect_alive(thread_hidden, SIZE, "a parked context's stack");
    swapcontext(&here, &there);
    free(there.uc_stack.ss_sp);
}

static void threads_count(void)
{
#if defined(__x86_64__)
    struct spin spins[] = {{spin_with_register, "a register"},
                           {spin_with_vector, "a vector register"},
                           {spin_with_red_zone, "the red zone"}};
    for (unsigned i = 0; i < sizeof(spins) / sizeof(*spins); i++)
        while_thread_runs(spin_thread, &spins[i], spins[i].where);
#endif
    while_thread_runs(sleep_thread, NULL, "the stack of a thread that blocks all signals");
    while_thread_runs(alternate_thread, NULL, "a handler's frame on an alternate stack");
    while_thread_runs(interrupted_thread, NULL, "a handler's frame on another stack");
}

int main(int argc, char **argv)
{
    gc_promise_begin(60);
    static_data_counts();
    interior_pointers_count();
    one_past_the_end_counts();
    four_byte_alignment_counts();
    chains_count();
    mappings_count();
    stacks_count();
    thread_specific_values_count();
    if (argc > 1)
        opened_libraries_count(argv[1]);
    threads_count();
    parked_stacks_count();
    expect_forced_way();
    return 0;
}
