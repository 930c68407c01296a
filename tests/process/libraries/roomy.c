// SPDX-License-Identifier: MIT
/* Thread-local storage so large that each thread's is a block of its own. */
extern __thread char roomy_storage[];
void roomy_touch(void);

__thread char roomy_storage[2 << 20];

void roomy_touch(void)
{
    roomy_storage[0] = 1;
}
