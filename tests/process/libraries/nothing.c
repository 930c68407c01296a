// SPDX-License-Identifier: MIT
// A library with nothing in it: what preloading costs by itself.

extern const int nothing;
const int nothing = 0;
