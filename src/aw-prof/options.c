/* SPDX-License-Identifier: MIT */
/* options.c: reads the command line. See options.h. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

#define HZ_DEFAULT 250u
#define HZ_MAX 10000u
#define SECONDS_MAX 1e9

/* A format by its name, by what its files end in, and where it goes if nothing is said. */
static const struct format {
    const char *name;
    const char *suffix;
    const char *output;
    enum aw_profile_format format;
} formats[] = {
    { "pprof", ".pb.gz", "aw-prof.pb.gz", AW_PROFILE_PPROF },
    { "folded", ".folded", "aw-prof.folded", AW_PROFILE_FOLDED },
    { "speedscope", ".speedscope.json", "aw-prof.speedscope.json", AW_PROFILE_SPEEDSCOPE },
    { "svg", ".svg", "aw-prof.svg", AW_PROFILE_SVG },
    { "text", ".txt", "aw-prof.txt", AW_PROFILE_TEXT },
};
#define FORMATS (sizeof formats / sizeof formats[0])

static const struct option long_options[] = {
    { "frequency", required_argument, NULL, 'F' }, { "clock", required_argument, NULL, 'c' },
    { "duration", required_argument, NULL, 'd' },  { "format", required_argument, NULL, 'f' },
    { "output", required_argument, NULL, 'o' },    { "follow", no_argument, NULL, 'w' },
    { "quiet", no_argument, NULL, 'q' },           { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },         { NULL, 0, NULL, 0 },
};

void awi_options_help(void)
{
    fputs("usage: aw-prof [options] [--] program [argument ...]\n"
          "       aw-prof report [-f format] [-o file] file\n"
          "\n"
          "Runs a program, and writes a profile of where it spent its time.\n"
          "\n"
          "  -F, --frequency hz      samples a second of each thread's clock, 1 to 10000 (250)\n"
          "  -c, --clock clock       cpu, user or wall (cpu)\n"
          "  -d, --duration seconds  stop sampling and write the profile after so long\n"
          "  -f, --format format     pprof, folded, speedscope, svg or text\n"
          "                          (by the suffix of the file, else pprof)\n"
          "  -o, --output file       where to write it, - for standard output (aw-prof.pb.gz)\n"
          "      --follow            profile the processes that it starts, too: a file each\n"
          "  -q, --quiet             say nothing but errors\n"
          "  -h, --help              show this\n"
          "      --version           show the version\n"
          "\n"
          "`aw-prof report` reads a file in the format pprof, and prints the functions that took most,\n"
          "or writes it in another format. The manual page is aw-prof(1).\n",
          stdout);
}

static const struct format *format_of_file(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < FORMATS; ++i) {
        size_t suffix = strlen(formats[i].suffix);
        if (length > suffix && strcmp(name + length - suffix, formats[i].suffix) == 0)
            return &formats[i];
    }
    return NULL;
}

const char *awi_format_find_suffix(const char *name)
{
    const struct format *format = format_of_file(name);
    size_t length = strlen(name);
    if (format != NULL)
        return name + length - strlen(format->suffix);
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    return dot != NULL && dot != base ? dot : name + length;
}

static bool read_format(const char *text, const struct format **format)
{
    for (size_t i = 0; i < FORMATS; ++i) {
        if (strcmp(text, formats[i].name) == 0) {
            *format = &formats[i];
            return true;
        }
    }
    awi_say("%s: no such format; there are pprof, folded, speedscope, svg and text", text);
    return false;
}

static bool read_clock(const char *text, enum aw_profile_clock *clock)
{
    static const char *const names[] = { "cpu", "user", "wall" };
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; ++i) {
        if (strcmp(text, names[i]) == 0) {
            *clock = (enum aw_profile_clock)i;
            return true;
        }
    }
    awi_say("%s: no such clock; there are cpu, user and wall", text);
    return false;
}

static bool read_hz(const char *text, unsigned *hz)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && value >= 1 && value <= HZ_MAX) {
        *hz = (unsigned)value;
        return true;
    }
    awi_say("%s: the frequency is a number from 1 to %u", text, HZ_MAX);
    return false;
}

static bool read_duration(const char *text, uint64_t *duration_ns)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end != text && *end == '\0' && isfinite(seconds) && seconds >= 1e-3 && seconds <= SECONDS_MAX) {
        *duration_ns = (uint64_t)(seconds * 1e9);
        return true;
    }
    awi_say("%s: the duration is a number of seconds, at least 0.001", text);
    return false;
}

static bool read_option(int option, struct awi_options *options, const struct format **format)
{
    switch (option) {
    case 'F':
        options->has_hz = true;
        return read_hz(optarg, &options->hz);
    case 'c':
        return read_clock(optarg, &options->clock);
    case 'd':
        return read_duration(optarg, &options->duration_ns);
    case 'f':
        return read_format(optarg, format);
    case 'o':
        options->output = optarg;
        return true;
    case 'w':
        options->is_follow = true;
        return true;
    case 'q':
        options->is_quiet = true;
        return true;
    case 'h':
        options->action = AWI_HELP;
        return true;
    case 'V':
        options->action = AWI_VERSION;
        return true;
    default:
        awi_say("try aw-prof --help");
        return false;
    }
}

/* Where it goes, and in which format, if one of them or both were not said. A report is printed. */
static void complete(struct awi_options *options, const struct format *format)
{
    bool is_report = options->action == AWI_REPORT;
    if (format == NULL && options->output != NULL)
        format = format_of_file(options->output);
    if (format == NULL)
        format = &formats[is_report ? AW_PROFILE_TEXT : AW_PROFILE_PPROF];
    options->format = format->format;
    if (options->output == NULL)
        options->output = is_report ? "-" : format->output;
}

static bool check(const struct awi_options *options, int left)
{
    if (options->action == AWI_RUN && left == 0)
        awi_say("no program to run; try aw-prof --help");
    else if (options->action == AWI_REPORT && left != 1)
        awi_say("report takes one file; try aw-prof --help");
    else if (options->output != NULL && options->output[0] == '\0')
        awi_say("the name of the output is empty");
    else if (options->is_follow && options->output != NULL && strcmp(options->output, "-") == 0)
        awi_say("--follow writes a file for each process: give -o a name");
    else
        return true;
    return false;
}

static const char only_run[] = "Fcdwq";

bool awi_options_read(int argc, char **argv, struct awi_options *options)
{
    *options = (struct awi_options){ .hz = HZ_DEFAULT };
    const struct format *format = NULL;
    /* `aw-prof -- report` runs a program of this name. */
    if (argc > 1 && strcmp(argv[1], "report") == 0) {
        options->action = AWI_REPORT;
        --argc;
        *++argv = "aw-prof report"; /* what getopt calls the command */
    }
    const char *letters = options->action == AWI_REPORT ? "+f:o:h" : "+F:c:d:f:o:qh";
    opterr = 1;
    for (int option; (option = getopt_long(argc, argv, letters, long_options, NULL)) != -1;) {
        if (options->action == AWI_REPORT && strchr(only_run, option) != NULL) {
            awi_say("report has no such option; try aw-prof --help");
            return false;
        }
        if (!read_option(option, options, &format))
            return false;
        if (options->action == AWI_HELP || options->action == AWI_VERSION)
            return true;
    }
    options->arguments = argv + optind;
    if (!check(options, argc - optind))
        return false;
    complete(options, format);
    return true;
}
