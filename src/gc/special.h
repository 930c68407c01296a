// SPDX-License-Identifier: MIT
/*
 * special.h: what is to happen when a block is out of reach, as src/libc's calls attach it.
 */
#ifndef GOALLOC_GC_SPECIAL_H
#define GOALLOC_GC_SPECIAL_H

#include "../goalloc.h"

enum special_kind {
    SPECIAL_FINALIZER, /* the block is kept once more, and given to a function */
    SPECIAL_CLEANUP,   /* a function gets an argument */
    SPECIAL_WEAK,      /* a handle stops giving the block */
    SPECIAL_LINK,      /* a word is set to NULL */
};

struct special_action {
    enum special_kind kind;
    void (*finalize)(void *block, void *data); /* SPECIAL_FINALIZER */
    void (*clean)(void *argument);             /* SPECIAL_CLEANUP */
    void *argument;                            /* theirs; SPECIAL_LINK: where the word is */
};

struct special;

/* NULL: no memory. `block` is a block's beginning. */
struct special *special_attach(const void *block, struct special_action action);
/* Those of a kind; how many there were. */
size_t special_detach(const void *block, enum special_kind kind);
/* All of them: the program frees the block itself. */
void special_detach_all(const void *block);
/* Of SPECIAL_WEAK: the block, or NULL. */
void *special_weak_get(struct special *weak);
void special_weak_drop(struct special *weak);

#endif
