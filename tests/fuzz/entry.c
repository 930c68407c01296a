// SPDX-License-Identifier: MIT
/*
 * entry.c: between libFuzzer and a target. Alone not renamed by meson.build, and so the place where
 * the library's output is caught: the linker sends os_write here (--wrap).
 */
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __wrap_os_write(int fd, const char *text, size_t length);
void __real_os_write(int fd, const char *text, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_one(data, size);
    return 0;
}

/* A line that ends the process is for whoever reads what the fuzzer found. */
static int is_fatal(const char *text, size_t length)
{
    static const char *const words[] = {"goalloc: double free", "goalloc: free of",
                                        "goalloc: realloc of", "goalloc: malloc_usable_size of",
                                        "goalloc: broken"};
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        size_t common = 0;
        while (words[i][common] && common < length && words[i][common] == text[common])
            common++;
        if (!words[i][common])
            return 1;
    }
    return 0;
}

void __wrap_os_write(int fd, const char *text, size_t length)
{
    if (is_fatal(text, length))
        __real_os_write(fd, text, length);
    fuzz_output(text, length);
}
