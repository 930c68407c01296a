// SPDX-License-Identifier: MIT
//
// With libgoalloc-io linked, libc's blocking calls park the coroutine, not its thread; what a
// program sees of them is the same.
#include <goalloc/coro.h>

#include <dirent.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "promise.h"

#define WAITERS 200

/* Nothing that the compiler knows: else it checks sizes itself, where libc's headers would. */
static volatile size_t one_byte = 1;
static volatile nfds_t one_fd = 1;

static atomic_int done;

static int threads(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    while (folder && readdir(folder))
        count++;
    closedir(folder);
    return count - 2;
}

static void wait_to_read(int fd)
{
    char byte;
    atomic_fetch_add(&done, read(fd, &byte, one_byte) == 1);
}

static void wait_to_poll(int fd)
{
    struct pollfd one = {fd, POLLIN, 0};
    char byte;
    if (poll(&one, one_fd, -1) == 1)
        atomic_fetch_add(&done, recv(fd, &byte, one_byte, 0) == 1);
}

static void sleep_a_while(void)
{
    struct timespec time = {0, 20000000};
    atomic_fetch_add(&done, usleep(20000) == 0 && nanosleep(&time, NULL) == 0);
}

static void readers_share_few_threads(void)
{
    int ends[WAITERS][2];
    atomic_store(&done, 0);
    for (int i = 0; i < WAITERS; i++) {
        expect(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]) == 0, "expected a pair of sockets");
        if (i % 2)
            ga_go(wait_to_read, ends[i][0]);
        else
            ga_go(wait_to_poll, ends[i][0]);
    }
    usleep(50000);
    expect(threads() < 30, "expected few threads for %d readers, got %d", WAITERS, threads());
    for (int i = 0; i < WAITERS; i++)
        expect(write(ends[i][1], "x", 1) == 1, "expected to write a byte");
    ga_wait_all();
    expect(atomic_load(&done) == WAITERS, "expected %d bytes read, got %d", WAITERS,
           atomic_load(&done));
    for (int i = 0; i < WAITERS; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
}

static void sleepers_share_few_threads(void)
{
    atomic_store(&done, 0);
    for (int i = 0; i < WAITERS; i++)
        ga_go(sleep_a_while);
    ga_wait_all();
    expect(atomic_load(&done) == WAITERS, "expected %d sleepers to wake", WAITERS);
    expect(threads() < 30, "expected few threads for %d sleepers, got %d", WAITERS, threads());
}

static void nonblocking_descriptors_stay_so(void)
{
    int ends[2];
    char byte;
    expect(pipe2(ends, O_NONBLOCK) == 0, "expected a pipe");
    errno = 0;
    expect(read(ends[0], &byte, 1) == -1 && errno == EAGAIN, "expected EAGAIN, got %d", errno);
    expect(fcntl(ends[0], F_GETFL) & O_NONBLOCK, "expected O_NONBLOCK to stay");
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    watchdog(60);
    readers_share_few_threads();
    sleepers_share_few_threads();
    nonblocking_descriptors_stay_so();
    return 0;
}
