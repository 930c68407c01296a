// SPDX-License-Identifier: MIT
/*
 * goalloc/coro_go.h: how ga_go checks its arguments. Included by goalloc/coro.h.
 *
 * C: three checks, none of which makes code. The call itself, unevaluated, sees to the number of
 * arguments and their types. A second one, with a null pointer for each argument, can't be
 * compiled if a parameter is a floating-point number or a struct, to which no pointer converts. And
 * each argument must be an integer or a pointer.
 */
#ifndef GOALLOC_CORO_GO_H
#define GOALLOC_CORO_GO_H

#if !defined(__cplusplus)

#define GA_COUNT_(...)                            GA_COUNT_7_(__VA_ARGS__, 6, 5, 4, 3, 2, 1, 0, )
#define GA_COUNT_7_(fn, a, b, c, d, e, f, n, ...) n
#define GA_JOIN_(a, b)                            GA_JOIN_2_(a, b)
#define GA_JOIN_2_(a, b)                          a##b

/* Behind a comma an array is the pointer that it is passed as. */
#define GA_WORD_(x)                                                                                \
    _Static_assert(_Generic((x), float : 0, double : 0, long double : 0, default : 1) &&           \
                       sizeof(__typeof__(((void)0, (x)))) <= sizeof(void *),                       \
                   "ga_go: an argument is neither an integer nor a pointer")
#define GA_NO_POINTER_ ((void *)0)

#define GA_NULLS_0_
#define GA_NULLS_1_ GA_NO_POINTER_
#define GA_NULLS_2_ GA_NULLS_1_, GA_NO_POINTER_
#define GA_NULLS_3_ GA_NULLS_2_, GA_NO_POINTER_
#define GA_NULLS_4_ GA_NULLS_3_, GA_NO_POINTER_
#define GA_NULLS_5_ GA_NULLS_4_, GA_NO_POINTER_
#define GA_NULLS_6_ GA_NULLS_5_, GA_NO_POINTER_

#define GA_WORDS_0_()
#define GA_WORDS_1_(a) GA_WORD_(a);
#define GA_WORDS_2_(a, b)                                                                          \
    GA_WORD_(a);                                                                                   \
    GA_WORDS_1_(b)
#define GA_WORDS_3_(a, b, c)                                                                       \
    GA_WORD_(a);                                                                                   \
    GA_WORDS_2_(b, c)
#define GA_WORDS_4_(a, b, c, d)                                                                    \
    GA_WORD_(a);                                                                                   \
    GA_WORDS_3_(b, c, d)
#define GA_WORDS_5_(a, b, c, d, e)                                                                 \
    GA_WORD_(a);                                                                                   \
    GA_WORDS_4_(b, c, d, e)
#define GA_WORDS_6_(a, b, c, d, e, f)                                                              \
    GA_WORD_(a);                                                                                   \
    GA_WORDS_5_(b, c, d, e, f)

#define GA_ARGS_0_()           0, 0, 0, 0, 0, 0
#define GA_ARGS_1_(a)          (uintptr_t)(a), 0, 0, 0, 0, 0
#define GA_ARGS_2_(a, b)       (uintptr_t)(a), (uintptr_t)(b), 0, 0, 0, 0
#define GA_ARGS_3_(a, b, c)    (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), 0, 0, 0
#define GA_ARGS_4_(a, b, c, d) (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d), 0, 0
#define GA_ARGS_5_(a, b, c, d, e)                                                                  \
    (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d), (uintptr_t)(e), 0
#define GA_ARGS_6_(a, b, c, d, e, f)                                                               \
    (uintptr_t)(a), (uintptr_t)(b), (uintptr_t)(c), (uintptr_t)(d), (uintptr_t)(e), (uintptr_t)(f)

/* 12 and 13 are gcc's and clang's classes of structs and unions. */
#define GA_CLASS_OF_(type)                                                                         \
    __builtin_classify_type(                                                                       \
        *(__typeof__(_Generic((type *)0, void *: (int *)0, default: (type *)0)))0)
#define GA_IS_STRUCT_(type) (GA_CLASS_OF_(type) == 12 || GA_CLASS_OF_(type) == 13)

#define GA_GO_(n, options, scope, fn, ...)                                                         \
    __extension__({                                                                                \
        _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wint-conversion\"")      \
            _Pragma("GCC diagnostic ignored \"-Wnonnull\"")(void)(                                 \
                __typeof__((fn)(GA_JOIN_2_(GA_NULLS_, n##_))) *)0;                                 \
        _Pragma("GCC diagnostic pop")(void)(__typeof__((fn)(__VA_ARGS__)) *)0;                     \
        _Static_assert(!GA_IS_STRUCT_(__typeof__((fn)(__VA_ARGS__))),                              \
                       "ga_go: the function returns a struct");                                    \
        GA_WORDS_##n##_(__VA_ARGS__) static const struct ga_site ga_site_ = {__FILE__, __func__,   \
                                                                             #fn, __LINE__};       \
        ga_go_start(&ga_site_, options, scope, (void (*)(void))(fn), GA_ARGS_##n##_(__VA_ARGS__)); \
    })
#define GA_GO_N_(n, options, scope, ...)  GA_JOIN_(GA_GO_N2_, )(n, options, scope, __VA_ARGS__)
#define GA_GO_N2_(n, options, scope, ...) GA_GO_(n, options, scope, __VA_ARGS__)

#define ga_go(...)               GA_GO_N_(GA_COUNT_(__VA_ARGS__), (void *)0, (void *)0, __VA_ARGS__)
#define ga_go_opts(options, ...) GA_GO_N_(GA_COUNT_(__VA_ARGS__), options, (void *)0, __VA_ARGS__)
#define ga_scope_go(scope, ...)  GA_GO_N_(GA_COUNT_(__VA_ARGS__), (void *)0, scope, __VA_ARGS__)

#else

template <typename T> struct ga_plain_type_ {
    typedef T type;
};
template <typename T> struct ga_plain_type_<T &> {
    typedef T *type;
};
template <typename T> struct ga_plain_type_<T &&> {
    typedef T *type;
};

template <typename T> inline uintptr_t ga_word_(T value)
{
    static_assert(sizeof(T) <= sizeof(void *) && (__is_enum(T) || !__is_class(T)) && !__is_union(T),
                  "ga_go: a parameter is neither an integer nor a pointer");
    return (uintptr_t)value;
}
inline uintptr_t ga_word_(float) = delete;
inline uintptr_t ga_word_(double) = delete;
inline uintptr_t ga_word_(long double) = delete;

template <typename T> struct ga_is_real_ {
    enum { value = 0 };
};
template <> struct ga_is_real_<float> {
    enum { value = 1 };
};
template <> struct ga_is_real_<double> {
    enum { value = 1 };
};
template <> struct ga_is_real_<long double> {
    enum { value = 1 };
};

template <typename P, typename A> inline uintptr_t ga_argument_(A value)
{
    static_assert(!ga_is_real_<A>::value, "ga_go: an argument is neither an integer nor a pointer");
    return ga_word_(static_cast<P>(value));
}

template <typename R, typename... P, typename... A>
inline int ga_go_cxx_(const ga_site *site, const ga_go_options *options, ga_scope *scope,
                      R (*fn)(P...), A... args)
{
    static_assert(sizeof...(P) == sizeof...(A), "ga_go: the wrong number of arguments");
    static_assert(sizeof...(P) <= 6, "ga_go: at most 6 arguments");
    static_assert(!__is_class(R) && !__is_union(R), "ga_go: the function returns a struct");
    const uintptr_t words[7] = {ga_argument_<P>(args)...};
    return ga_go_start(site, options, scope, (void (*)(void))fn, words[0], words[1], words[2],
                       words[3], words[4], words[5]);
}

#define GA_SITE_(fn)                                                                               \
    ([](const char *function) -> const ga_site * {                                                 \
        static const ga_site site = {__FILE__, function, fn, __LINE__};                            \
        return &site;                                                                              \
    }(__func__))
#define ga_go(...)               ga_go_cxx_(GA_SITE_(#__VA_ARGS__), nullptr, nullptr, __VA_ARGS__)
#define ga_go_opts(options, ...) ga_go_cxx_(GA_SITE_(#__VA_ARGS__), options, nullptr, __VA_ARGS__)
#define ga_scope_go(scope, ...)  ga_go_cxx_(GA_SITE_(#__VA_ARGS__), nullptr, scope, __VA_ARGS__)

#endif

#endif
