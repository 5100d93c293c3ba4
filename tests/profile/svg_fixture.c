/* SPDX-License-Identifier: MIT */
/* svg_fixture.c: see svg_fixture.h. */
#include "svg_fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "profile/formats/output.h"
#include "xml_check.h"

struct made_profile made;
char *svg;
size_t svg_bytes;

void svg_begin(void)
{
    made_begin(&made);
    svg = NULL;
}

void svg_end(void)
{
    free(svg);
    made_end(&made);
}

/* Asks python3's parser too, where there is one. */
static void check_with_python(int fd)
{
    static const char script[] = "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.stdin.buffer)";
    int status = 0;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (lseek(fd, 0, SEEK_SET) == 0 && dup2(fd, STDIN_FILENO) >= 0)
            (void)execlp("python3", "python3", "-c", script, (char *)NULL);
        _exit(127);
    }
    EXPECT(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return;
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "python3 cannot parse the SVG");
}

void draw(void)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    struct awi_output *output = awi_output_open(fileno(file), false);
    ck_assert_ptr_nonnull(output);
    EXPECT(awi_write_svg(output, &made.profile, &made.symbols), 0);
    EXPECT(awi_output_close(output), 0);
    off_t bytes = lseek(fileno(file), 0, SEEK_END);
    ck_assert_int_gt(bytes, 0);
    svg_bytes = (size_t)bytes;
    free(svg);
    svg = malloc(svg_bytes + 1);
    ck_assert_ptr_nonnull(svg);
    EXPECT(pread(fileno(file), svg, svg_bytes, 0), bytes);
    svg[svg_bytes] = '\0';
    ck_assert_uint_eq(strlen(svg), svg_bytes);
    struct xml_error error;
    ck_assert_msg(xml_check(svg, svg_bytes, &error), "not XML: %s at byte %zu: %.40s", error.what, error.at,
                  svg + error.at);
    check_with_python(fileno(file));
    (void)fclose(file);
}

bool find_frame(const char *name, unsigned nth, struct frame *frame)
{
    char title[1024];
    (void)snprintf(title, sizeof title, "<title>%s\n", name);
    for (const char *at = svg; (at = strstr(at, title)) != NULL; ++at) {
        const char *begins = at;
        while (*begins != '<' || strncmp(begins, "<svg", 4) != 0)
            --begins;
        const char *x = strstr(begins, " x=\"");
        if (nth-- != 0)
            continue;
        EXPECT(sscanf(x, " x=\"%lf%%\" y=\"%u\" width=\"%lf%%\"", &frame->x, &frame->y, &frame->width), 3);
        return true;
    }
    return false;
}

struct frame frame_of(const char *name)
{
    struct frame frame = { 0 };
    ck_assert_msg(find_frame(name, 0, &frame), "no frame %s", name);
    return frame;
}

void expect_width(const char *name, double percent)
{
    ck_assert_msg(fabs(frame_of(name).width - percent) <= 0.0001, "%s is %f %% wide, not %f %%", name,
                  frame_of(name).width, percent);
}

unsigned occurrences(const char *string)
{
    unsigned count = 0;
    for (const char *at = svg; (at = strstr(at, string)) != NULL; at += strlen(string))
        ++count;
    return count;
}

void expect_text(const char *string)
{
    ck_assert_msg(strstr(svg, string) != NULL, "the SVG has no: %s", string);
}
