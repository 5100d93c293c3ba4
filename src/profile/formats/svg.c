/* SPDX-License-Identifier: MIT */
/*
 * svg.c: the flame graph. One file that needs nothing else: a picture without scripts, and one to explore
 * with them (svg_script.h). Widths are time; callees stand side by side, the longest first. Calls go
 * downwards: a deep stack then opens at its root, under the title and the search box, not screens below them.
 *
 * Each frame is an inner svg element, which clips its name to its own width in any viewer and at any zoom.
 * Positions are percentages, in steps of a millionth of the whole: neighbors meet exactly.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "call_tree.h"
#include "output.h"
#include "svg_palette.h"
#include "svg_script.h"
#include "svg_text.h"
#include "titles.h"

#define WIDTH 1200
#define MARGIN 10
#define ROW 17
#define TOP 90
#define BOTTOM 34
#define LETTER_WIDTH 6.63 /* of 11 pixels' monospace */
#define MILLION 1000000u

#define SHOWN_MAX ((size_t)10000)
#define SHARE_LEAST UINT64_C(2000) /* a 2,000th of the whole, 0.6 pixels */
#define NAME_MAX_SHOWN 240

#define LEGEND_MAX 6u

struct shown {
    uint32_t call;
    uint64_t start_ns;
    const char *name;
};

struct picture {
    struct awi_output *output;
    const struct aw_profile *profile;
    const struct awi_symbols *symbols;
    struct awi_call_tree *tree;
    uint64_t whole_ns;
    struct awi_palette palette;
    uint32_t program;    /* index of its module; UINT32_MAX: not known */
    struct shown *shown; /* in preorder */
    size_t shown_count;
    uint32_t shown_depth;
    uint32_t left_out;
    uint64_t left_out_ns; /* of the longest that was */
};

static const char *clock_name(enum aw_profile_clock clock)
{
    switch (clock) {
    case AW_PROFILE_USER:
        return "user CPU time";
    case AW_PROFILE_WALL:
        return "wall-clock time";
    default:
        return "CPU time";
    }
}

static const char *module_name(const struct picture *picture, uint32_t module)
{
    return awi_file_title(picture->profile->modules[module].path);
}

static uint32_t module_of(const struct picture *picture, uint32_t call)
{
    if (call == 0 || awi_call_is_thread(picture->tree, call))
        return UINT32_MAX;
    return picture->palette.module_of_function[picture->tree->calls[call].what];
}

static const char *name_of(const struct picture *picture, uint32_t call)
{
    uint32_t what = picture->tree->calls[call].what;
    if (call == 0)
        return "all";
    return awi_call_is_thread(picture->tree, call) ? picture->profile->threads[what].name
                                                   : picture->symbols->functions[what].name;
}

static int compare(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* The longest first, and callers before callees. */
static int by_time(const void *a, const void *b, void *arg)
{
    const struct picture *picture = arg;
    const struct shown *left = a, *right = b;
    const struct awi_call *left_call = &picture->tree->calls[left->call];
    const struct awi_call *right_call = &picture->tree->calls[right->call];
    int order = compare(right_call->total_ns, left_call->total_ns);
    if (order == 0)
        order = compare(left_call->depth, right_call->depth);
    if (order == 0)
        order = strcmp(left->name, right->name);
    return order != 0 ? order : compare(left->call, right->call);
}

static int by_place(const void *a, const void *b, void *arg)
{
    const struct picture *picture = arg;
    const struct shown *left = a, *right = b;
    int order = compare(left->start_ns, right->start_ns);
    return order != 0
               ? order
               : compare(picture->tree->calls[left->call].depth, picture->tree->calls[right->call].depth);
}

static bool is_wide_enough(const struct picture *picture, uint32_t call)
{
    uint64_t total_ns = picture->tree->calls[call].total_ns;
    return total_ns > 0 && total_ns >= picture->whole_ns / SHARE_LEAST;
}

/* Those that are wide enough; of these the widest, should they be too many. No callee without its caller. */
static int choose_shown(struct picture *picture)
{
    const struct awi_call_tree *tree = picture->tree;
    size_t count = 0;
    for (uint32_t i = 0; i < tree->count; ++i)
        count += is_wide_enough(picture, i) ? 1 : 0;
    picture->shown = calloc(count + 1, sizeof *picture->shown);
    if (picture->shown == NULL)
        return -ENOMEM;
    count = 0;
    for (uint32_t i = 0; i < tree->count; ++i) {
        if (is_wide_enough(picture, i))
            picture->shown[count++] = (struct shown){ .call = i, .name = name_of(picture, i) };
        else if (picture->left_out_ns < tree->calls[i].total_ns)
            picture->left_out_ns = tree->calls[i].total_ns;
    }
    qsort_r(picture->shown, count, sizeof *picture->shown, by_time, picture);
    if (count > SHOWN_MAX) {
        picture->left_out_ns = tree->calls[picture->shown[SHOWN_MAX].call].total_ns;
        count = SHOWN_MAX;
    }
    picture->shown_count = count;
    picture->left_out = tree->count - (uint32_t)count;
    return 0;
}

static int place_shown(struct picture *picture)
{
    const struct awi_call_tree *tree = picture->tree;
    uint64_t *next_ns = calloc(tree->count, sizeof *next_ns); /* where a call's next callee begins */
    if (next_ns == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < picture->shown_count; ++i) {
        struct shown *shown = &picture->shown[i];
        const struct awi_call *call = &tree->calls[shown->call];
        if (shown->call != 0) {
            shown->start_ns = next_ns[call->parent];
            next_ns[call->parent] += call->total_ns;
        }
        next_ns[shown->call] = shown->start_ns;
        if (picture->shown_depth < call->depth)
            picture->shown_depth = call->depth;
    }
    free(next_ns);
    qsort_r(picture->shown, picture->shown_count, sizeof *picture->shown, by_place, picture);
    return 0;
}

static void write_style(const struct picture *picture)
{
    awi_output_text(picture->output, "<style><![CDATA[\n");
    awi_output_text(picture->output, style_text);
    awi_palette_write(picture->output);
    awi_output_text(picture->output, "]]></style>\n");
}

static void write_source(const struct picture *picture, const struct awi_function *function)
{
    if (function->file[0] == '\0')
        return;
    awi_output_text(picture->output, "\n");
    awi_svg_text(picture->output, function->file, NAME_MAX_SHOWN);
    if (function->line != 0)
        awi_output_print(picture->output, ":%" PRIu32, function->line);
}

static void write_tooltip(const struct picture *picture, const struct awi_call *call, const char *name,
                          uint32_t module)
{
    struct awi_output *output = picture->output;
    awi_svg_text(output, name, NAME_MAX_SHOWN);
    if (module != UINT32_MAX) {
        write_source(picture, &picture->symbols->functions[call->what]);
        awi_output_text(output, "\n");
        awi_svg_text(output, module_name(picture, module), NAME_MAX_SHOWN);
    }
    awi_output_print(output, "\n%s, %s", awi_number_time(call->total_ns).text,
                     awi_number_share(call->total_ns, picture->whole_ns).text);
    if (call->own_ns != 0 && call->own_ns != call->total_ns)
        awi_output_print(output, " (own: %s, %s)", awi_number_time(call->own_ns).text,
                         awi_number_share(call->own_ns, picture->whole_ns).text);
    awi_output_print(output, "\n%s sample%s", awi_number_count(call->total_count).text,
                     call->total_count == 1 ? "" : "s");
}

static void write_frame(const struct picture *picture, const struct shown *shown)
{
    struct awi_output *output = picture->output;
    const struct awi_call *call = &picture->tree->calls[shown->call];
    double scale = (double)MILLION / (double)picture->whole_ns;
    uint32_t begin = (uint32_t)((double)shown->start_ns * scale + 0.5);
    uint32_t end = (uint32_t)((double)(shown->start_ns + call->total_ns) * scale + 0.5);
    double letters = (double)(end - begin) / MILLION * (WIDTH - 2 * MARGIN) / LETTER_WIDTH - 1;
    uint32_t module = module_of(picture, shown->call);
    const char *name = shown->name;
    char title[AWI_THREAD_TITLE_BYTES];
    if (awi_call_is_thread(picture->tree, shown->call)) {
        awi_thread_title(&picture->profile->threads[call->what], title, sizeof title);
        name = title;
    }
    awi_output_print(output, "<svg class=\"f%s\" x=\"%s\" y=\"%u\" width=\"%s\" height=\"%u\"><title>",
                     letters < -0.5 ? " thin" : "", awi_number_percent(begin).text, ROW * call->depth,
                     awi_number_percent(end - begin).text, ROW);
    write_tooltip(picture, call, name, module);
    awi_output_print(output, "</title><rect class=\"%s\" width=\"100%%\" height=\"100%%\"/>",
                     awi_palette_class(&picture->palette, module, shown->name).text);
    if (letters >= 3) {
        awi_output_text(output, "<text x=\"3\" y=\"12\">");
        awi_svg_text(output, name, (size_t)letters);
        awi_output_text(output, "</text>");
    }
    awi_output_text(output, "</svg>\n");
}

static void write_frames(const struct picture *picture, unsigned height)
{
    awi_output_print(picture->output, "<svg class=\"flames\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%u\">\n",
                     MARGIN, TOP, WIDTH - 2 * MARGIN, height);
    for (size_t i = 0; i < picture->shown_count; ++i)
        write_frame(picture, &picture->shown[i]);
    awi_output_text(picture->output, "</svg>\n");
}

static void write_title(const struct picture *picture)
{
    awi_output_text(picture->output, "Flame graph");
    if (picture->program != UINT32_MAX) {
        awi_output_text(picture->output, " of ");
        awi_svg_text(picture->output, module_name(picture, picture->program), NAME_MAX_SHOWN);
    }
    awi_output_print(picture->output, ": %s", clock_name(picture->profile->clock));
}

static uint64_t count_of(const struct aw_profile *profile, enum awi_sample_kind kind)
{
    uint64_t count = 0;
    for (size_t i = 0; i < profile->samples_count; ++i)
        if (profile->samples[i].kind == kind)
            count += profile->samples[i].count;
    return count;
}

static void write_sampling(const struct picture *picture)
{
    struct awi_output *output = picture->output;
    const struct aw_profile *profile = picture->profile;
    uint64_t count = picture->tree->calls[0].total_count, time_ns = picture->tree->calls[0].total_ns;
    uint64_t lost = count_of(profile, AWI_LOST), truncated = count_of(profile, AWI_TRUNCATED);
    awi_output_print(output, "%s of %s", awi_number_time(time_ns).text, clock_name(profile->clock));
    if (profile->elapsed_ns != 0)
        awi_output_print(output, " in %s", awi_number_time(profile->elapsed_ns).text);
    awi_output_print(output, "  \xc2\xb7  %s sample%s", awi_number_count(count).text, count == 1 ? "" : "s");
    if (time_ns != 0)
        awi_output_print(output, ", %s a second", awi_number_rate(count, time_ns).text);
    if (profile->period_ns != 0)
        awi_output_print(output, " (asked: %s)", awi_number_rate(1, profile->period_ns).text);
    if (picture->tree->has_threads)
        awi_output_print(output, "  \xc2\xb7  %zu threads", profile->threads_count);
    if (lost != 0)
        awi_output_print(output, "  \xc2\xb7  lost: %s", awi_number_count(lost).text);
    if (truncated != 0)
        awi_output_print(output, "  \xc2\xb7  cut off at the root: %s", awi_number_count(truncated).text);
    time_t seconds = (time_t)(profile->started_realtime_ns / UINT64_C(1000000000));
    struct tm when;
    char date[64];
    if (seconds != 0 && gmtime_r(&seconds, &when) != NULL &&
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &when) != 0)
        awi_output_print(output, "  \xc2\xb7  %s", date);
}

/* The files with most time of their own, by their color. */
static void write_legend(const struct picture *picture)
{
    for (size_t i = 0; i < picture->palette.ranks_count && i < LEGEND_MAX; ++i) {
        uint32_t module = picture->palette.ranks[i];
        awi_output_print(picture->output, "<tspan class=\"%s\">\xe2\x96\xa0</tspan> ",
                         awi_palette_class(&picture->palette, module, NULL).text);
        awi_svg_text(picture->output, module_name(picture, module), 32);
        awi_output_print(picture->output, " %s    ",
                         awi_number_share(picture->palette.own_ns[module], picture->whole_ns).text);
    }
}

static void write_head(const struct picture *picture)
{
    struct awi_output *output = picture->output;
    awi_output_print(output,
                     "<g class=\"head\"><rect class=\"page\" width=\"100%%\" height=\"%d\" fill=\"#fff\"/>\n",
                     TOP - 4);
    awi_output_text(output, "<text class=\"title\" x=\"12\" y=\"24\">");
    write_title(picture);
    awi_output_text(output, "</text>\n<text x=\"12\" y=\"42\">");
    write_sampling(picture);
    awi_output_text(output, "</text>\n<text x=\"12\" y=\"59\" xml:space=\"preserve\">");
    write_legend(picture);
    awi_output_text(output, "</text>\n<text class=\"status\" x=\"12\" y=\"78\">");
    if (picture->shown_count != 0)
        awi_output_text(output, "A frame is as wide as the time spent in it; below it is what it called.");
    awi_output_text(output, "</text></g>\n");
}

static void write_foot(const struct picture *picture, unsigned height)
{
    struct awi_output *output = picture->output;
    if (picture->shown_count == 0)
        awi_output_print(output,
                         "<text class=\"title\" x=\"50%%\" y=\"%u\" text-anchor=\"middle\">%s</text>\n",
                         height / 2 + 20, "Nothing was sampled.");
    else if (picture->left_out != 0)
        awi_output_print(
            output,
            "<text class=\"note\" x=\"12\" y=\"%u\">Not shown: %s frames, of at most %s each.</text>\n",
            height - 12, awi_number_count(picture->left_out).text,
            awi_number_share(picture->left_out_ns, picture->whole_ns).text);
}

static void write_picture(const struct picture *picture)
{
    struct awi_output *output = picture->output;
    unsigned rows = picture->shown_count == 0 ? 5 : picture->shown_depth + 1;
    unsigned height = TOP + ROW * rows + BOTTOM;
    awi_output_print(
        output,
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" viewBox=\"0 0 %d %u\">\n"
        "<title>",
        WIDTH, height, WIDTH, height);
    write_title(picture);
    awi_output_text(output, "</title>\n");
    write_style(picture);
    awi_output_text(output, "<rect class=\"page\" width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    write_head(picture);
    if (picture->shown_count != 0)
        write_frames(picture, ROW * rows);
    write_foot(picture, height);
    if (picture->shown_count != 0) {
        awi_output_text(output, "<script><![CDATA[\n");
        awi_output_text(output, script_text);
        awi_output_text(output, "]]></script>\n");
    }
    awi_output_text(output, "</svg>\n");
}

static bool has_threads(const struct aw_profile *profile)
{
    for (size_t i = 1; i < profile->samples_count; ++i)
        if (profile->samples[i].thread != profile->samples[0].thread)
            return true;
    return false;
}

int awi_write_svg(struct awi_output *output, const struct aw_profile *profile,
                  const struct awi_symbols *symbols)
{
    struct picture picture = { .output = output, .profile = profile, .symbols = symbols };
    int error = awi_call_tree_build(profile, symbols, has_threads(profile), &picture.tree);
    if (error != 0)
        return error;
    picture.whole_ns = picture.tree->calls[0].total_ns;
    picture.program = awi_program_module(profile);
    error = awi_palette_choose(&picture.palette, profile, symbols, picture.tree, picture.program);
    if (error == 0)
        error = choose_shown(&picture);
    if (error == 0)
        error = place_shown(&picture);
    if (error == 0)
        write_picture(&picture);
    free(picture.shown);
    awi_palette_free(&picture.palette);
    awi_call_tree_free(picture.tree);
    return error;
}
