/* SPDX-License-Identifier: MIT */
/* xml_check.c: see xml_check.h. */
#include "xml_check.h"

#include <stdint.h>
#include <string.h>

#define OPEN_MAX_TAGS 64
#define ATTRIBUTES_MAX 32

struct word {
    const char *begin;
    size_t length;
};

struct reader {
    const char *at, *end;
    struct word open[OPEN_MAX_TAGS];
    size_t open_count;
    const char *error;
};

static bool fail(struct reader *reader, const char *what)
{
    if (reader->error == NULL)
        reader->error = what;
    return false;
}

static bool takes(struct reader *reader, const char *string)
{
    size_t length = strlen(string);
    if ((size_t)(reader->end - reader->at) < length || memcmp(reader->at, string, length) != 0)
        return false;
    reader->at += length;
    return true;
}

static bool is_space(char character)
{
    return character == ' ' || character == '\t' || character == '\n' || character == '\r';
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end && is_space(*reader->at))
        ++reader->at;
}

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '_' || byte == ':';
}

static struct word take_name(struct reader *reader)
{
    struct word word = { reader->at, 0 };
    while (reader->at < reader->end && is_name_byte(*reader->at))
        ++reader->at;
    word.length = (size_t)(reader->at - word.begin);
    return word;
}

static bool same(struct word a, struct word b)
{
    return a.length == b.length && memcmp(a.begin, b.begin, a.length) == 0;
}

static bool is_allowed(uint32_t character)
{
    return character == '\t' || character == '\n' || character == '\r' ||
           (character >= 0x20 && character < 0xd800) || (character >= 0xe000 && character < 0xfffe) ||
           (character >= 0x10000 && character <= 0x10ffff);
}

static bool take_character(struct reader *reader)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    unsigned char first = (unsigned char)*reader->at++;
    unsigned more = first < 0x80 ? 0 : first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    uint32_t character = more == 0 ? first : first & (0x3fu >> more);
    if ((first >= 0x80 && first < 0xc0) || first >= 0xf8)
        return fail(reader, "no UTF-8");
    for (unsigned i = 0; i < more; ++i) {
        if (reader->at == reader->end || ((unsigned char)*reader->at & 0xc0) != 0x80)
            return fail(reader, "no UTF-8");
        character = character << 6 | ((unsigned char)*reader->at++ & 0x3f);
    }
    if (character < least[more])
        return fail(reader, "UTF-8 longer than need be");
    return is_allowed(character) || fail(reader, "a character that XML forbids");
}

static bool take_reference(struct reader *reader)
{
    static const char *const known[] = { "&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#39;" };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i)
        if (takes(reader, known[i]))
            return true;
    return fail(reader, "an unknown entity");
}

static bool take_value(struct reader *reader)
{
    if (reader->at == reader->end || (*reader->at != '"' && *reader->at != '\''))
        return fail(reader, "a value without quotes");
    char quote = *reader->at++;
    while (reader->at < reader->end && *reader->at != quote) {
        if (*reader->at == '<')
            return fail(reader, "< in a value");
        if (*reader->at == '&' ? !take_reference(reader) : !take_character(reader))
            return false;
    }
    return takes(reader, quote == '"' ? "\"" : "'") || fail(reader, "a value that does not end");
}

/* To the end of the tag, which is left for the caller. */
static bool take_attributes(struct reader *reader)
{
    struct word names[ATTRIBUTES_MAX];
    for (size_t count = 0;; ++count) {
        const char *before = reader->at;
        skip_space(reader);
        struct word name = take_name(reader);
        if (name.length == 0)
            return true;
        if (before == name.begin || count == ATTRIBUTES_MAX || !takes(reader, "="))
            return fail(reader, "a bad attribute");
        for (size_t i = 0; i < count; ++i)
            if (same(names[i], name))
                return fail(reader, "an attribute twice");
        names[count] = name;
        if (!take_value(reader))
            return false;
    }
}

static bool take_open_tag(struct reader *reader)
{
    struct word name = take_name(reader);
    if (name.length == 0)
        return fail(reader, "a tag without name");
    if (!take_attributes(reader))
        return false;
    if (takes(reader, "/>"))
        return true;
    if (reader->open_count == OPEN_MAX_TAGS)
        return fail(reader, "too deep");
    reader->open[reader->open_count++] = name;
    return takes(reader, ">") || fail(reader, "a tag that does not end");
}

static bool take_close_tag(struct reader *reader)
{
    struct word name = take_name(reader);
    if (reader->open_count == 0 || !same(name, reader->open[reader->open_count - 1]))
        return fail(reader, "a closing tag that does not match");
    --reader->open_count;
    skip_space(reader);
    return takes(reader, ">") || fail(reader, "a closing tag that does not end");
}

static bool take_cdata(struct reader *reader)
{
    while (!takes(reader, "]]>")) {
        if (reader->at == reader->end)
            return fail(reader, "CDATA that does not end");
        if (!take_character(reader))
            return false;
    }
    return true;
}

static bool take_content(struct reader *reader)
{
    if (takes(reader, "<![CDATA["))
        return take_cdata(reader);
    if (takes(reader, "]]>"))
        return fail(reader, "]]> in a text");
    if (*reader->at == '&')
        return take_reference(reader);
    if (takes(reader, "</"))
        return take_close_tag(reader);
    return takes(reader, "<") ? take_open_tag(reader) : take_character(reader);
}

static bool take_document(struct reader *reader)
{
    if (takes(reader, "<?xml") && !(take_attributes(reader) && takes(reader, "?>")))
        return fail(reader, "a bad declaration");
    skip_space(reader);
    if (!takes(reader, "<"))
        return fail(reader, "no root");
    if (!take_open_tag(reader))
        return false;
    while (reader->open_count != 0)
        if (reader->at == reader->end || !take_content(reader))
            return fail(reader, "an element that does not end");
    skip_space(reader);
    return reader->at == reader->end || fail(reader, "something after the root");
}

bool xml_check(const char *text, size_t length, struct xml_error *error)
{
    struct reader reader = { .at = text, .end = text + length };
    bool is_right = take_document(&reader);
    error->what = is_right ? NULL : reader.error;
    error->at = (size_t)(reader.at - text);
    return is_right;
}
