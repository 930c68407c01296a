// SPDX-License-Identifier: MIT
// A library of which only the place matters.

int neighbour_answers(void);

int neighbour_answers(void)
{
    return 42;
}
