/* SPDX-License-Identifier: MIT */
/* The flame graph: a file that every XML parser takes, frames as wide as their time, names as they are. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check_main.h"
#include "profile/formats/call_tree.h"
#include "profile/formats/output.h"
#include "svg_fixture.h"
#include "xml_check.h"

static int allocations_left = -1; /* negative: all that are asked for */

static int is_refused(void)
{
    return allocations_left == 0 || (allocations_left > 0 && --allocations_left < 0);
}

void *__wrap_malloc(size_t bytes);
void *__real_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    return is_refused() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return is_refused() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return is_refused() ? NULL : __real_realloc(memory, bytes);
}

static void add_program(void)
{
    uint32_t program = made_module(&made, "/opt/shop/bin/shop"), libc = made_module(&made, "/lib/libc.so.6");
    made_function(&made, program, "main", "src/main.c", 10);
    made_function(&made, program, "serve", "src/serve.c", 20);
    made_function(&made, program, "parse", "src/parse.c", 30);
    made_function(&made, libc, "memcpy", "", 0);
}

START_TEST(widths)
{
    add_program();
    made_stack(&made, "main;serve", 100 * MS, 25);
    made_stack(&made, "main;serve;parse", 250 * MS, 62);
    made_stack(&made, "main;serve;memcpy", 1 * MS, 1);
    made_stack(&made, "main;serve;parse;memcpy", 633 * MS, 158);
    made_stack(&made, "main;serve;memcpy", 16 * MS, 4);
    draw();
    expect_width("all", 100);
    expect_width("main", 100);
    expect_width("parse", 88.3);
    ck_assert_uint_eq(occurrences("<title>memcpy\n"), 2);
    struct frame parse = frame_of("parse"), inner, outer;
    ck_assert(find_frame("memcpy", 0, &inner));
    ck_assert(find_frame("memcpy", 1, &outer));
    ck_assert_double_eq_tol(inner.width, 63.3, 0.0001);
    ck_assert_double_eq_tol(outer.width, 1.7, 0.0001);
    ck_assert_double_eq_tol(inner.x, parse.x, 0.0001);
    ck_assert_double_eq_tol(outer.x, parse.x + parse.width, 0.0001);
    ck_assert_uint_eq(outer.y, parse.y);
    ck_assert_uint_gt(inner.y, parse.y);
    expect_text(
        "<title>parse\nsrc/parse.c:30\nshop\n883.00 ms, 88.30 % (own: 250.00 ms, 25.00 %)\n220 samples<");
    expect_text("<title>main\nsrc/main.c:10\nshop\n1.00 s, 100.00 %\n250 samples<");
    expect_text("<title>Flame graph of shop: CPU time</title>");
    expect_text("1.00 s of CPU time");
    expect_text("250 samples, 250.0 a second (asked: 250.0)");
    expect_text("libc.so.6 65.00 %");
}
END_TEST

/* Where rounding could open gaps or make neighbors overlap: they share edges to the last digit. */
START_TEST(neighbors)
{
    enum {
        COUNT = 700
    };
    uint32_t module = made_module(&made, "/bin/prog"), stack[2];
    char name[16];
    stack[0] = made_function(&made, module, "main", "", 0);
    for (unsigned i = 0; i < COUNT; ++i) {
        (void)snprintf(name, sizeof name, "f%03u", i);
        stack[1] = made_function(&made, module, name, "", 0);
        made_sample(&made, stack, 2, 1000003, 1);
    }
    draw();
    double next = 0;
    for (unsigned i = 0; i < COUNT; ++i) {
        (void)snprintf(name, sizeof name, "f%03u", i);
        struct frame frame = frame_of(name);
        ck_assert_double_eq_tol(frame.x, next, 0.00001);
        ck_assert_double_eq_tol(frame.width, 100.0 / COUNT, 0.00011);
        next = frame.x + frame.width;
    }
    ck_assert_double_eq_tol(next, 100, 0.00001);
}
END_TEST

/* A caller is placed before its callees, though it is as wide as they are, and its name comes later. */
START_TEST(callers_first)
{
    uint32_t module = made_module(&made, "/bin/prog"), stack[3];
    stack[0] = made_function(&made, module, "z", "", 0);
    made_sample(&made, stack, 1, 9 * MS, 2);
    stack[0] = made_function(&made, module, "c", "", 0);
    stack[1] = made_function(&made, module, "b", "", 0);
    stack[2] = made_function(&made, module, "a", "", 0);
    made_sample(&made, stack, 3, 1 * MS, 1);
    draw();
    ck_assert_double_eq_tol(frame_of("c").x, 90, 0.0001);
    ck_assert_double_eq_tol(frame_of("b").x, 90, 0.0001);
    ck_assert_double_eq_tol(frame_of("a").x, 90, 0.0001);
}
END_TEST

START_TEST(names)
{
    static const struct {
        const char *name, *written;
    } cases[] = {
        { "operator<<(A&, \"b\", 'c')", "operator&lt;&lt;(A&amp;, &quot;b&quot;, &#39;c&#39;)" },
        { "a]]>b", "a]]&gt;b" },
        { "&amp;", "&amp;amp;" },
        { "\x01\x1b[31mred\x7f\n\t", "\xef\xbf\xbd\xef\xbf\xbd[31mred\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "n\xc3\xa4h\xe2\x82\xac\xf0\x9f\x94\xa5", "n\xc3\xa4h\xe2\x82\xac\xf0\x9f\x94\xa5" },
        { "\xff|\xc0\x80|\xed\xa0\x80|\xef\xbf\xbf|\xf4\x90\x80\x80|\xe2\x82",
          "\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd|"
          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
          "\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xc2\x85", "\xef\xbf\xbd" },
        { "", "" },
    };
    enum {
        COUNT = sizeof cases / sizeof cases[0]
    };
    uint32_t module = made_module(&made, "/tmp/<&>\x03\xfe"), stack[COUNT];
    for (size_t i = 0; i < COUNT; ++i)
        stack[i] = made_function(&made, module, cases[i].name, "/src/\"<\x02>.c", 7);
    made_sample(&made, stack, COUNT, 5 * MS, 1);
    made_thread(&made, 99, "<&\x04\xff>");
    made_sample(&made, stack, COUNT, 5 * MS, 1);
    draw();
    for (size_t i = 0; i < COUNT; ++i)
        (void)frame_of(cases[i].written);
    (void)frame_of("&lt;&amp;\xef\xbf\xbd\xef\xbf\xbd&gt; (99)");
    expect_text("\n/src/&quot;&lt;\xef\xbf\xbd&gt;.c:7\n&lt;&amp;&gt;\xef\xbf\xbd\xef\xbf\xbd\n");
}
END_TEST

/* A name of any length is cut, on a character. */
START_TEST(long_names)
{
    enum {
        CHARACTERS = 5000
    };
    char *name = malloc(2 * CHARACTERS + 1);
    ck_assert_ptr_nonnull(name);
    for (size_t i = 0; i < CHARACTERS; ++i)
        memcpy(name + 2 * i, "\xc3\xa4", 2);
    name[2 * CHARACTERS] = '\0';
    uint32_t function = made_function(&made, made_module(&made, "/bin/prog"), name, name, 1);
    free(name);
    made_sample(&made, &function, 1, MS, 1);
    draw();
    ck_assert_uint_lt(svg_bytes, 20000);
    expect_text("\xc3\xa4\xe2\x80\xa6</text>");
    expect_text("\xc3\xa4\xe2\x80\xa6\n");
}
END_TEST

START_TEST(nothing)
{
    draw();
    expect_text("Nothing was sampled.");
    expect_text("0 samples");
    ck_assert_uint_eq(occurrences("<rect class=\"c"), 0);
}
END_TEST

START_TEST(one_sample)
{
    uint32_t lost = made_function(&made, UINT32_MAX, "[lost]", "", 0);
    made_sample(&made, &lost, 1, 1, 1)->kind = AWI_LOST;
    draw();
    expect_width("[lost]", 100);
    expect_text("\n1 ns, 100.00 %\n1 sample<");
    expect_text("lost: 1 ");
    expect_text("<title>Flame graph: CPU time</title>");
}
END_TEST

START_TEST(very_deep)
{
    enum {
        DEPTH = 256
    };
    uint32_t stack[DEPTH], module = made_module(&made, "/bin/prog");
    char name[16];
    for (unsigned i = 0; i < DEPTH; ++i) {
        (void)snprintf(name, sizeof name, "level%u", i);
        stack[i] = made_function(&made, module, name, "deep.c", i);
    }
    made_sample(&made, stack, DEPTH, 7 * MS, 3)->kind = AWI_TRUNCATED;
    draw();
    unsigned height = 0;
    EXPECT(sscanf(strstr(svg, "<svg "),
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1200\" height=\"%u\"", &height),
           1);
    for (unsigned i = 1; i < DEPTH; ++i) {
        struct frame frame, caller;
        (void)snprintf(name, sizeof name, "level%u", i);
        frame = frame_of(name);
        (void)snprintf(name, sizeof name, "level%u", i - 1);
        caller = frame_of(name);
        ck_assert_uint_gt(frame.y, caller.y);
        ck_assert_uint_lt(frame.y, height);
        ck_assert_double_eq_tol(frame.width, 100, 0.0001);
    }
    expect_text("cut off at the root: 3");
}
END_TEST

/* A function that calls itself is a frame below itself; calls that were inlined are frames as any. */
START_TEST(recursive_and_inlined)
{
    add_program();
    made_stack(&made, "main;serve;serve;parse", 3 * MS, 3);
    made_stack(&made, "main;memcpy", 1 * MS, 1);
    made_inline(&made, 3, 2); /* memcpy, inlined into parse */
    draw();
    ck_assert_uint_eq(occurrences("<title>serve\n"), 2);
    struct frame outer, inner, parse;
    ck_assert(find_frame("serve", 0, &outer));
    ck_assert(find_frame("serve", 1, &inner));
    ck_assert(find_frame("parse", 1, &parse));
    ck_assert_uint_gt(inner.y, outer.y);
    ck_assert_double_eq_tol(parse.width, 25, 0.0001);
    ck_assert_uint_gt(frame_of("memcpy").y, parse.y);
    expect_width("memcpy", 25);
}
END_TEST

START_TEST(threads)
{
    add_program();
    made_stack(&made, "main;parse", 30 * MS, 8);
    made_thread(&made, 4712, "worker");
    made_stack(&made, "main;parse", 50 * MS, 12);
    made_thread(&made, 4713, "worker");
    made_stack(&made, "main;parse", 20 * MS, 5);
    draw();
    struct frame frame;
    ck_assert(find_frame("worker (4712)", 0, &frame));
    ck_assert_double_eq_tol(frame.width, 50, 0.0001);
    ck_assert(find_frame("worker (4713)", 0, &frame));
    ck_assert_double_eq_tol(frame.width, 20, 0.0001);

    ck_assert_uint_eq(occurrences("<title>parse\n"), 3);
    expect_text("3 threads");
}
END_TEST

START_TEST(same_names)
{
    uint32_t one = made_module(&made, "/lib/one.so"), two = made_module(&made, "/lib/two.so");
    uint32_t first = made_function(&made, one, "init", "one.c", 1);
    uint32_t second = made_function(&made, two, "init", "two.c", 2);
    made_sample(&made, &first, 1, 3 * MS, 1);
    made_sample(&made, &second, 1, MS, 1);
    draw();
    ck_assert_uint_eq(occurrences("<title>init\n"), 2);
    expect_text("<title>init\ntwo.c:2\ntwo.so\n1.00 ms, 25.00 %\n");
}
END_TEST

START_TEST(too_narrow)
{
    add_program();
    made_stack(&made, "main;serve", 100000 * MS, 25000);
    made_stack(&made, "main;parse;memcpy", 49 * MS, 12);
    made_stack(&made, "main;memcpy", 51 * MS, 13);
    draw();
    ck_assert_uint_eq(occurrences("<title>parse\n"), 0);
    ck_assert_uint_eq(occurrences("<title>memcpy\n"), 1);
    expect_text("Not shown: 2 frames, of at most 0.05 % each.");
}
END_TEST

/* stacks different ones of the given depth, all as long. */
static void add_many(unsigned stacks, unsigned depth)
{
    enum {
        FUNCTIONS = 200,
        DEPTH_MAX = 256
    };
    uint32_t module = made_module(&made, "/usr/bin/program"), stack[DEPTH_MAX], seed = 1;
    char name[32];
    for (unsigned i = 0; i < FUNCTIONS; ++i) {
        (void)snprintf(name, sizeof name, "some_function_%u", i);
        made_function(&made, module, name, "src/some/file.c", i + 1);
    }
    for (unsigned i = 0; i < stacks; ++i) {
        for (unsigned level = 0; level < depth; ++level) {
            seed = seed * UINT32_C(1664525) + UINT32_C(1013904223);
            stack[level] = (seed >> 16) % (level < 3 ? 4 : FUNCTIONS);
        }
        made_sample(&made, stack, depth, 4 * MS, 1);
    }
}

/* Whatever the stacks: a call's time is its own and its callees', and no function is twice below a caller. */
START_TEST(sums)
{
    struct awi_call_tree *tree = NULL;
    add_many(4000, 12);
    EXPECT(awi_call_tree_build(&made.profile, &made.symbols, false, &tree), 0);
    uint64_t *below_ns = calloc(tree->count, sizeof *below_ns);
    ck_assert_ptr_nonnull(below_ns);
    for (uint32_t i = 1; i < tree->count; ++i) {
        const struct awi_call *call = &tree->calls[i];
        ck_assert_uint_lt(call->parent, i);
        ck_assert_uint_eq(call->depth, tree->calls[call->parent].depth + 1);
        below_ns[call->parent] += call->total_ns;
        for (uint32_t other = call->next_sibling; other != AWI_NO_CALL;
             other = tree->calls[other].next_sibling)
            ck_assert_uint_ne(tree->calls[other].what, call->what);
    }
    for (uint32_t i = 0; i < tree->count; ++i)
        ck_assert_uint_eq(tree->calls[i].total_ns, tree->calls[i].own_ns + below_ns[i]);
    ck_assert_uint_eq(tree->calls[0].total_ns, 4000 * 4 * MS);
    ck_assert_uint_eq(tree->calls[0].total_count, 4000);
    ck_assert_uint_eq(tree->depth, 12);
    free(below_ns);
    awi_call_tree_free(tree);
}
END_TEST

/* Of processor time: others may have the processors for long. */
static double seconds(void)
{
    struct timespec now;
    EXPECT(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double draw_many(unsigned stacks)
{
    add_many(stacks, 40);
    double began = seconds();
    draw();
    return seconds() - began;
}

/*
 * Ten times the stacks take at most ten times as long; what is quadratic takes a hundred times. A virtual
 * machine may count it when it stands still: the best of some tries.
 */
START_TEST(many_stacks)
{
    double many, few = draw_many(1000);
    unsigned tries = 0;
    do {
        svg_end();
        svg_begin();
        many = draw_many(10000);
    } while (many >= 10 * few && ++tries < 5);
    ck_assert_double_lt(many, 10 * few);
    ck_assert_uint_lt(svg_bytes, 4000000);
    ck_assert_uint_gt(occurrences("<rect class=\"c"), 64);
    expect_text("10,000 samples");
}
END_TEST

/* All wide enough, and too many all the same: the picture stays one that a browser opens at once. */
START_TEST(many_frames)
{
    add_many(1500, 256);
    draw();
    ck_assert_uint_lt(svg_bytes, 4000000);
    ck_assert_uint_eq(occurrences("<title>some_function_") + 1, 10000);
    expect_text("Not shown: ");
}
END_TEST

/* The program's language may write 0,5; attributes may not. */
START_TEST(other_language)
{
    static const char *const languages[] = { "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ru_RU.UTF-8" };
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; ++i)
        if (setlocale(LC_ALL, languages[i]) != NULL)
            break;
    add_program();
    made_stack(&made, "main;serve", 1 * MS, 1);
    made_stack(&made, "main;parse", 2 * MS, 1);
    draw();
    (void)setlocale(LC_ALL, "C");
    expect_width("parse", 66.6667);
    expect_text("33.33 %");
}
END_TEST

START_TEST(no_memory)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    add_many(900, 8);
    int error = -ENOMEM, tries = 0;
    for (; error != 0; ++tries) {
        struct awi_output *output = awi_output_open(fileno(file), false);
        ck_assert_ptr_nonnull(output);
        allocations_left = tries;
        error = awi_write_svg(output, &made.profile, &made.symbols);
        allocations_left = -1;
        ck_assert_int_eq(error, error == 0 ? 0 : -ENOMEM);
        EXPECT(awi_output_close(output), 0);
        ck_assert_int_lt(tries, 1000);
    }
    ck_assert_int_gt(tries, 10);
    (void)fclose(file);
}
END_TEST

/* What stands in every file, and is not made of names, passes the same check; the check itself can object. */
START_TEST(objections)
{
    static const char *const wrong[] = {
        "",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a b=c/>",
        "<a b=\"<\"/>",
        "<a>&b;</a>",
        "<a>\x01</a>",
        "<a>\xff</a>",
        "<a>]]></a>",
        "<a b=\"1\" b=\"2\"/>",
        "<a>&</a>",
        "<a",
        "<a><![CDATA[</a>",
        "x<a/>",
        "<a/>x",
    };
    struct xml_error error;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i)
        ck_assert_msg(!xml_check(wrong[i], strlen(wrong[i]), &error), "taken for XML: %s", wrong[i]);
    static const char right[] = "<?xml version=\"1.0\"?>\n<a b=\"1\" c='&lt;'>x<d/>&#39;<![CDATA[<&]]></a>\n";
    ck_assert(xml_check(right, sizeof right - 1, &error));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("svg");
    TCase *tests = tcase_create("svg");

    tcase_add_checked_fixture(tests, svg_begin, svg_end);
    tcase_add_test(tests, objections);
    tcase_add_test(tests, widths);
    tcase_add_test(tests, neighbors);
    tcase_add_test(tests, callers_first);
    tcase_add_test(tests, names);
    tcase_add_test(tests, long_names);
    tcase_add_test(tests, nothing);
    tcase_add_test(tests, one_sample);
    tcase_add_test(tests, very_deep);
    tcase_add_test(tests, recursive_and_inlined);
    tcase_add_test(tests, threads);
    tcase_add_test(tests, same_names);
    tcase_add_test(tests, too_narrow);
    tcase_add_test(tests, sums);
    tcase_add_test(tests, many_stacks);
    tcase_add_test(tests, many_frames);
    tcase_add_test(tests, other_language);
    tcase_add_test(tests, no_memory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
