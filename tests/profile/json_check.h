/* SPDX-License-Identifier: MIT */
/*
 * json_check.h: a strict JSON reader for tests: what it takes is JSON (RFC 8259) in UTF-8, to the last byte.
 */
#ifndef AWI_TEST_JSON_CHECK_H
#define AWI_TEST_JSON_CHECK_H

#include <stddef.h>
#include <stdint.h>

enum json_kind {
    JSON_NULL,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json {
    enum json_kind kind;
    char *key;          /* in an object */
    char *text;         /* of a string, without its escapes; \u0000 is not taken */
    uint64_t number;    /* whole, not negative: others are not taken */
    struct json *first; /* of an array or object */
    struct json *next;
    size_t count;
};

/* NULL: it is no JSON, from *at on. */
struct json *json_read(const char *text, size_t *at);
void json_free(struct json *json);

/* A member by its key, an element by its place; NULL: there is none. */
const struct json *json_member(const struct json *object, const char *key);
const struct json *json_element(const struct json *array, size_t index);

#endif
