/* SPDX-License-Identifier: MIT */
/* plot.c: an SVG of time per operation against the number of timers, both logarithmic: one panel a bench, one
 * line an implementation. */
#include <math.h>
#include <string.h>

#include "bench.h"

#define PANEL_WIDTH 360.0
#define PANEL_HEIGHT 300.0
#define MARGIN_LEFT 56.0
#define MARGIN_TOP 40.0
#define MARGIN_BOTTOM 44.0
#define LEGEND_HEIGHT 36.0

static const char *const panels[] = { "wheel.rearm", "wheel.refresh30s", "wheel.insert_expire" };
#define PANELS (sizeof panels / sizeof *panels)

static const struct {
    const char *impl;
    const char *colour;
    const char *dash;
} lines[] = {
    { "alarmwheel", "#c2410c", "none" }, { "floor", "#78716c", "2 4" },     { "libev", "#1d4ed8", "none" },
    { "libuv", "#047857", "none" },      { "libevent", "#7e22ce", "none" }, { "sd-event", "#a16207", "none" },
};
#define LINES (sizeof lines / sizeof *lines)

struct range {
    double low;
    double high; /* powers of ten */
};

static struct range range_of(bool sizes)
{
    struct range range = { 1e9, -1e9 };
    for (size_t i = 0; i < bench_results_count; i++) {
        for (size_t j = 0; j < PANELS; j++) {
            if (strcmp(bench_results[i].bench, panels[j]) != 0 || bench_results[i].median <= 0)
                continue;
            const double value = log10(sizes ? bench_results[i].n : bench_results[i].median);
            range.low = value < range.low ? value : range.low;
            range.high = value > range.high ? value : range.high;
        }
    }
    range.low = floor(range.low + 1e-9);
    range.high = ceil(range.high - 1e-9);
    range.high = range.high > range.low ? range.high : range.low + 1;
    return range;
}

static double across(double value, struct range range)
{
    return (log10(value) - range.low) / (range.high - range.low) * PANEL_WIDTH;
}

static double up(double value, struct range range)
{
    return PANEL_HEIGHT - (log10(value) - range.low) / (range.high - range.low) * PANEL_HEIGHT;
}

static void write_grid(FILE *out, struct range x, struct range y)
{
    fprintf(out, "<rect width=\"%g\" height=\"%g\" fill=\"#fafaf9\" stroke=\"#d6d3d1\"/>\n", PANEL_WIDTH,
            PANEL_HEIGHT);
    for (double power = y.low; power <= y.high; power++) {
        const double at = up(pow(10, power), y);
        fprintf(out, "<path d=\"M0 %.1fH%g\" stroke=\"#e7e5e4\"/>", at, PANEL_WIDTH);
        fprintf(out, "<text x=\"-6\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", at + 4, pow(10, power));
    }
    for (double power = x.low; power <= x.high; power++)
        fprintf(out,
                "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">10<tspan dy=\"-4\" "
                "font-size=\"9\">%g</tspan></text>\n",
                across(pow(10, power), x), PANEL_HEIGHT + 18, power);
}

static void write_line(FILE *out, const char *bench, size_t line, struct range x, struct range y)
{
    bool begun = false;
    for (size_t i = 0; i < bench_results_count; i++) {
        const struct bench_result *r = &bench_results[i];
        if (strcmp(r->bench, bench) != 0 || strcmp(r->impl, lines[line].impl) != 0 || r->median <= 0)
            continue;
        if (!begun)
            fprintf(out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\" d=\"",
                    lines[line].colour, lines[line].dash);
        fprintf(out, "%c%.1f %.1f", begun ? 'L' : 'M', across(r->n, x), up(r->median, y));
        begun = true;
    }
    if (begun)
        fputs("\"/>\n", out);
}

bool bench_write_plot(const char *path)
{
    FILE *out = fopen(path, "w");
    if (out == NULL) {
        perror(path);
        return false;
    }
    const struct range x = range_of(true);
    const struct range y = range_of(false);
    const double step = PANEL_WIDTH + MARGIN_LEFT;
    const double width = step * PANELS + 16;
    const double height = MARGIN_TOP + PANEL_HEIGHT + MARGIN_BOTTOM + LEGEND_HEIGHT;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" font-family=\"sans-serif\" "
            "font-size=\"12\" fill=\"#44403c\">\n<title>Nanoseconds per operation against outstanding "
            "timers</title>\n"
            "<rect width=\"%g\" height=\"%g\" fill=\"#ffffff\"/>\n",
            width, height, width, height);
    for (size_t i = 0; i < PANELS; i++) {
        fprintf(out, "<g transform=\"translate(%g %g)\">\n", MARGIN_LEFT + step * (double)i, MARGIN_TOP);
        fprintf(out, "<text x=\"0\" y=\"-14\" font-size=\"15\" font-weight=\"bold\">%s</text>\n", panels[i]);
        write_grid(out, x, y);
        for (size_t line = LINES; line-- > 0;)
            write_line(out, panels[i], line, x, y);
        fprintf(out, "<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">outstanding timers</text>\n",
                PANEL_WIDTH / 2, PANEL_HEIGHT + 36);
        fputs("</g>\n", out);
    }
    fprintf(
        out,
        "<text transform=\"translate(14 %g) rotate(-90)\" text-anchor=\"middle\">ns per operation</text>\n",
        MARGIN_TOP + PANEL_HEIGHT / 2);
    for (size_t i = 0; i < LINES; i++) {
        const double at = MARGIN_LEFT + 110 * (double)i;
        fprintf(out, "<path d=\"M%g %gh24\" stroke=\"%s\" stroke-width=\"3\" stroke-dasharray=\"%s\"/>", at,
                height - 18, lines[i].colour, lines[i].dash);
        fprintf(out, "<text x=\"%g\" y=\"%g\">%s</text>\n", at + 30, height - 14, lines[i].impl);
    }
    fputs("</svg>\n", out);
    const bool good = ferror(out) == 0;
    return fclose(out) == 0 && good;
}
