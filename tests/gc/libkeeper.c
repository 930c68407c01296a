// SPDX-License-Identifier: MIT
// A library that keeps pointers for who opens it.

static void *kept;
static __thread void *kept_of_thread;

void **keeper_static(void);
void **keeper_thread(void);

void **keeper_static(void)
{
    return &kept;
}

void **keeper_thread(void)
{
    return &kept_of_thread;
}
