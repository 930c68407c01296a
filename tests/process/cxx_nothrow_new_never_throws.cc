// SPDX-License-Identifier: MIT
//
// The nothrow forms of new return nullptr also when the new-handler ends by throwing bad_alloc, as
// the standard's own example of a handler does.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>
#include <unistd.h>

namespace
{

volatile std::size_t absurd = SIZE_MAX / 4;
int handler_calls;

void throws_bad_alloc()
{
    handler_calls++;
    throw std::bad_alloc();
}

[[noreturn]] void say(const char *what)
{
    std::fprintf(stderr, "expected %s\n", what);
    _exit(1);
}

[[noreturn]] void terminated()
{
    say("nothrow new to turn the handler's bad_alloc into nullptr, not to let it pass");
}

} // namespace

int main()
{
    alarm(20);
    std::set_terminate(terminated);
    std::set_new_handler(throws_bad_alloc);
    void *volatile p = ::operator new(absurd, std::nothrow);
    void *volatile q = ::operator new[](absurd, std::nothrow);
    void *volatile r = ::operator new(absurd, static_cast<std::align_val_t>(64), std::nothrow);
    if (p || q || r)
        say("nullptr for an absurd size");
    if (handler_calls != 3)
        say("each form to call the handler once");
    return 0;
}
