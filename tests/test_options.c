// SPDX-License-Identifier: MIT
/* The options table and its parser. What it says goes to stderr, so each parse runs in a child. */
#include "support/test.h"

#include "options/options.h"

/* What a list makes of the flags, and what is said of it. */
struct parse {
    const char *list;
    unsigned stats;   /* expected: enum stats_mode */
    bool help;        /* expected */
    const char *said; /* expected, or NULL: nothing */
};

static void parse_in_child(void *argument)
{
    const struct parse *parse = argument;
    options_parse(parse->list);
    CHILD_CHECK(options.stats == parse->stats);
    CHILD_CHECK(options.help == parse->help);
}

static void check_parses(const struct parse *parses, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct child child;
        child_run(&child, parse_in_child, (void *)(uintptr_t)&parses[i]);
        if (child.status != 0)
            fail_msg("\"%s\": %s", parses[i].list, child.text);
        if (!parses[i].said)
            assert_string_equal(child.text, "");
        else if (!strstr(child.text, parses[i].said))
            fail_msg("\"%s\": expected \"%s\", got: %s", parses[i].list, parses[i].said,
                     child.text);
    }
}

static void a_name_switches_its_flag_on(void **state)
{
    static const struct parse parses[] = {
        {"stats", true, false, NULL},
        {"help", false, true, NULL},
        {"stats,help", true, true, NULL},
        {"help,stats", true, true, NULL},
    };
    check_parses(parses, COUNT(parses));
}

static void a_flag_takes_every_usual_value(void **state)
{
    static const struct parse parses[] = {
        {"stats=on", true, false, NULL},
        {"stats=1", true, false, NULL},
        {"stats=true", true, false, NULL},
        {"stats=yes", true, false, NULL},
        {"stats=off", false, false, NULL},
        {"stats=0", false, false, NULL},
        {"stats=false", false, false, NULL},
        {"stats=no", false, false, NULL},
        {"stats=on,stats=off", false, false, NULL},
        {"stats=off,stats", true, false, NULL},
    };
    check_parses(parses, COUNT(parses));
}

static void a_flag_may_take_words_too(void **state)
{
    static const struct parse parses[] = {
        {"stats=json", STATS_JSON, false, NULL},
        {"stats=json,stats", STATS_SUMMARY, false, NULL},
        {"stats,stats=json", STATS_JSON, false, NULL},
        {"stats=json,stats=off", STATS_OFF, false, NULL},
        {"stats=jso", STATS_OFF, false, "can't be \"jso\": it is on, off or json"},
        {"stats=jsonl", STATS_OFF, false, "can't be \"jsonl\": it is on, off or json"},
        {"help=json", STATS_OFF, false, "can't be \"json\": it is on or off"},
    };
    check_parses(parses, COUNT(parses));
}

/* --- GODEBUG --- */

struct godebug_parse {
    const char *list;
    int scavtrace; /* expected */
};

static void parse_godebug_in_child(void *argument)
{
    const struct godebug_parse *parse = argument;
    godebug_parse(parse->list);
    CHILD_CHECK(godebug.scavtrace == parse->scavtrace);
}

static void godebug_is_read_as_go_reads_it(void **state)
{
    static const struct godebug_parse parses[] = {
        {"", 0},
        {"scavtrace=1", 1},
        {"gctrace=1,scavtrace=2,schedtrace=1000", 2},
        {"scavtrace=1,scavtrace=3", 3}, /* the later counts */
        {"scavtrace=1,scavtrace=0", 0},
        {"scavtrace=1,scavtrace=x", 1}, /* what isn't a number changes nothing */
        {"scavtrace", 0},
        {"scavtrace=", 0},
        {"scavtrace=+", 0},
        {"scavtrace=-1", -1},
        {"scavtrace=+7", 7},
        {"scavtrace=1 ", 0},
        {" scavtrace=1", 0},
        {"scavtrace=0x1", 0},
        {"scavtrace=2147483647", 2147483647},
        {"scavtrace=2147483648", 0},
        {"scavtrace=99999999999999999999999999", 0},
        {"SCAVTRACE=1", 0},
        {"scavtrac=1,scavtraces=1", 0},
        {"=1,,=,,unknown=1,scavtrace=5,", 5},
    };
    for (size_t i = 0; i < COUNT(parses); i++) {
        struct child child;
        child_run(&child, parse_godebug_in_child, (void *)(uintptr_t)&parses[i]);
        if (child.status != 0)
            fail_msg("\"%s\": %s", parses[i].list, child.text);
        assert_string_equal(child.text, ""); /* whatever it holds, it is Go's */
    }
}

static void a_bad_value_is_named_and_changes_nothing(void **state)
{
    static const struct parse parses[] = {
        {"stats=maybe", false, false, "option stats can't be \"maybe\""},
        {"stats=", false, false, "option stats can't be \"\""},
        {"stats=ON", false, false, "option stats can't be \"ON\""},
        {"stats=on=on", false, false, "option stats can't be \"on=on\""},
        {"stats,stats=maybe", true, false, "can't be"},
        {"stats=onn,help", false, true, "\"onn\""},
    };
    check_parses(parses, COUNT(parses));
}

static void a_misspelt_name_gets_the_nearest_and_parsing_goes_on(void **state)
{
    static const struct parse parses[] = {
        {"stat", false, false, "unknown option \"stat\"; did you mean \"stats\"?"},
        {"sttas,help", false, true, "\"sttas\"; did you mean \"stats\"?"},
        {"hlep,stats", true, false, "\"hlep\"; did you mean \"help\"?"},
        {"STATS", false, false, "unknown option \"STATS\""},
        {"statsx=on", false, false, "\"statsx\"; did you mean \"stats\"?"},
        {"=on", false, false, "unknown option \"\""},
        {" stats", false, false, "\" stats\"; did you mean \"stats\"?"},
        {"hel", false, false, "did you mean \"help\"?"},
    };
    check_parses(parses, COUNT(parses));
}

static void empty_items_are_passed_over(void **state)
{
    static const struct parse parses[] = {
        {"", false, false, NULL},          {",", false, false, NULL},
        {",,,stats,,", true, false, NULL}, {"stats,", true, false, NULL},
        {",help", false, true, NULL},
    };
    check_parses(parses, COUNT(parses));
}

static void long_names_and_values_are_cut(void **state)
{
    static char name[5000], value[5000];
    memset(name, 'n', sizeof(name) - 1);
    memset(value, 'v', sizeof(value) - 1);
    memcpy(value, "stats=", 6);
    char expected[80] = "unknown option \"";
    memset(expected + strlen(expected), 'n', 32);
    strcat(expected, "\";");
    const struct parse parses[] = {
        {name, false, false, expected},
        {value, false, false, "option stats can't be \"vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\":"},
    };
    check_parses(parses, COUNT(parses));
}

static void what_is_said_stays_on_one_line(void **state)
{
    static const struct parse parses[] = {
        {"a\nb", false, false, "unknown option \"a?b\""},
        {"stats=\r\x1b[2J", false, false, "can't be \"??[2J\""},
        {"stats=\x7f", false, false, "can't be \"?\""},
    };
    check_parses(parses, COUNT(parses));
}

/* Whatever the bytes: it ends, it says lines, and it touches nothing but the flags. */
static void parse_noise(void *argument)
{
    static const char alphabet[] = "stahelp=,,=on10\xff\x01 ";
    struct dice dice = {(uintptr_t)argument};
    for (int i = 0; i < 2000; i++) {
        char list[120];
        size_t length = dice_below(&dice, sizeof(list));
        for (size_t j = 0; j < length; j++)
            list[j] = alphabet[dice_below(&dice, sizeof(alphabet) - 1)];
        list[length] = '\0';
        options_parse(list);
    }
}

static void any_bytes_may_be_parsed(void **state)
{
    for (uintptr_t seed = 1; seed <= 5; seed++) {
        struct child child;
        child_run(&child, parse_noise, (void *)seed);
        assert_int_equal(child.status, 0);
        assert_ptr_equal(strstr(child.text, "goalloc: "), child.text);
    }
}

static void every_option_is_named_typed_and_explained(void **state)
{
    assert_true(options_count > 0);
    for (size_t i = 0; i < options_count; i++) {
        const struct option *option = &options_table[i];
        assert_in_range(strlen(option->name), 1, 32);
        assert_null(strpbrk(option->name, ",= "));
        assert_true(strlen(option->help) > 0);
        assert_non_null(option->value);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(option->name, options_table[j].name);
            assert_ptr_not_equal(option->value, options_table[j].value);
        }
    }
}

#define NONE UINT64_MAX

/* GOMEMLIMIT and GOALLOC, what they make of the limit, and what is said. */
static const struct limit_case {
    const char *go, *ours;
    uint64_t limit;
    const char *said;
} limit_cases[] = {
    {NULL, NULL, NONE, NULL},
    {"1000", NULL, 1000, NULL},
    {"0", NULL, 0, NULL},
    {"12B", NULL, 12, NULL},
    {"3KiB", NULL, 3 << 10, NULL},
    {"200MiB", NULL, 200 << 20, NULL},
    {"2GiB", NULL, UINT64_C(2) << 30, NULL},
    {"5TiB", NULL, UINT64_C(5) << 40, NULL},
    {"off", NULL, NONE, NULL},
    {"", NULL, NONE, NULL},
    {"18446744073709551615", NULL, NONE, NULL},
    {"18446744073709551616", NULL, NONE, "GOMEMLIMIT can't be \"18446744073709551616\""},
    {"99999999TiB", NULL, NONE, "can't be"},
    {"200MB", NULL, NONE,
     "GOMEMLIMIT can't be \"200MB\": it is a number of B, KiB, MiB, GiB or TiB"},
    {"MiB", NULL, NONE, "can't be"},
    {"-1", NULL, NONE, "can't be"},
    {"1.5GiB", NULL, NONE, "can't be"},
    {" 1", NULL, NONE, "can't be"},
    {"cgroup", NULL, NONE, "can't be"},
    {NULL, "memlimit=1MiB", 1 << 20, NULL},
    {NULL, "memlimit=off", NONE, NULL},
    {NULL, "memlimit", NONE, "option memlimit can't be \"\""},
    {NULL, "memlimit=on", NONE, "option memlimit can't be \"on\": it is a number of B, KiB"},
    {NULL, "memlimit=", NONE, "can't be"},
    {"1MiB", "memlimit=2MiB", 2 << 20, NULL},
    {"1MiB", "memlimit=off", NONE, NULL},
    {"1MiB", "memlimit=x", 1 << 20, "\"x\""},
    {"x", "memlimit=2MiB", 2 << 20, "GOMEMLIMIT"},
};

static void parse_limit(void *argument)
{
    const struct limit_case *c = argument;
    if (c->go)
        options_parse_memory_limit(c->go);
    if (c->ours)
        options_parse(c->ours);
    CHILD_CHECK(options.memory_limit == c->limit);
}

static void a_memory_limit_is_read_as_go_reads_it(void **state)
{
    for (size_t i = 0; i < COUNT(limit_cases); i++) {
        const struct limit_case *c = &limit_cases[i];
        struct child child;
        child_run(&child, parse_limit, (void *)(uintptr_t)c);
        if (child.status != 0 || (c->said ? !strstr(child.text, c->said) : child.text[0]))
            fail_msg("\"%s\", \"%s\": %s", c->go ? c->go : "-", c->ours ? c->ours : "-",
                     child.text);
    }
}

static void parse_thp(void *argument)
{
    options_parse("thp=never,thp=sometimes");
    CHILD_CHECK(options.thp == THP_NEVER);
    options_parse("thp=always");
    CHILD_CHECK(options.thp == THP_ALWAYS);
    options_parse("thp=auto,thp");
    CHILD_CHECK(options.thp == THP_AUTO);
}

static void a_word_is_one_of_a_few(void **state)
{
    struct child child;
    child_run(&child, parse_thp, NULL);
    assert_int_equal(child.status, 0);
    assert_non_null(
        strstr(child.text, "option thp can't be \"sometimes\": it is auto, always or never\n"));
    assert_non_null(strstr(child.text, "option thp can't be \"\""));
}

static void print_help(void *argument)
{
    options_print_help();
}

static void help_lists_every_option(void **state)
{
    struct child child;
    child_run(&child, print_help, NULL);
    assert_int_equal(child.status, 0);
    for (size_t i = 0; i < options_count; i++) {
        assert_non_null(strstr(child.text, options_table[i].name));
        assert_non_null(strstr(child.text, options_table[i].help));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_switches_its_flag_on),
        cmocka_unit_test(a_flag_takes_every_usual_value),
        cmocka_unit_test(a_flag_may_take_words_too),
        cmocka_unit_test(godebug_is_read_as_go_reads_it),
        cmocka_unit_test(a_bad_value_is_named_and_changes_nothing),
        cmocka_unit_test(a_misspelt_name_gets_the_nearest_and_parsing_goes_on),
        cmocka_unit_test(empty_items_are_passed_over),
        cmocka_unit_test(long_names_and_values_are_cut),
        cmocka_unit_test(what_is_said_stays_on_one_line),
        cmocka_unit_test(any_bytes_may_be_parsed),
        cmocka_unit_test(every_option_is_named_typed_and_explained),
        cmocka_unit_test(help_lists_every_option),
        cmocka_unit_test(a_memory_limit_is_read_as_go_reads_it),
        cmocka_unit_test(a_word_is_one_of_a_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
