/* SPDX-License-Identifier: MIT */
/*
 * svg_text.c: names from symbol tables hold any byte there is, and an XML file with one wrong byte is none.
 * Called by svg.c.
 */
#include "svg_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "utf8.h"

#define ELLIPSIS "\xe2\x80\xa6"

struct awi_number awi_number_count(uint64_t count)
{
    char digits[24];
    struct awi_number number;
    size_t length = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, count);
    size_t used = 0;
    for (size_t i = 0; i < length; ++i) {
        if (i != 0 && (length - i) % 3 == 0)
            number.text[used++] = ',';
        number.text[used++] = digits[i];
    }
    number.text[used] = '\0';
    return number;
}

/* value in hundredths of the unit, rounded by the caller. */
static struct awi_number with_hundredths(uint64_t value, const char *unit)
{
    struct awi_number number;
    (void)snprintf(number.text, sizeof number.text, "%" PRIu64 ".%02u%s", value / 100,
                   (unsigned)(value % 100), unit);
    return number;
}

struct awi_number awi_number_time(uint64_t time_ns)
{
    static const struct {
        uint64_t hundredth_ns;
        const char *unit;
    } units[] = { { 10000000, " s" }, { 10000, " ms" }, { 10, " \xc2\xb5s" } };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; ++i)
        if (time_ns >= 100 * units[i].hundredth_ns)
            return with_hundredths(time_ns / units[i].hundredth_ns +
                                       (time_ns % units[i].hundredth_ns >= units[i].hundredth_ns / 2),
                                   units[i].unit);
    struct awi_number number;
    (void)snprintf(number.text, sizeof number.text, "%u ns", (unsigned)time_ns);
    return number;
}

struct awi_number awi_number_share(uint64_t part, uint64_t whole)
{
    double share = whole == 0 ? 0 : (double)part / (double)whole;
    return with_hundredths((uint64_t)(share * 10000 + 0.5), " %");
}

struct awi_number awi_number_rate(uint64_t count, uint64_t time_ns)
{
    double tenths = time_ns == 0 ? 0 : (double)count * 1e10 / (double)time_ns;
    uint64_t value = tenths < 1e18 ? (uint64_t)(tenths + 0.5) : UINT64_C(1000000000000000000);
    struct awi_number number = awi_number_count(value / 10);
    size_t length = strlen(number.text);
    if (length + 3 <= sizeof number.text)
        (void)snprintf(number.text + length, sizeof number.text - length, ".%u", (unsigned)(value % 10));
    return number;
}

struct awi_number awi_number_percent(uint32_t millionths)
{
    struct awi_number number;
    int length = snprintf(number.text, sizeof number.text, "%u.%04u", millionths / 10000, millionths % 10000);
    while (number.text[length - 1] == '0')
        --length;
    if (number.text[length - 1] == '.')
        --length;
    (void)snprintf(number.text + length, sizeof number.text - (size_t)length, "%%");
    return number;
}

/* What XML or a reader cannot do with: controls, C1 ones too, and the two that are no characters. */
static bool is_shown(const unsigned char *bytes)
{
    return bytes[0] >= 0x20 && bytes[0] != 0x7f && !(bytes[0] == 0xc2 && bytes[1] < 0xa0) &&
           !(bytes[0] == 0xef && bytes[1] == 0xbf && bytes[2] >= 0xbe);
}

/* NULL: it stands for itself. */
static const char *replacement_of(const char *character, size_t length)
{
    switch (*character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return length != 0 && is_shown((const unsigned char *)character) ? NULL : AWI_UTF8_REPLACEMENT;
    }
}

void awi_svg_text(struct awi_output *output, const char *string, size_t limit)
{
    for (size_t written = 1; *string != '\0'; ++written) {
        size_t length = awi_utf8_length(string);
        const char *replacement = replacement_of(string, length);
        if (length == 0)
            length = 1;
        if (written >= limit && string[length] != '\0') {
            awi_output_text(output, ELLIPSIS);
            return;
        }
        if (replacement != NULL)
            awi_output_text(output, replacement);
        else
            awi_output_bytes(output, string, length);
        string += length;
    }
}
