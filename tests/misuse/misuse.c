// SPDX-License-Identifier: MIT
//
// Makes each mistake of the table in a process of its own, in each mode, and looks for what must be
// said of it; then does the same thing right, which must end well with nothing said.
//
// usage: misuse                 all of them; succeeds by exit status 0
//        misuse CASE [right]    one, in this process, in the mode that GOALLOC says
//        misuse --table         what is expected, as docs/security.md has it

#include "misuse.h"

static const struct mode {
    const char *options, *name;
} modes[] = {{"", "default"}, {"hardened", "hardened"}, {"sample=1", "sample=1"}};

static const char *expected(const struct misuse_case *it, unsigned mode)
{
    const char *of[] = {it->by_default, it->hardened, it->sampled};
    bool also = of[mode] && strcmp(of[mode], ALSO) == 0;
    return also ? it->by_default : of[mode];
}

/* --- One case --- */

static const struct misuse_case *find(const char *name)
{
    for (size_t i = 0; i < misuse_count; i++)
        if (strcmp(misuse_cases[i].name, name) == 0)
            return &misuse_cases[i];
    return NULL;
}

static int run_one(const char *name, bool wrong)
{
    const struct misuse_case *it = find(name);
    watchdog(20);
    expect(it != NULL, "expected the name of a case, not %s", name);
    it->run(wrong);
    return 0;
}

/* --- All of them --- */

struct outcome {
    int status;
    char text[16384];
};

static void read_all(int from, struct outcome *out)
{
    size_t length = 0;
    for (ssize_t got; length < sizeof(out->text) - 1; length += (size_t)got)
        if ((got = read(from, out->text + length, sizeof(out->text) - 1 - length)) <= 0)
            break;
    out->text[length] = '\0';
}

static void start(const struct misuse_case *it, unsigned mode, bool wrong, struct outcome *out)
{
    int ends[2];
    expect(pipe(ends) == 0, "expected a pipe");
    setenv("GOALLOC", modes[mode].options, 1);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        execl("/proc/self/exe", "misuse", it->name, wrong ? NULL : "right", NULL);
        _exit(127);
    }
    close(ends[1]);
    read_all(ends[0], out);
    close(ends[0]);
    expect(waitpid(child, &out->status, 0) == child, "expected to wait for the child");
}

static unsigned failures;

static void complain(const struct misuse_case *it, unsigned mode, const char *problem,
                     const struct outcome *out)
{
    fprintf(stderr, "%s, %s: %s; status 0x%x, said: %s\n", it->name, modes[mode].name, problem,
            (unsigned)out->status, out->text[0] ? out->text : "nothing");
    failures++;
}

static void try_wrong(const struct misuse_case *it, unsigned mode)
{
    struct outcome out;
    const char *expect_text = expected(it, mode);
    if (expect_text && strcmp(expect_text, ANYTHING) == 0)
        return;
    start(it, mode, true, &out);
    if (!expect_text && (out.status != 0 || out.text[0]))
        complain(it, mode, "expected nothing to be said", &out);
    if (expect_text && !strstr(out.text, expect_text))
        complain(it, mode, expect_text, &out);
    if (expect_text && out.status == 0)
        complain(it, mode, "expected it to end badly", &out);
}

static void try_right(const struct misuse_case *it, unsigned mode)
{
    struct outcome out;
    start(it, mode, false, &out);
    if (out.status != 0 || out.text[0])
        complain(it, mode, "expected the correct twin to end well, with nothing said", &out);
}

/* --- The table --- */

static const char *cell(const char *text)
{
    if (!text)
        return "no";
    return strcmp(text, ANYTHING) == 0 ? "by chance" : "yes";
}

static void print_table(void)
{
    puts("| mistake | default | hardened | when sampled |\n|---|---|---|---|");
    for (size_t i = 0; i < misuse_count; i++)
        printf("| %s | %s | %s | %s |\n", misuse_cases[i].what, cell(expected(&misuse_cases[i], 0)),
               cell(expected(&misuse_cases[i], 1)), cell(expected(&misuse_cases[i], 2)));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--table") == 0) {
        print_table();
        return 0;
    }
    if (argc > 1 && argv[1][0] != '/')
        return run_one(argv[1], argc == 2);
    promise_begin(600);
    for (size_t i = 0; i < misuse_count; i++)
        for (unsigned mode = 0; mode < sizeof(modes) / sizeof(*modes); mode++) {
            try_wrong(&misuse_cases[i], mode);
            try_right(&misuse_cases[i], mode);
        }
    return failures != 0;
}
