// SPDX-License-Identifier: MIT
//
// In a C program that opens a C++ library with RTLD_LOCAL, and so has no C++ library in its global
// scope, operator new still throws bad_alloc within the opened library.
//
// usage: cxx_library_in_a_c_program_throws DIRECTORY-OF-LIBRARIES

#include "promise.h"

static void find(void *library, const char *name, void *function_pointer)
{
    void *symbol = dlsym(library, name);
    expect(symbol != NULL, "expected the library to have %s", name);
    memcpy(function_pointer, &symbol, sizeof(symbol));
}

int main(int argc, char **argv)
{
    char path[4096];
    int (*catches)(size_t), (*works)(void);
    promise_begin(20);
    expect(argc == 2, "expected the libraries' directory as the argument");
    snprintf(path, sizeof(path), "%s/libthrower.so", argv[1]);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    expect(library != NULL, "expected to open %s: %s", path, library ? "" : dlerror());
    expect(dlsym(RTLD_DEFAULT, "_ZSt17__throw_bad_allocv") == NULL,
           "expected the C++ library not to be in the global scope");
    find(library, "thrower_catches", &catches);
    find(library, "thrower_works", &works);
    expect(works() == 1, "expected C++ containers to work");
    expect(catches(SIZE_MAX / 4) == 1, "expected new to throw bad_alloc");
    expect(works() == 1, "expected C++ containers to work after a bad_alloc");
    return 0;
}
