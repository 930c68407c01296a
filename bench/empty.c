// SPDX-License-Identifier: MIT
//
// libempty.so: a library with nothing in it. What preloading it costs is the loader's, and is
// subtracted from what preloading an allocator costs.

__attribute__((visibility("default"))) extern const char ga_empty;
const char ga_empty = 0;
