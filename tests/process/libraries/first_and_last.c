// SPDX-License-Identifier: MIT
#include "first_and_last.h"

#include <dlfcn.h>
#include <string.h>

#include "../promise.h"

char *first_block;
int first_ran;
volatile int *last_ran;

static void use_linker(void)
{
    expect(dlsym(RTLD_DEFAULT, "strlen") != NULL, "expected dlsym to work in a constructor");
    expect(dlsym(RTLD_DEFAULT, "no such symbol") == NULL && dlerror() != NULL,
           "expected dlerror to work in a constructor");
    void *program = dlopen(NULL, RTLD_NOW);
    expect(program != NULL, "expected dlopen to work in a constructor");
    dlclose(program);
}

__attribute__((constructor(101))) static void first(void)
{
    use_linker();
    allocate_all_classes((size_t)4 << 20);
    use_whole_family();
    first_block = malloc(100);
    memset(first_block, 'f', 100);
    first_ran = 1;
}

__attribute__((destructor(101))) static void last(void)
{
    allocate_all_classes((size_t)4 << 20);
    use_whole_family();
    free(first_block);
    if (last_ran)
        *last_ran = 1;
}
