// SPDX-License-Identifier: MIT
//
// Makes the mistake that its argument names, or none, for tools that look for mistakes
// (valgrind_sees_blocks.sh, sanitizers_keep_their_malloc.sh). Before that it calls most of malloc's
// family, in a thread too, rightly.

#include <goalloc/goalloc.h>

#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void free_sized(void *p, size_t size) __attribute__((weak));

static void require(int holds, const char *what)
{
    if (holds)
        return;
    puts(what);
    exit(9);
}

static void *use_family(void *unused)
{
    void *aligned = NULL;
    char *text = malloc(10), *zeros = calloc(3, 5000), *large = malloc((size_t)3 << 20);
    strcpy(text, "nine char");
    text = realloc(text, 5000);
    require(strcmp(text, "nine char") == 0, "realloc lost bytes");
    require(!zeros[0] && !zeros[14999], "calloc gave bytes that aren't zero");
    large[5] = 1;
    large = realloc(large, (size_t)6 << 20);
    require(large[5] == 1, "realloc lost bytes of a large block");
    require(posix_memalign(&aligned, 256, 1000) == 0 && (size_t)aligned % 256 == 0,
            "posix_memalign didn't align");
    memset(aligned, 1, malloc_usable_size(aligned));
    char *array = reallocarray(NULL, 10, 10), *pages = pvalloc(10), *page = valloc(10);
    memset(array, 1, 100);
    require((size_t)pages % 4096 == 0 && (size_t)page % 4096 == 0, "valloc didn't align");
    free(text);
    free(zeros);
    free(large);
    free(aligned);
    free(pages);
    free(page);
    if (free_sized)
        free_sized(array, 100);
    else
        free(array);
    malloc_trim(0);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    volatile char *volatile block;
    const char *mistake = argc > 1 ? argv[1] : "none";
    use_family(NULL);
    require(pthread_create(&thread, NULL, use_family, NULL) == 0, "no thread");
    pthread_join(thread, NULL);
    block = malloc(24);
    block[0] = 1;
    if (strcmp(mistake, "overflow") == 0)
        block[24] = 1;
    if (strcmp(mistake, "undefined") == 0 && block[9])
        puts("not zero");
    if (strcmp(mistake, "leak") == 0)
        block = malloc(24);
    free((char *)block);
    if (strcmp(mistake, "read after free") == 0)
        puts(block[0] ? "" : "zero");
    if (strcmp(mistake, "double free") == 0)
        free((char *)block);
    puts("done");
    return 0;
}
