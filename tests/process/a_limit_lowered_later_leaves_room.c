// SPDX-License-Identifier: MIT
//
// A program that lowers RLIMIT_AS after its start, to little more than it seems to need, can still
// mmap and start threads: the allocator holds no large reservation that would count.

#include "address_space.h"

#include <pthread.h>
#include <sys/mman.h>

static void *thread_body(void *unused)
{
    allocate_all_classes((size_t)1 << 20);
    return unused;
}

int main(void)
{
    pthread_t thread;
    promise_begin(20);
    allocate_all_classes((size_t)1 << 20);
    expect(address_space_kilobytes() < 48u << 10,
           "expected a small program to have less than 48 MB mapped, it has %zu KB",
           address_space_kilobytes());
    limit_address_space((size_t)96 << 20);
    void *map = mmap(NULL, (size_t)32 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(map != MAP_FAILED, "expected mmap of 32 MB to succeed under a limit of 96 MB");
    munmap(map, (size_t)32 << 20);
    expect(pthread_create(&thread, NULL, thread_body, NULL) == 0,
           "expected a thread to start under a limit of 96 MB");
    pthread_join(thread, NULL);
    allocate_all_classes((size_t)4 << 20);
    return 0;
}
