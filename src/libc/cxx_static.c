// SPDX-License-Identifier: MIT
/*
 * cxx_static.c: the C++ library as the linker finds it for the static library.
 *
 * Place: behind cxx.c. A program that takes operator new from the archive is a C++ program, and has
 * the C++ library; and only a strong reference fetches its parts from an archive of its own.
 */
#include "cxx.h"

extern new_handler_fn get_new_handler(void) __asm__("_ZSt15get_new_handlerv");
GA_NORETURN extern void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv");

new_handler_fn cxx_new_handler(void)
{
    return get_new_handler();
}

GA_NORETURN void cxx_throw_bad_alloc(size_t size)
{
    (void)size;
    throw_bad_alloc();
}
