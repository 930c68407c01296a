// SPDX-License-Identifier: MIT
//
// dlopen passes through the library, but looks where its caller's RUNPATH says, with and without
// RTLD_DEEPBIND, before the library's constructor and after it.

#include "promise.h"

#include "libraries/neighbour.h"

int main(int argc, char **argv)
{
    (void)argc;
    promise_begin(20);
    if (getenv("LD_LIBRARY_PATH")) {
        unsetenv("LD_LIBRARY_PATH");
        execv("/proc/self/exe", argv);
    }
    expect(neighbour_opened_early, "expected the caller's RUNPATH to count in its constructor");
    expect(dlopen("libneighbour.so", RTLD_NOW) == NULL, "expected the name alone to lead nowhere");
    for (unsigned i = 0; i < 2; i++) {
        void *library = open_neighbour(i ? RTLD_NOW | RTLD_DEEPBIND : RTLD_LAZY);
        expect(library != NULL, "expected the caller's RUNPATH to count: %s", dlerror());
        expect(dlsym(library, "neighbour_answers") != NULL, "expected the neighbour's symbol");
        dlclose(library);
    }
    return 0;
}
