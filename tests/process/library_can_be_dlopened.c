// SPDX-License-Identifier: MIT
//
// The library can be opened by a running program that has another malloc, with RTLD_NOW and
// RTLD_LOCAL, also late, when threads run; its malloc and free then serve those who ask for them,
// in threads old and new and in forked children. Closing it again harms nobody.
//
// usage: library_can_be_dlopened LIBRARY, without a preload

#include "promise.h"

#include <pthread.h>

struct functions {
    void *(*malloc)(size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
};

static struct functions ours;
static pthread_barrier_t opened, closed;

static void find(void *library, const char *name, void *function_pointer)
{
    void *symbol = dlsym(library, name);
    expect(symbol != NULL, "expected the opened library to have %s", name);
    memcpy(function_pointer, &symbol, sizeof(symbol));
}

static void use(void)
{
    char *blocks[200];
    unsigned count = 0;
    for (size_t size = 16; size < (size_t)4 << 20; size = next_size(size)) {
        blocks[count] = ours.malloc(size);
        mark(blocks[count], size, 7);
        blocks[count] = ours.realloc(blocks[count], size + 16);
        expect(blocks[count][0] == 7, "expected realloc to keep the bytes");
        count++;
    }
    while (count)
        ours.free(blocks[--count]);
}

static void *old_thread(void *unused)
{
    pthread_barrier_wait(&opened);
    use();
    pthread_barrier_wait(&closed);
    return unused;
}

static void *new_thread(void *unused)
{
    use();
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t old, new;
    watchdog(20);
    expect(argc >= 2, "expected the library's path as the argument");
    expect(dlsym(RTLD_DEFAULT, "ga_version") == NULL, "expected to run without a preload");
    pthread_barrier_init(&opened, NULL, 2);
    pthread_barrier_init(&closed, NULL, 2);
    pthread_create(&old, NULL, old_thread, NULL);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    expect(library != NULL, "expected to open the library: %s", library ? "" : dlerror());
    find(library, "malloc", &ours.malloc);
    find(library, "realloc", &ours.realloc);
    find(library, "free", &ours.free);
    expect(ours.malloc != malloc, "expected the program to keep its own malloc");
    use();
    pthread_barrier_wait(&opened);
    pthread_create(&new, NULL, new_thread, NULL);
    pthread_join(new, NULL);
    pid_t child = fork();
    if (child == 0) {
        use();
        exit(0);
    }
    expect_success(child, "a forked child");
    dlclose(library);
    /* This thread's cache is given up by a destructor that lies in the library. */
    pthread_barrier_wait(&closed);
    pthread_join(old, NULL);
    child = fork();
    if (child == 0)
        exit(0);
    expect_success(child, "a child forked after dlclose");
    return 0;
}
