// SPDX-License-Identifier: MIT
// Heavy to compile: templates that instantiate templates, visits over variants, constant
// evaluation, and as many containers as -DTYPES says. Run, it prints figures that depend on all
// of them.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#ifndef TYPES
#define TYPES 24
#endif

template <std::size_t N> struct Item {
    std::uint64_t value = N;
    std::string name = "item" + std::to_string(N);
    bool operator<(const Item &other) const
    {
        return value < other.value;
    }
};

template <std::size_t N> struct Store {
    std::map<std::string, std::vector<Item<N>>> by_name;
    std::unordered_map<std::uint64_t, std::shared_ptr<Item<N>>> by_value;
    std::set<std::pair<Item<N>, std::uint64_t>> ordered;

    std::uint64_t fill(std::uint64_t count)
    {
        for (std::uint64_t i = 0; i < count; i++) {
            auto item = std::make_shared<Item<N>>();
            item->value = i * (2 * N + 1) % 97;
            item->name += '/' + std::to_string(i % 7);
            by_name[item->name].push_back(*item);
            ordered.emplace(*item, i);
            by_value[item->value] = std::move(item);
        }
        std::uint64_t total = by_value.size() + ordered.size();
        for (auto &[name, items] : by_name) {
            std::sort(items.begin(), items.end());
            total += name.size() * items.front().value + items.back().value;
        }
        return total;
    }
};

template <std::size_t... N> std::uint64_t fill_all(std::index_sequence<N...>)
{
    std::tuple<Store<N>...> stores;
    return (std::get<N>(stores).fill(50 + N) + ...);
}

template <std::size_t... N> auto make_variants(std::index_sequence<N...>)
{
    using Any = std::variant<Item<N>...>;
    std::vector<Any> all;
    (all.emplace_back(Item<N>{}), ...);
    return all;
}

template <typename A, typename B> struct Cross {
    std::uint64_t operator()(const A &a, const B &b) const
    {
        return a.value * 31 + b.name.size();
    }
};

std::uint64_t visit_pairs()
{
    auto all = make_variants(std::make_index_sequence<TYPES / 2>{});
    std::uint64_t total = 0;
    for (auto &left : all) {
        for (auto &right : all) {
            total += std::visit(
                [](const auto &a, const auto &b) {
                    return Cross<std::decay_t<decltype(a)>, std::decay_t<decltype(b)>>{}(a, b);
                },
                left, right);
        }
    }
    return total;
}

template <std::size_t N> constexpr std::array<std::uint32_t, N> primes()
{
    std::array<std::uint32_t, N> found{};
    std::size_t count = 0;
    for (std::uint32_t n = 2; count < N; n++) {
        bool prime = true;
        for (std::size_t i = 0; i < count && found[i] * found[i] <= n; i++) {
            prime = prime && n % found[i] != 0;
        }
        if (prime) {
            found[count++] = n;
        }
    }
    return found;
}

template <std::size_t N> struct Chain {
    using Previous = Chain<N - 1>;
    std::function<std::uint64_t(std::uint64_t)> step = [previous = Previous{}](std::uint64_t x) {
        return previous.step(x) * 3 + N;
    };
};

template <> struct Chain<0> {
    std::function<std::uint64_t(std::uint64_t)> step = [](std::uint64_t x) { return x; };
};

int main()
{
    constexpr auto table = primes<400>();
    std::regex pattern("(\\w+)-(\\d+)(?:x|yy)+");
    std::smatch match;
    std::string text = "some item-4711xyyx here";
    std::printf("%llu\n", (unsigned long long)fill_all(std::make_index_sequence<TYPES>{}));
    std::printf("%llu\n", (unsigned long long)visit_pairs());
    std::printf("%u\n", std::accumulate(table.begin(), table.end(), 0u));
    std::printf("%llu\n", (unsigned long long)Chain<TYPES>{}.step(1));
    std::printf("%s\n", std::regex_search(text, match, pattern) ? match[2].str().c_str() : "none");
}
