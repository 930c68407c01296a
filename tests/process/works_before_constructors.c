// SPDX-License-Identifier: MIT
//
// malloc works before the library's own constructor ran: in a program's preinit functions, in
// another library's early constructor, in what these call in ld.so, and in a thread they start;
// with symbols bound late and with LD_BIND_NOW. What was allocated then can be freed later.

#include "promise.h"

#include <pthread.h>

#include "libraries/first_and_last.h"

static char *preinit_block;
static int thread_ran;

static void *early_thread(void *unused)
{
    allocate_all_classes((size_t)1 << 20);
    thread_ran = 1;
    return unused;
}

/* Runs before every constructor of every library. */
static void before_constructors(int argc, char **argv, char **environment)
{
    pthread_t thread;
    (void)argc;
    (void)argv;
    (void)environment;
    expect(first_ran == 0, "expected preinit functions to come before constructors");
    expect(dlsym(RTLD_DEFAULT, "strlen") != NULL, "expected dlsym to work before constructors");
    expect(dlsym(RTLD_DEFAULT, "no such symbol") == NULL && dlerror() != NULL,
           "expected dlerror to work before constructors");
    void *program = dlopen(NULL, RTLD_NOW);
    expect(program != NULL, "expected dlopen to work before constructors");
    dlclose(program);
    allocate_all_classes((size_t)4 << 20);
    use_whole_family();
    preinit_block = malloc(5000);
    memset(preinit_block, 'p', 5000);
    expect(pthread_create(&thread, NULL, early_thread, NULL) == 0 &&
               pthread_join(thread, NULL) == 0,
           "expected threads to work before constructors");
}

__attribute__((section(".preinit_array"),
               used)) static void (*const preinit)(int, char **, char **) = before_constructors;

static void expect_filled(const char *block, char with, size_t size)
{
    for (size_t i = 0; i < size; i++)
        expect(block[i] == with, "expected an early block to keep its bytes");
}

int main(int argc, char **argv)
{
    (void)argc;
    promise_begin(20);
    expect(preinit_block != NULL, "expected the preinit function to have run");
    expect(thread_ran == 1, "expected the early thread to have run");
    expect(first_ran == 1, "expected the library's constructor to have run");
    expect_filled(preinit_block, 'p', 5000);
    expect_filled(first_block, 'f', 100);
    preinit_block = realloc(preinit_block, 100000);
    expect_filled(preinit_block, 'p', 5000);
    free(preinit_block);
    allocate_all_classes((size_t)4 << 20);
    if (getenv("LD_BIND_NOW"))
        return 0;
    setenv("LD_BIND_NOW", "1", 1);
    execv("/proc/self/exe", argv);
    expect(false, "expected to run a second time with LD_BIND_NOW");
}
