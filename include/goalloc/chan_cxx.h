// SPDX-License-Identifier: MIT
/* chan_cxx.h: the typed half of chan.h for C++, which has templates where C has compound literals
 * and _Generic. Included by chan.h alone. */
#ifndef GOALLOC_CHAN_CXX_H
#define GOALLOC_CHAN_CXX_H

#include <initializer_list>
#include <type_traits>

template <class T> struct ga_same_ {
    typedef T type;
};

template <class C> struct ga_element_;
template <class T> struct ga_element_<T *(*)[1]> {
    static_assert(std::is_trivially_copyable<T>::value, "a channel copies its elements as memory");
    typedef T type;
};

template <class T> inline ga_channel *ga_channel_of_(T *(*c)[1])
{
    static_assert(std::is_trivially_copyable<T>::value, "a channel copies its elements as memory");
    return reinterpret_cast<ga_channel *>(c);
}

/* The conversions that an assignment allows, and no others. */
template <class P> inline P ga_pointer_as_(P p)
{
    return p;
}

template <class C>
inline C ga_make_(long long capacity, bool pointer_free, const char *file, int line)
{
    typedef typename ga_element_<C>::type T;
    /* An integer as wide as a pointer may hold one. */
    bool number = std::is_floating_point<T>::value ||
                  (std::is_integral<T>::value && sizeof(T) < sizeof(void *));
    return reinterpret_cast<C>(
        ga_chan_make(sizeof(T), capacity, pointer_free || number, file, line));
}

template <class T> inline void ga_send(T *(*c)[1], const typename ga_same_<T>::type &value)
{
    ga_chan_send(ga_channel_of_(c), &value);
}

template <class T> inline bool ga_try_send(T *(*c)[1], const typename ga_same_<T>::type &value)
{
    return ga_chan_try_send(ga_channel_of_(c), &value);
}

template <class T>
inline int ga_send_ctx(ga_context *context, T *(*c)[1], const typename ga_same_<T>::type &value)
{
    return ga_chan_send_ctx(context, ga_channel_of_(c), &value);
}

template <class T> inline T ga_recv(T *(*c)[1])
{
    T value;
    (void)ga_chan_recv(ga_channel_of_(c), &value);
    return value;
}

inline ga_case ga_case_of_(ga_channel *channel, void *element, bool *ok, ga_case_kind kind)
{
    ga_case one = {channel, element, ok, kind};
    return one;
}

/* The value lives until the whole ga_select is done. */
template <class T> inline ga_case GA_SEND(T *(*c)[1], const typename ga_same_<T>::type &value)
{
    return ga_case_of_(ga_channel_of_(c), const_cast<void *>(static_cast<const void *>(&value)),
                       nullptr, GA_CASE_SEND);
}

inline int ga_select_list_(std::initializer_list<ga_case> cases)
{
    return ga_select_cases(cases.begin(), cases.size());
}

#define ga_select(...) ga_select_list_({__VA_ARGS__})

#define GA_CHANNEL_(c)        ga_channel_of_(c)
#define GA_POINTER_(c, p)     ga_pointer_as_<__typeof__(**(c))>(p)
#define GA_CASE_(c, p, ok, k) ga_case_of_(c, p, ok, k)
#define GA_MAKE_(C, capacity, ...)                                                                 \
    ga_make_<C>(static_cast<long long>(capacity), false, __FILE__, __LINE__)
#define GA_MAKE_POINTER_FREE_(C, capacity, ...)                                                    \
    ga_make_<C>(static_cast<long long>(capacity), true, __FILE__, __LINE__)

#endif
