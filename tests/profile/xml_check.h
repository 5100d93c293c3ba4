/* SPDX-License-Identifier: MIT */
/*
 * xml_check.h: whether a text is well-formed XML: one root, tags that match, attributes in quotes and once
 * each, only the five named entities and character references, UTF-8, no character that XML forbids. No
 * document type, no processing instruction but the declaration; that is all an SVG of ours has.
 */
#ifndef AWI_XML_CHECK_H
#define AWI_XML_CHECK_H

#include <stdbool.h>
#include <stddef.h>

struct xml_error {
    const char *what;
    size_t at;
};

bool xml_check(const char *text, size_t length, struct xml_error *error);

#endif
