// SPDX-License-Identifier: MIT
//
// Every form of operator new and delete is goalloc's: sizes, alignments, arrays; bad_alloc for what
// can't be had, after the new-handler was called until it gave up
// or threw; nullptr
// from the nothrow forms.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <new>
#include <unistd.h>

namespace
{

const std::size_t page = 4096;
volatile std::size_t absurd = SIZE_MAX / 4;
volatile std::size_t too_large = static_cast<std::size_t>(1) << 46;

void expect(bool holds, const char *what)
{
    if (holds)
        return;
    std::fprintf(stderr, "expected %s\n", what);
    _exit(1);
}

void expect_goalloc()
{
    Dl_info version, operator_new;
    void *symbol = dlsym(RTLD_DEFAULT, "ga_version"), *plain = dlsym(RTLD_DEFAULT, "_Znwm");
    expect(symbol && plain, "the preloaded library to be there");
    expect(dladdr(symbol, &version) && dladdr(plain, &operator_new), "to find both symbols");
    expect(version.dli_fbase == operator_new.dli_fbase, "operator new to be goalloc's");
}

void expect_block(void *block, std::size_t size, std::size_t alignment)
{
    expect(block != nullptr, "a block");
    expect(reinterpret_cast<std::uintptr_t>(block) % alignment == 0, "the alignment asked for");
    std::memset(block, 1, size);
}

void use_every_form(std::size_t size)
{
    void *p = ::operator new(size);
    expect_block(p, size, 16);
    ::operator delete(p);
    p = ::operator new(size);
    expect_block(p, size, 16);
    ::operator delete(p, size);
    p = ::operator new(size, std::nothrow);
    expect_block(p, size, 16);
    ::operator delete(p, std::nothrow);
    p = ::operator new[](size);
    expect_block(p, size, 16);
    ::operator delete[](p);
    p = ::operator new[](size);
    expect_block(p, size, 16);
    ::operator delete[](p, size);
    p = ::operator new[](size, std::nothrow);
    expect_block(p, size, 16);
    ::operator delete[](p, std::nothrow);
}

void use_every_aligned_form(std::size_t size, std::size_t alignment)
{
    const auto align = static_cast<std::align_val_t>(alignment);
    void *p = ::operator new(size, align);
    expect_block(p, size, alignment);
    ::operator delete(p, align);
    p = ::operator new(size, align);
    expect_block(p, size, alignment);
    ::operator delete(p, size, align);
    p = ::operator new(size, align, std::nothrow);
    expect_block(p, size, alignment);
    ::operator delete(p, align, std::nothrow);
    p = ::operator new[](size, align);
    expect_block(p, size, alignment);
    ::operator delete[](p, align);
    p = ::operator new[](size, align);
    expect_block(p, size, alignment);
    ::operator delete[](p, size, align);
    p = ::operator new[](size, align, std::nothrow);
    expect_block(p, size, alignment);
    ::operator delete[](p, align, std::nothrow);
}

template <typename Allocate> bool throws_bad_alloc(Allocate allocate)
{
    try {
        void *volatile p = allocate();
        (void)p;
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void fail_every_form(std::size_t size)
{
    const auto align = static_cast<std::align_val_t>(page);
    expect(throws_bad_alloc([=] { return ::operator new(size); }), "new to throw bad_alloc");
    expect(throws_bad_alloc([=] { return ::operator new[](size); }), "new[] to throw bad_alloc");
    expect(throws_bad_alloc([=] { return ::operator new(size, align); }),
           "aligned new to throw bad_alloc");
    expect(throws_bad_alloc([=] { return ::operator new[](size, align); }),
           "aligned new[] to throw bad_alloc");
    expect(!::operator new(size, std::nothrow), "nothrow new to return nullptr");
    expect(!::operator new[](size, std::nothrow), "nothrow new[] to return nullptr");
    expect(!::operator new(size, align, std::nothrow), "nothrow aligned new to return nullptr");
    expect(!::operator new[](size, align, std::nothrow), "nothrow aligned new[] to do so too");
}

/* --- The new-handler --- */

int handler_calls;

void gives_up_at_third_call()
{
    if (++handler_calls == 3)
        std::set_new_handler(nullptr);
}

struct no_more {
};

void throws_at_second_call()
{
    if (++handler_calls == 2)
        throw no_more();
}

void call_handlers()
{
    std::set_new_handler(gives_up_at_third_call);
    expect(throws_bad_alloc([] { return ::operator new(absurd); }), "bad_alloc after the handler");
    expect(handler_calls == 3, "the handler to be called until it gives up");
    handler_calls = 0;
    std::set_new_handler(gives_up_at_third_call);
    expect(!::operator new(absurd, std::nothrow), "nothrow new to give up with the handler");
    expect(handler_calls == 3, "nothrow new to call the handler too");
    handler_calls = 0;
    std::set_new_handler(throws_at_second_call);
    bool caught = false;
    try {
        ::operator delete(::operator new(absurd));
    } catch (const no_more &) {
        caught = true;
    }
    expect(caught && handler_calls == 2, "what a handler throws to reach new's caller");
    std::set_new_handler(nullptr);
}

} // namespace

int main()
{
    alarm(20);
    expect_goalloc();
    for (std::size_t size = 1; size < (static_cast<std::size_t>(4) << 20); size += size / 2 + 1) {
        use_every_form(size);
        for (std::size_t alignment = 1; alignment <= page * 4; alignment *= 4)
            use_every_aligned_form(size, alignment);
    }
    ::operator delete(nullptr);
    ::operator delete[](nullptr);
    fail_every_form(absurd);
    fail_every_form(too_large);
    fail_every_form(SIZE_MAX);
    call_handlers();
    expect(throws_bad_alloc([] { return new char[too_large]; }), "a new expression to throw");
    use_every_form(1000);
    return 0;
}
