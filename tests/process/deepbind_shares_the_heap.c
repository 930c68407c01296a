// SPDX-License-Identifier: MIT
//
// A library opened with RTLD_DEEPBIND still uses the program's malloc: what one allocates the other
// may free.
//
// usage: deepbind_shares_the_heap DIRECTORY-OF-LIBRARIES

#include "promise.h"

#include "libraries/lender.h"

static const struct lender *open_lender(const char *directory)
{
    const struct lender *(*entry)(void);
    char path[4096];
    snprintf(path, sizeof(path), "%s/liblender.so", directory);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    expect(library != NULL, "expected to open %s: %s", path, library ? "" : dlerror());
    void *symbol = dlsym(library, LENDER_ENTRY);
    expect(symbol != NULL, "expected to find " LENDER_ENTRY);
    memcpy(&entry, &symbol, sizeof(entry));
    return entry();
}

int main(int argc, char **argv)
{
    promise_begin(20);
    expect(argc == 2, "expected the libraries' directory as the argument");
    const struct lender *lender = open_lender(argv[1]);
    expect(lender->malloc_it_uses == library_symbol("malloc"),
           "expected a library opened with RTLD_DEEPBIND to use goalloc's malloc");
    for (size_t size = 16; size < (size_t)4 << 20; size = next_size(size)) {
        void *lent = lender->lend(size), *own = malloc(size);
        mark(lent, size, 1);
        mark(own, size, 2);
        free(lent);
        lender->take_back(own);
    }
    char *text = lender->copy("a text of the library's");
    text = realloc(text, 1000);
    expect(strcmp(text, "a text of the library's") == 0, "expected realloc to keep the text");
    free(text);
    lender->take_back(strdup("a text of the program's"));
    return 0;
}
