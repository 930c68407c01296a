// SPDX-License-Identifier: MIT
#include "locker.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void locker_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void locker_unlock(void)
{
    pthread_mutex_unlock(&mutex);
}

__attribute__((constructor(101))) static void register_handlers(void)
{
    pthread_atfork(locker_lock, locker_unlock, locker_unlock);
}
