// SPDX-License-Identifier: MIT
//
// Lets GOALLOC_TEST_FILTER pick tests of a cmocka program by a pattern with * and ?, so that
// `./dev test PATTERN` can run one promise out of a file. Linked into every unit test.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void set_filter(void)
{
    const char *pattern = getenv("GOALLOC_TEST_FILTER");
    if (pattern != NULL)
        cmocka_set_test_filter(pattern);
}
