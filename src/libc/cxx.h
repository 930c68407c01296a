// SPDX-License-Identifier: MIT
/*
 * cxx.h: what operator new needs of the C++ library, found at run time (cxx_shared.c) or by the
 * linker (cxx_static.c).
 */
#ifndef GOALLOC_CXX_H
#define GOALLOC_CXX_H

#include "internal.h"

typedef void (*new_handler_fn)(void);

/* The program's new-handler; NULL: none, or no C++ library. */
new_handler_fn cxx_new_handler(void);
/* Throws bad_alloc, or ends the process with a line where there's no C++ library. */
GA_NORETURN void cxx_throw_bad_alloc(size_t size);

/* Defines a function under its mangled name. */
#define CXX(name) __asm__(name) GA_EXPORT

#endif
