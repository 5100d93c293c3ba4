/* SPDX-License-Identifier: MIT */
/* json_check.c: see json_check.h. */
#include "json_check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "profile/formats/utf8.h"

struct reader {
    const char *text;
    size_t at;
};

static void skip_blanks(struct reader *reader)
{
    reader->at += strspn(reader->text + reader->at, " \t\r\n");
}

static bool take(struct reader *reader, const char *token)
{
    size_t length = strlen(token);
    if (strncmp(reader->text + reader->at, token, length) != 0)
        return false;
    reader->at += length;
    return true;
}

static size_t put_utf8(char *to, unsigned character)
{
    if (character < 0x80) {
        to[0] = (char)character;
        return 1;
    }
    if (character < 0x800) {
        to[0] = (char)(0xc0 | character >> 6);
        to[1] = (char)(0x80 | (character & 0x3f));
        return 2;
    }
    to[0] = (char)(0xe0 | character >> 12);
    to[1] = (char)(0x80 | (character >> 6 & 0x3f));
    to[2] = (char)(0x80 | (character & 0x3f));
    return 3;
}

/* Behind the backslash. 0: no escape. */
static size_t read_escape(struct reader *reader, char *to)
{
    static const char from[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    const char *found = strchr(from, reader->text[reader->at]);
    char digits[5] = "";
    if (reader->text[reader->at] != '\0' && found != NULL) {
        *to = meaning[found - from];
        ++reader->at;
        return 1;
    }
    if (!take(reader, "u") || strspn(reader->text + reader->at, "0123456789abcdefABCDEF") < 4)
        return 0;
    memcpy(digits, reader->text + reader->at, 4);
    reader->at += 4;
    unsigned character = (unsigned)strtoul(digits, NULL, 16);
    return character == 0 || (character >= 0xd800 && character < 0xe000) ? 0 : put_utf8(to, character);
}

static char *read_string(struct reader *reader)
{
    char *string = malloc(strlen(reader->text + reader->at) + 1);
    size_t count = 0;
    bool is_good = string != NULL && take(reader, "\"");
    while (is_good && reader->text[reader->at] != '"') {
        size_t length = awi_utf8_length(reader->text + reader->at);
        if (take(reader, "\\"))
            length = read_escape(reader, string + count);
        else if ((unsigned char)reader->text[reader->at] < 0x20)
            length = 0;
        else if (length != 0)
            memcpy(string + count, reader->text + reader->at, length), reader->at += length;
        is_good = length != 0;
        count += length;
    }
    if (is_good && take(reader, "\"")) {
        string[count] = '\0';
        return string;
    }
    free(string);
    return NULL;
}

static bool read_scalar(struct reader *reader, struct json *json)
{
    const char *text = reader->text + reader->at;
    size_t digits = strspn(text, "0123456789");
    if (*text == '"') {
        json->kind = JSON_STRING;
        json->text = read_string(reader);
        return json->text != NULL;
    }
    if (digits != 0) {
        json->kind = JSON_NUMBER;
        json->number = strtoull(text, NULL, 10);
        reader->at += digits;
        return (digits == 1 || *text != '0') && digits < 20 && strchr(".eE", text[digits]) == NULL;
    }
    json->kind = JSON_TRUE;
    if (take(reader, "true"))
        return true;
    json->kind = JSON_FALSE;
    if (take(reader, "false"))
        return true;
    json->kind = JSON_NULL;
    return take(reader, "null");
}

static bool read_value(struct reader *reader, struct json *json, unsigned depth);

static bool read_members(struct reader *reader, struct json *json, unsigned depth)
{
    const char *close = json->kind == JSON_OBJECT ? "}" : "]";
    struct json **end = &json->first;
    skip_blanks(reader);
    if (take(reader, close))
        return true;
    do {
        struct json *member = *end = calloc(1, sizeof *member);
        if (member == NULL)
            return false;
        end = &member->next;
        ++json->count;
        skip_blanks(reader);
        if (json->kind == JSON_OBJECT) {
            member->key = read_string(reader);
            skip_blanks(reader);
            if (member->key == NULL || !take(reader, ":"))
                return false;
            skip_blanks(reader);
        }
        if (!read_value(reader, member, depth + 1))
            return false;
        skip_blanks(reader);
    } while (take(reader, ","));
    return take(reader, close);
}

static bool read_value(struct reader *reader, struct json *json, unsigned depth)
{
    if (depth > 16)
        return false;
    json->kind = JSON_OBJECT;
    if (take(reader, "{"))
        return read_members(reader, json, depth);
    json->kind = JSON_ARRAY;
    if (take(reader, "["))
        return read_members(reader, json, depth);
    return read_scalar(reader, json);
}

struct json *json_read(const char *text, size_t *at)
{
    struct reader reader = { text, 0 };
    struct json *json = calloc(1, sizeof *json);
    skip_blanks(&reader);
    bool is_good = json != NULL && read_value(&reader, json, 0);
    skip_blanks(&reader);
    *at = reader.at;
    if (is_good && text[reader.at] == '\0')
        return json;
    json_free(json);
    return NULL;
}

void json_free(struct json *json)
{
    while (json != NULL) {
        struct json *next = json->next;
        json_free(json->first);
        free(json->key);
        free(json->text);
        free(json);
        json = next;
    }
}

const struct json *json_member(const struct json *object, const char *key)
{
    for (const struct json *member = object != NULL ? object->first : NULL; member != NULL;
         member = member->next)
        if (member->key != NULL && strcmp(member->key, key) == 0)
            return member;
    return NULL;
}

const struct json *json_element(const struct json *array, size_t index)
{
    const struct json *element = array != NULL ? array->first : NULL;
    for (; element != NULL && index != 0; --index)
        element = element->next;
    return element;
}
