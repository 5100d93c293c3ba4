/* SPDX-License-Identifier: MIT */
/*
 * stacks.c: the library's walks against libunwind's: in this program, over code of many kinds, and in an
 * unmodified one of the system's. At least 99 % must be equal, and none may be wrong. One of a thousand is
 * unequal: a hundred do not tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "accuracy.h"
#include "compare.h"
#include "varied.h"
#include "work.h"

#ifdef ACCURACY_ORACLE

#define MEAN_NS 150000
#define LEAST 1000 /* walks to judge a percentage by */

struct counts {
    unsigned long long compared, by_rules, equal, shorter, longer, alone, wrong, loader;
};

static bool suffices(unsigned long long compared, unsigned long long loader)
{
    return compared - loader >= LEAST;
}

static bool judge(const char *what, const struct counts *counts)
{
    const double compared = (double)(counts->compared - counts->loader);
    const double equal = 100 * (double)counts->equal / compared;
    accuracy_note("%s: %llu walks, %llu of them by rules; unequal: %llu shorter, %llu longer, %llu unlike "
                  "libunwind's alone, %llu unlike both; "
                  "%llu inside the loader, which libunwind was not asked about",
                  what, counts->compared, counts->by_rules, counts->shorter, counts->longer, counts->alone,
                  counts->wrong, counts->loader);
    bool is_met = accuracy_say(counts->wrong == 0, "%s: %llu wrong (0)", what, counts->wrong);
    if (!suffices(counts->compared, counts->loader))
        accuracy_note("%s: %.2f %% equal to libunwind's, of too few to judge by", what, equal);
    else
        is_met = accuracy_say(equal >= 99, "%s: %.2f %% equal to libunwind's (99)", what, equal) && is_met;
    return is_met;
}

int stacks_run(bool is_long)
{
    const uint64_t wanted = is_long ? 30000 : 3000;
    const uint64_t start_ns = work_wall_ns();
    const uint64_t enough_ns = (is_long ? 60 : 10) * UINT64_C(1000000000);
    const uint64_t most_ns = UINT64_C(100000000000);
    const uint64_t *results = compare_counts.results;
    if (!compare_begin(ACCURACY_ORACLE, MEAN_NS))
        return ACCURACY_SKIPPED;
    for (uint64_t passed_ns = 0; compare_counts.compared < wanted; passed_ns = work_wall_ns() - start_ns) {
        const bool is_enough = suffices(compare_counts.compared, results[COMPARE_LOADER]);
        if (passed_ns > (is_enough ? enough_ns : most_ns))
            break;
        varied_run(ACCURACY_MODULE);
    }
    compare_end();
    const struct counts counts = {
        compare_counts.compared, compare_counts.by_rules, results[COMPARE_EQUAL], results[COMPARE_SHORTER],
        results[COMPARE_LONGER], results[COMPARE_ALONE],  results[COMPARE_WRONG], results[COMPARE_LOADER],
    };
    if (counts.equal < counts.compared)
        compare_print(stdout);
    return judge("varied code", &counts) ? 0 : 1;
}

/* --- A program of the system's -------------------------------------------------------------------------- */

static const char python_script[] =
    "import json, re, sys, collections\n"
    "rounds = int(sys.argv[1])\n"
    "for n in range(rounds):\n"
    "    data = [{'k%d' % i: [i * 1.5, str(i), None, {'x': i}]} for i in range(200)]\n"
    "    text = json.dumps(data, sort_keys=True)\n"
    "    data = json.loads(text)\n"
    "    data.sort(key=lambda d: -len(list(d)[0]))\n"
    "    words = re.sub(r'[^a-z0-9]+', lambda m: ' ', text).split()\n"
    "    collections.Counter(words).most_common(3)\n"
    "    sum(pow(i, 77, 1009) for i in range(500))\n"
    "    ' '.join(sorted(words, key=lambda w: w[::-1]))\n";

static const char perl_script[] =
    "my $rounds = shift;\n"
    "for my $n (1..$rounds) {\n"
    "    my %h = map { (\"k$_\", [$_, $_ * 1.5]) } 1..400;\n"
    "    my $t = join ' ', map { \"$_=$h{$_}[1]\" } sort { $h{$b}[0] <=> $h{$a}[0] } keys %h;\n"
    "    $t =~ s/([a-z])(\\d+)/sprintf('%s-%05d', $1, $2)/ge;\n"
    "    my @w = split /\\s+/, $t; my $s = 0; $s += length for @w;\n"
    "}\n";

static bool spawn(char *const *arguments, char *const *environment)
{
    pid_t pid;
    int status = 0;
    const int error = posix_spawnp(&pid, arguments[0], NULL, NULL, arguments, environment);
    if (error != 0)
        return false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status == 0;
}

static void add_counts(struct counts *sum, const struct counts *more)
{
    sum->compared += more->compared;
    sum->by_rules += more->by_rules;
    sum->equal += more->equal;
    sum->shorter += more->shorter;
    sum->longer += more->longer;
    sum->alone += more->alone;
    sum->wrong += more->wrong;
    sum->loader += more->loader;
}

/* Adds the counts of one run. */
static bool compare_rounds(const char *name, const char *option, const char *script, unsigned rounds,
                           struct counts *counts)
{
    char path[] = "/tmp/accuracy-XXXXXX";
    const int fd = mkstemp(path);
    if (fd < 0)
        return false;
    close(fd);
    char compared[64];
    snprintf(compared, sizeof compared, "ACCURACY_COMPARED=%s", path);
    char number[16];
    snprintf(number, sizeof number, "%u", rounds);
    char *const environment[] = { (char *)(uintptr_t) "PATH=/usr/local/bin:/usr/bin:/bin",
                                  (char *)(uintptr_t) "LC_ALL=C.UTF-8",
                                  (char *)(uintptr_t) "LD_PRELOAD=" ACCURACY_PRELOAD,
                                  (char *)(uintptr_t) "ACCURACY_ORACLE=" ACCURACY_ORACLE,
                                  compared,
                                  NULL };
    char *const arguments[] = { (char *)(uintptr_t)name, (char *)(uintptr_t)option, (char *)(uintptr_t)script,
                                number, NULL };
    FILE *in = spawn(arguments, environment) ? fopen(path, "r") : NULL;
    unlink(path);
    if (in == NULL)
        return false;
    struct counts its;
    const bool is_read = fscanf(in,
                                "compared %llu by_rules %llu equal %llu shorter %llu longer %llu alone %llu "
                                "wrong %llu loader %llu\n",
                                &its.compared, &its.by_rules, &its.equal, &its.shorter, &its.longer,
                                &its.alone, &its.wrong, &its.loader) == 8;
    if (is_read)
        add_counts(counts, &its);
    char line[4096];
    while (is_read && fgets(line, sizeof line, in) != NULL)
        fputs(line, stdout);
    fclose(in);
    return is_read;
}

/* More rounds where a fast machine is through with them after too few walks. */
static bool compare_program(const char *name, const char *option, const char *script, unsigned rounds,
                            struct counts *counts)
{
    const uint64_t until_ns = work_wall_ns() + UINT64_C(100000000000);
    if (!compare_rounds(name, option, script, rounds, counts))
        return false;
    for (unsigned tries = 1;
         tries < 5 && work_wall_ns() < until_ns && !suffices(counts->compared, counts->loader); tries++)
        if (!compare_rounds(name, option, script, rounds << tries, counts))
            return accuracy_say(false, "%s: it ran once, and not again", name);
    return true;
}

int program_run(bool is_long)
{
    struct counts python = { 0 };
    struct counts perl = { 0 };
    const bool has_python =
        compare_program("/usr/bin/python3", "-c", python_script, is_long ? 300 : 240, &python);
    const bool has_perl = compare_program("/usr/bin/perl", "-e", perl_script, is_long ? 2000 : 500, &perl);
    if (!has_python && !has_perl) {
        accuracy_note("neither python3 nor perl of the system runs with the comparing library");
        return ACCURACY_SKIPPED;
    }
    bool is_met = true;
    if (has_python)
        is_met = judge("python3", &python) && is_met;
    if (has_perl)
        is_met = judge("perl", &perl) && is_met;
    return is_met ? 0 : 1;
}

#else

int stacks_run(bool is_long)
{
    (void)is_long;
    accuracy_note("needs libunwind (libunwind-dev), and a build without sanitizers");
    return ACCURACY_SKIPPED;
}

int program_run(bool is_long)
{
    return stacks_run(is_long);
}

#endif
