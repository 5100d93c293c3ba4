/* SPDX-License-Identifier: MIT */
/*
 * The formats: exact text where a format is text, structure where it is JSON, errors of the descriptor, and
 * what happens without memory. pprof has a test of its own. Nothing is measured: the profile is made by
 * hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check_main.h"
#include "json_check.h"
#include "profile/formats/utf8.h"
#include "refusal.h"
#include "written.h"

#define EXPECT(call, value) ck_assert_int_eq((call), (value))
#define MS UINT64_C(1000000)
#define REPLACED "\xef\xbf\xbd"

static struct made_profile made;
static struct written written;

static const struct {
    enum aw_profile_format format;
    written_by_fn *function;
} formats[] = {
    { AW_PROFILE_PPROF, awi_write_pprof },
    { AW_PROFILE_FOLDED, awi_write_folded },
    { AW_PROFILE_SPEEDSCOPE, awi_write_speedscope },
    { AW_PROFILE_SVG, awi_write_svg },
    { AW_PROFILE_TEXT, awi_write_text },
};
enum {
    FORMATS = sizeof formats / sizeof formats[0]
};

/* ---- names are there already, and write(2) does what the test wants ---- */

static int symbolize_error, symbols_given;

int __wrap_awi_symbolize(const struct aw_profile *profile, struct awi_symbols **symbols);
void __wrap_awi_symbols_free(struct awi_symbols *symbols);
ssize_t __wrap_write(int fd, const void *bytes, size_t count);
ssize_t __real_write(int fd, const void *bytes, size_t count);

int __wrap_awi_symbolize(const struct aw_profile *profile, struct awi_symbols **symbols)
{
    if (profile != &made.profile)
        abort(); /* no allocation, as Check's assertions make */
    if (symbolize_error != 0)
        return symbolize_error;
    *symbols = &made.symbols;
    ++symbols_given;
    return 0;
}

void __wrap_awi_symbols_free(struct awi_symbols *symbols)
{
    symbols_given -= symbols == &made.symbols;
}

static unsigned interrupted; /* every so many writes; 0: none */
static size_t most_written;  /* at once; 0: no limit */
static unsigned writes;

ssize_t __wrap_write(int fd, const void *bytes, size_t count)
{
    ++writes;
    if (interrupted != 0 && writes % interrupted != 0) {
        errno = EINTR;
        return -1;
    }
    return __real_write(fd, bytes, most_written != 0 && count > most_written ? most_written : count);
}

static void begin(void)
{
    written_made(&made);
    written = (struct written){ NULL, 0 };
    symbolize_error = 0;
    interrupted = 0;
    most_written = 0;
    writes = 0;
}

static void end(void)
{
    EXPECT(symbols_given, 0);
    written_free(&written);
    made_end(&made);
}

/* begin, with other contents. */
static void start_over(void)
{
    written_free(&written);
    made_end(&made);
    made_begin(&made);
}

static void write_by(written_by_fn *function)
{
    written_free(&written);
    EXPECT(written_by(function, &made.profile, &made.symbols, false, &written), 0);
}

/* ---- folded ---- */

START_TEST(folded_lines)
{
    write_by(awi_write_folded);
    ck_assert_str_eq(written.text, "main (4711);main;loop;loop;sin 8000000\n"
                                   "main (4711);main;work<int> 12000000\n"
                                   "main (4711);main;work<int>;inner:\"\\  " REPLACED "\xc3\xa9 4000000\n"
                                   "wor:ker" REPLACED " (4712);[lost] 4000000\n"
                                   "wor:ker" REPLACED " (4712);[truncated];loop 3999999\n"
                                   "wor:ker" REPLACED " (4712);loop;sin 8000001\n");
}
END_TEST

/* One thread is not named; what is the same once written is one line. */
START_TEST(folded_sums)
{
    start_over();
    made_function(&made, UINT32_MAX, "main", "a.c", 1);
    made_function(&made, UINT32_MAX, "a;b", "a.c", 2);
    made_function(&made, UINT32_MAX, "a:b", "b.c", 2);
    made_function(&made, UINT32_MAX, "", "", 0);
    uint32_t one[] = { 0, 1 }, other[] = { 0, 2 }, nameless[] = { 3 };
    made_sample(&made, one, 2, 1, 1);
    made_sample(&made, nameless, 1, 7, 1);
    made_sample(&made, other, 2, 2, 1);
    made_label(&made, 0, "kind", "x");
    made_sample(&made, one, 2, 4, 1);
    write_by(awi_write_folded);
    ck_assert_str_eq(written.text, "[unknown] 7\nmain;a:b 7\n");
}
END_TEST

/* ---- speedscope ---- */

static struct json *parse(void)
{
    size_t at;
    struct json *json = json_read(written.text, &at);
    ck_assert_msg(json != NULL, "no JSON at byte %zu: %.40s", at, written.text + at);
    return json;
}

static const char *text_of(const struct json *object, const char *key)
{
    const struct json *member = json_member(object, key);
    ck_assert_ptr_nonnull(member);
    EXPECT(member->kind, JSON_STRING);
    return member->text;
}

static uint64_t number_of(const struct json *object, const char *key)
{
    const struct json *member = json_member(object, key);
    ck_assert_ptr_nonnull(member);
    EXPECT(member->kind, JSON_NUMBER);
    return member->number;
}

static const struct json *array_of(const struct json *object, const char *key)
{
    const struct json *member = json_member(object, key);
    ck_assert_ptr_nonnull(member);
    EXPECT(member->kind, JSON_ARRAY);
    return member;
}

/* "outermost;...;innermost weight" of a sample. */
static void expect_sample(const struct json *file, size_t profile, size_t sample, const char *expected)
{
    char line[256] = "";
    const struct json *of = json_element(array_of(file, "profiles"), profile);
    const struct json *stack = json_element(array_of(of, "samples"), sample);
    const struct json *weight = json_element(array_of(of, "weights"), sample);
    const struct json *frames = array_of(json_member(file, "shared"), "frames");
    ck_assert(stack != NULL && weight != NULL);
    for (const struct json *index = stack->first; index != NULL; index = index->next) {
        ck_assert_uint_lt(index->number, frames->count);
        strcat(line, index == stack->first ? "" : ";");
        strcat(line, text_of(json_element(frames, (size_t)index->number), "name"));
    }
    sprintf(line + strlen(line), " %" PRIu64, weight->number);
    ck_assert_str_eq(line, expected);
}

static void expect_sums(const struct json *profile, uint64_t sum)
{
    ck_assert_uint_eq(array_of(profile, "samples")->count, array_of(profile, "weights")->count);
    ck_assert_str_eq(text_of(profile, "unit"), "nanoseconds");
    ck_assert_str_eq(text_of(profile, "type"), "sampled");
    ck_assert_uint_eq(number_of(profile, "startValue"), 0);
    ck_assert_uint_eq(number_of(profile, "endValue"), sum);
    for (const struct json *weight = array_of(profile, "weights")->first; weight != NULL;
         weight = weight->next)
        sum -= weight->number;
    ck_assert_uint_eq(sum, 0);
}

/* A schema is checked where python3 and its package are. */
static void check_schema(void)
{
    static const char *const argv[] = { "python3", AW_TEST_DIR "/speedscope_schema.py", NULL };
    struct written said;
    int status = written_pass(&written, argv, &said);
    if (status == 77 || status == 127)
        printf("skipped: python3 with jsonschema is missing, the schema was not checked\n");
    else
        ck_assert_msg(status == 0, "schema: %s", said.text);
    written_free(&said);
}

START_TEST(speedscope_file)
{
    write_by(awi_write_speedscope);
    struct json *file = parse();
    ck_assert_str_eq(text_of(file, "$schema"), "https://www.speedscope.app/file-format-schema.json");
    ck_assert_str_eq(text_of(file, "name"), "demo");
    ck_assert_str_eq(text_of(file, "exporter"), "alarmwheel@" AW_VERSION_STRING);
    ck_assert_uint_eq(number_of(file, "activeProfileIndex"), 0);
    const struct json *frames = array_of(json_member(file, "shared"), "frames");
    ck_assert_uint_eq(frames->count, 7);
    const struct json *inner = json_element(frames, 2);
    ck_assert_str_eq(text_of(inner, "name"), "inner;\"\\\n\x01" REPLACED "\xc3\xa9");
    ck_assert_str_eq(text_of(inner, "file"), "src/inner.h");
    ck_assert_uint_eq(number_of(inner, "line"), 5);
    const struct json *sin = json_element(frames, 5);
    ck_assert_str_eq(text_of(sin, "name"), "sin");
    ck_assert_ptr_null(json_member(sin, "file"));
    ck_assert_ptr_null(json_member(sin, "line"));
    const struct json *profiles = array_of(file, "profiles");
    ck_assert_uint_eq(profiles->count, 2);
    ck_assert_str_eq(text_of(json_element(profiles, 0), "name"), "main (4711)");
    ck_assert_str_eq(text_of(json_element(profiles, 1), "name"), "wor;ker" REPLACED " (4712)");
    expect_sums(json_element(profiles, 0), 24 * MS);
    expect_sums(json_element(profiles, 1), 16 * MS);
    expect_sample(file, 0, 0, "main;loop;loop;sin 8000000");
    expect_sample(file, 0, 1, "main;work<int> 12000000");
    expect_sample(file, 0, 2, "main;work<int>;inner;\"\\\n\x01" REPLACED "\xc3\xa9 4000000");
    expect_sample(file, 1, 0, "[lost] 4000000");
    expect_sample(file, 1, 1, "[truncated];loop 3999999");
    expect_sample(file, 1, 2, "loop;sin 8000001");
    json_free(file);
    check_schema();
}
END_TEST

/* The thread with the most time is shown first, wherever it stands. */
START_TEST(speedscope_active)
{
    made_thread(&made, 4713, "busy");
    made_stack(&made, "main", 25 * MS, 1);
    made_thread(&made, 4714, "idle");
    made_stack(&made, "main", 1, 1);
    write_by(awi_write_speedscope);
    struct json *file = parse();
    ck_assert_uint_eq(array_of(file, "profiles")->count, 4);
    ck_assert_uint_eq(number_of(file, "activeProfileIndex"), 2);
    json_free(file);
}
END_TEST

/* The order of samples, as a hash table gives them, shows nowhere. */
START_TEST(same_from_any_order)
{
    written_by_fn *functions[] = { awi_write_speedscope, awi_write_folded, awi_write_text };
    struct aw_profile *profile = &made.profile;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; ++i) {
        write_by(functions[i]);
        struct written first = written;
        written.text = NULL;
        for (size_t a = 0, b = profile->samples_count - 1; a < b; ++a, --b) {
            struct awi_sample sample = profile->samples[a];
            struct awi_stack_names stack = made.symbols.stacks[a];
            profile->samples[a] = profile->samples[b];
            made.symbols.stacks[a] = made.symbols.stacks[b];
            profile->samples[b] = sample;
            made.symbols.stacks[b] = stack;
        }
        write_by(functions[i]);
        ck_assert_str_eq(written.text, first.text);
        written_free(&first);
    }
}
END_TEST

/* ---- text ---- */

START_TEST(table)
{
    write_by(awi_write_text);
    ck_assert_str_eq(written.text,
                     "demo: cpu time 40.000 ms in 50.000 ms; threads: 2; samples: 9; lost: 1; truncated: 1\n"
                     "samples a second: 250.0; asked for: 1000; the kernel delivers at most 250\n"
                     "\n"
                     "        flat   flat%          cum    cum%  function\n"
                     "   16.000 ms  40.00%    16.000 ms  40.00%  sin\n"
                     "   12.000 ms  30.00%    16.000 ms  40.00%  work<int>  work.cc:20\n"
                     "    4.000 ms  10.00%     4.000 ms  10.00%  [lost]\n"
                     "    4.000 ms  10.00%     4.000 ms  10.00%  inner;\"\\  " REPLACED
                     "\xc3\xa9  inner.h:5\n"
                     "    4.000 ms  10.00%    20.000 ms  50.00%  loop  work.cc:40\n"
                     "    0.000 ms   0.00%    24.000 ms  60.00%  main  main.c:10\n"
                     "    0.000 ms   0.00%     4.000 ms  10.00%  [truncated]\n");
}
END_TEST

/* Rounded one by one they would not add up: 3 * 33.33; and what is left out is counted in. */
START_TEST(shares_add_up)
{
    char name[32];
    for (unsigned functions = 1; functions < 80; ++functions) {
        start_over();
        for (unsigned i = 0; i < functions; ++i) {
            uint32_t index = made_function(&made, UINT32_MAX, (sprintf(name, "f%u", i), name), "", 0);
            made_sample(&made, &index, 1, functions == 3 ? 1000 : 1 + i * UINT64_C(7777777) % 1000003, 1);
        }
        write_by(awi_write_text);
        double percent = 0, time = 0, whole = 0, flat, share;
        unsigned rows = 0, more = 0;
        ck_assert_int_eq(sscanf(written.text, "profile: cpu time %lf", &whole), 1);
        const char *line = strstr(written.text, "function\n");
        ck_assert_ptr_nonnull(line);
        for (line = strchr(line, '\n') + 1; *line != '\0'; line = strchr(line, '\n') + 1, ++rows) {
            ck_assert_int_eq(sscanf(line, "%lf %*s %lf%%", &flat, &share), 2);
            percent += share;
            time += flat;
            char last[8];
            if (sscanf(line, "%*f %*s %*f%% %u %7s", &more, last) == 2 && strcmp(last, "more") == 0)
                ck_assert_uint_eq(more, functions - 30);
        }
        ck_assert_uint_eq(rows, functions <= 30 ? functions : 31);
        ck_assert_double_eq_tol(percent, 100, 1e-6);
        ck_assert_double_eq_tol(time, whole, 1e-6);
        if (functions == 3)
            ck_assert_ptr_nonnull(strstr(written.text, "33.34%"));
    }
}
END_TEST

START_TEST(text_is_narrow)
{
    char name[300] = "", file[300] = "/usr/src/";
    for (size_t i = 0; i < 60; ++i)
        strcat(name, "\xc3\xa9:");
    strcat(file, name);
    made_function(&made, UINT32_MAX, name, "a.c", 1);
    uint32_t index = (uint32_t)made.symbols.functions_count - 1;
    made_sample(&made, &index, 1, 5000 * MS, 1);
    index = made_function(&made, UINT32_MAX, "short", file, 1);
    made_sample(&made, &index, 1, 5000000 * MS, 1);
    write_by(awi_write_text);
    size_t columns = 0;
    for (const char *at = written.text; *at != '\0'; at += awi_utf8_length(at)) {
        columns = *at == '\n' ? 0 : columns + 1;
        ck_assert_uint_le(columns, 100);
    }
    ck_assert_ptr_nonnull(strstr(written.text, ":...\n"));
    ck_assert_ptr_nonnull(strstr(written.text, "  short\n"));
    ck_assert_ptr_nonnull(strstr(written.text, " 5005.040 s "));
}
END_TEST

/* A decimal comma, where a locale that has one is installed, is for people: not for these formats. */
START_TEST(other_locale)
{
    static const char *const locales[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "fr_FR.utf8" };
    bool is_set = false;
    write_by(awi_write_text);
    struct written before = written;
    written.text = NULL;
    for (size_t i = 0; i < sizeof locales / sizeof locales[0] && !is_set; ++i)
        is_set = setlocale(LC_ALL, locales[i]) != NULL;
    write_by(awi_write_text);
    (void)setlocale(LC_ALL, "C");
    ck_assert_str_eq(written.text, before.text);
    written_free(&before);
    if (!is_set)
        printf("skipped: no locale with a decimal comma is installed\n");
}
END_TEST

static int write_to_path(const char *path, int flags, enum aw_profile_format format)
{
    int fd = open(path, flags | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    errno = 4711;
    int result = awi_profile_write(&made.profile, fd, format);
    EXPECT(errno, 4711);
    (void)close(fd);
    return result;
}

/* ---- nothing at all ---- */

START_TEST(empty)
{
    start_over();
    write_by(awi_write_folded);
    ck_assert_str_eq(written.text, "");
    EXPECT(write_to_path("/dev/null", O_WRONLY, AW_PROFILE_FOLDED), 0);
    EXPECT(write_to_path("/dev/null", O_RDONLY, AW_PROFILE_FOLDED),
           -EBADF); /* that nothing is written is no excuse */
    write_by(awi_write_text);
    ck_assert_str_eq(written.text, "profile: cpu time 0.000 us in 0.000 us; threads: 1; samples: 0\n"
                                   "\n"
                                   "        flat   flat%          cum    cum%  function\n");
    write_by(awi_write_speedscope);
    struct json *file = parse();
    ck_assert_uint_eq(array_of(json_member(file, "shared"), "frames")->count, 0);
    ck_assert_uint_eq(array_of(file, "profiles")->count, 1);
    expect_sums(json_element(array_of(file, "profiles"), 0), 0);
    json_free(file);
    check_schema();
}
END_TEST

/* A thread whose time was not sampled has no sample, and a share all the same. */
START_TEST(no_time)
{
    start_over();
    made_function(&made, UINT32_MAX, "[unsampled]", "", 0);
    struct awi_sample *sample = made_stack(&made, "[unsampled]", 0, 0);
    sample->kind = AWI_UNSAMPLED;
    sample->depth = 0;
    write_by(awi_write_text);
    ck_assert_ptr_nonnull(strstr(written.text, "    0.000 us   0.00%     0.000 us   0.00%  [unsampled]\n"));
    write_by(awi_write_folded);
    ck_assert_str_eq(written.text, "[unsampled] 0\n");
}
END_TEST

/* ---- UTF-8 ---- */

START_TEST(utf8)
{
    static const struct {
        const char *text;
        size_t length;
    } rows[] = {
        { "a", 1 },
        { "\x7f", 1 },
        { "\x80", 0 },
        { "\xc1\xbf", 0 },
        { "\xc2\x80", 2 },
        { "\xdf\xbf", 2 },
        { "\xc3", 0 },
        { "\xc3(", 0 },
        { "\xe0\x9f\xbf", 0 },
        { "\xe0\xa0\x80", 3 },
        { "\xed\x9f\xbf", 3 },
        { "\xed\xa0\x80", 0 },
        { "\xef\xbf\xbf", 3 },
        { "\xef\xbf", 0 },
        { "\xf0\x8f\xbf\xbf", 0 },
        { "\xf0\x90\x80\x80", 4 },
        { "\xf4\x8f\xbf\xbf", 4 },
        { "\xf4\x90\x80\x80", 0 },
        { "\xf0\x9f\x92", 0 },
        { "\xf5\x80\x80\x80", 0 },
        { "\xff", 0 },
    };
    char copy[64];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i)
        ck_assert_msg(awi_utf8_length(rows[i].text) == rows[i].length, "row %zu", i);
    ck_assert_uint_eq(awi_utf8_copy(copy, "a\x80\xe2\x82\t\xc2\x85z", false), 1 + 9 + 1 + 1 + 1);
    ck_assert_str_eq(copy, "a" REPLACED REPLACED REPLACED "  z");
    ck_assert_uint_eq(awi_utf8_copy(copy, "\t\xc2\x85", true), 3);
    ck_assert_str_eq(copy, "\t\xc2\x85");
}
END_TEST

/* ---- descriptors ---- */

START_TEST(written_as_asked)
{
    enum aw_profile_format format = formats[_i].format;
    int fd = memfd_create("whole", MFD_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    EXPECT(awi_profile_write(&made.profile, fd, format), 0);
    struct written whole = written_read(fd);
    EXPECT(
        written_by(formats[_i].function, &made.profile, &made.symbols, format == AW_PROFILE_PPROF, &written),
        0);
    ck_assert_uint_eq(whole.count, written.count);
    ck_assert_mem_eq(whole.text, written.text, whole.count);
    (void)close(fd);
    written_free(&whole);
}
END_TEST

START_TEST(bad_arguments)
{
    enum aw_profile_format format = formats[_i].format;
    EXPECT(awi_profile_write(&made.profile, -1, format), -EINVAL);
    EXPECT(awi_profile_write(NULL, 1, format), -EINVAL);
    EXPECT(awi_profile_write(&made.profile, 1, (enum aw_profile_format)(FORMATS + _i)), -EINVAL);
    EXPECT(awi_profile_write(&made.profile, 987, format), -EBADF);
    EXPECT(write_to_path("/dev/null", O_RDONLY, format), -EBADF);
    EXPECT(write_to_path("/dev/null", O_WRONLY, format), 0);
    symbolize_error = -ENOMEM;
    EXPECT(write_to_path("/dev/null", O_WRONLY, format), -ENOMEM);
}
END_TEST

START_TEST(full_disk)
{
    EXPECT(write_to_path("/dev/full", O_WRONLY, formats[_i].format), -ENOSPC);
}
END_TEST

START_TEST(closed_pipe)
{
    int fds[2];
    (void)signal(SIGPIPE, SIG_IGN);
    EXPECT(pipe2(fds, O_CLOEXEC), 0);
    (void)close(fds[0]);
    EXPECT(awi_profile_write(&made.profile, fds[1], formats[_i].format), -EPIPE);
    (void)close(fds[1]);
}
END_TEST

/* More than a pipe holds, that nobody reads: an error at once, and not for ever. */
START_TEST(full_pipe)
{
    int fds[2];
    char name[64];
    for (unsigned i = 0; i < 30000; ++i) {
        uint32_t index =
            made_function(&made, UINT32_MAX, (sprintf(name, "f%x", i * 2654435761u), name), "f.c", i);
        made_sample(&made, &index, 1, 1 + i * 2654435761u % 1000003, 1);
    }
    EXPECT(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    while (__real_write(fds[1], name, 1) == 1)
        continue;
    EXPECT(awi_profile_write(&made.profile, fds[1], formats[_i].format), -EAGAIN);
    (void)close(fds[0]);
    (void)close(fds[1]);
}
END_TEST

/* Signals between writes, and writes of a few bytes, lose nothing. */
START_TEST(piecemeal)
{
    bool is_compressed = formats[_i].format == AW_PROFILE_PPROF;
    struct written pieces;
    EXPECT(written_by(formats[_i].function, &made.profile, &made.symbols, is_compressed, &written), 0);
    interrupted = 3;
    most_written = 7;
    EXPECT(written_by(formats[_i].function, &made.profile, &made.symbols, is_compressed, &pieces), 0);
    ck_assert_uint_ge(writes, written.count / 7 * 3);
    ck_assert_uint_eq(pieces.count, written.count);
    ck_assert_mem_eq(pieces.text, written.text, written.count);
    written_free(&pieces);
}
END_TEST

/* The first error stays, and nothing follows it. */
START_TEST(first_error)
{
    static char block[200000];
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct awi_output *output = awi_output_open(fd, _i == 1);
    ck_assert_ptr_nonnull(output);
    for (size_t i = 0; i < sizeof block; ++i)
        block[i] = (char)(i * 2654435761u >> 13); /* does not pack well */
    awi_output_bytes(output, block, sizeof block);
    EXPECT(close(fd), 0);
    unsigned before = writes;
    ck_assert_uint_gt(before, 0);
    awi_output_bytes(output, block, sizeof block);
    awi_output_print(output, "%300000d", 1);
    EXPECT(awi_output_close(output), -ENOSPC);
    ck_assert_uint_eq(writes, before);
}
END_TEST

START_TEST(long_print)
{
    char text[3000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    int fd = memfd_create("long", MFD_CLOEXEC);
    for (int round = 0; round < 2; ++round) {
        struct awi_output *output = awi_output_open(fd, false);
        ck_assert_ptr_nonnull(output);
        allocations_left = round == 0 ? -1 : 0;
        awi_output_print(output, "%d %s", 7, text);
        allocations_left = -1;
        EXPECT(awi_output_close(output), round == 0 ? 0 : -ENOMEM);
    }
    written = written_read(fd);
    ck_assert_uint_eq(written.count, 2 + strlen(text));
    ck_assert_str_eq(written.text + 2, text);
    (void)close(fd);
}
END_TEST

/* ---- memory ---- */

/* Each allocation fails once: that is said, and nothing else happens. */
START_TEST(no_memory)
{
    bool is_compressed = formats[_i].format == AW_PROFILE_PPROF;
    int result = -ENOMEM, tries = 0;
    char name[300];
    for (unsigned i = 0; i < 300; ++i) { /* tables have to grow */
        made_function(&made, UINT32_MAX, (sprintf(name, "%0*u", 1 + (int)i % 250, i), name), name, i);
        made_stack(&made, name, i, 1);
    }
    EXPECT(written_by(formats[_i].function, &made.profile, &made.symbols, is_compressed, &written), 0);
    for (; result == -ENOMEM && tries < 10000; ++tries) {
        struct written again;
        allocations_left = tries;
        result = written_by(formats[_i].function, &made.profile, &made.symbols, is_compressed, &again);
        allocations_left = -1;
        if (result == 0) {
            ck_assert_uint_eq(again.count, written.count);
            ck_assert_mem_eq(again.text, written.text, written.count);
        }
        written_free(&again);
    }
    EXPECT(result, 0);
    ck_assert_int_gt(tries, 3);
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    allocations_left = 0;
    result = awi_profile_write(&made.profile, fd, formats[_i].format);
    allocations_left = -1;
    EXPECT(result, -ENOMEM);
    (void)close(fd);
}
END_TEST

/* 100,000 stacks, 40 deep: the limit is the test case's own. */
START_TEST(many_samples)
{
    uint32_t functions[2000], stack[40], state = 1;
    char name[64];
    start_over();
    for (uint32_t i = 0; i < 2000; ++i)
        functions[i] =
            made_function(&made, UINT32_MAX, (sprintf(name, "function_%u", i), name), "many.c", i + 1);
    for (unsigned i = 0; i < 100000; ++i) {
        for (unsigned j = 0; j < 40; ++j) {
            state = state * 1664525 + 1013904223;
            stack[j] = functions[(state >> 16) % (j + 1) * 50];
        }
        made_sample(&made, stack, 40, 4 * MS, 1);
    }
    EXPECT(written_by(formats[_i].function, &made.profile, &made.symbols,
                      formats[_i].format == AW_PROFILE_PPROF, &written),
           0);
    ck_assert_uint_gt(written.count, 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("formats");
    TCase *tests = tcase_create("formats");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, folded_lines);
    tcase_add_test(tests, folded_sums);
    tcase_add_test(tests, speedscope_file);
    tcase_add_test(tests, speedscope_active);
    tcase_add_test(tests, same_from_any_order);
    tcase_add_test(tests, table);
    tcase_add_test(tests, shares_add_up);
    tcase_add_test(tests, text_is_narrow);
    tcase_add_test(tests, other_locale);
    tcase_add_test(tests, empty);
    tcase_add_test(tests, no_time);
    tcase_add_test(tests, utf8);
    tcase_add_loop_test(tests, written_as_asked, 0, FORMATS);
    tcase_add_loop_test(tests, bad_arguments, 0, FORMATS);
    tcase_add_loop_test(tests, full_disk, 0, FORMATS);
    tcase_add_loop_test(tests, closed_pipe, 0, FORMATS);
    tcase_add_loop_test(tests, full_pipe, 0, FORMATS);
    tcase_add_loop_test(tests, piecemeal, 0, FORMATS);
    tcase_add_loop_test(tests, first_error, 0, 2);
    tcase_add_test(tests, long_print);
    tcase_add_loop_test(tests, no_memory, 0, FORMATS);
    tcase_add_loop_test(tests, many_samples, 0, FORMATS);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
