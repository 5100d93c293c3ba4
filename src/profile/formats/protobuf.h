/* SPDX-License-Identifier: MIT */
/*
 * protobuf.h: the wire format of protocol buffers, as far as profile.proto needs it: messages made of
 * numbers, bytes and other messages. Writing gathers a message in memory, because its length stands before
 * it; reading steps through bytes that may be anything.
 */
#ifndef AWI_PROFILE_PROTOBUF_H
#define AWI_PROFILE_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AWI_VARINT_MAX 10 /* bytes */

/* A message that is being put together. All zero is an empty one. */
struct awi_message {
    unsigned char *bytes;
    size_t count;
    size_t capacity;
    bool is_incomplete; /* there was no memory */
};

/* Empties it, and keeps its memory; frees that. */
void awi_message_clear(struct awi_message *message);
void awi_message_free(struct awi_message *message);

/* A field. A number that is zero is left out: that is its default. */
void awi_message_number(struct awi_message *message, uint32_t field, uint64_t value);
void awi_message_bytes(struct awi_message *message, uint32_t field, const void *bytes, size_t count);
void awi_message_message(struct awi_message *message, uint32_t field, const struct awi_message *inner);

/* A bare number: what packed repeated fields consist of. */
void awi_message_packed(struct awi_message *message, uint64_t value);

/* The bytes of a number, at most AWI_VARINT_MAX; and those that stand before bytes or a message. */
size_t awi_varint_write(unsigned char *bytes, uint64_t value);
size_t awi_prefix_write(unsigned char bytes[2 * AWI_VARINT_MAX], uint32_t field, size_t count);

enum awi_wire_type {
    AWI_WIRE_VARINT = 0,
    AWI_WIRE_FIXED64 = 1,
    AWI_WIRE_BYTES = 2,
    AWI_WIRE_FIXED32 = 5
};

/* What is left to be read of a message. */
struct awi_wire {
    const unsigned char *at;
    const unsigned char *end;
};

struct awi_field {
    uint32_t number;
    enum awi_wire_type type;
    uint64_t value;        /* of a varint or fixed number */
    struct awi_wire bytes; /* of bytes, a message, or packed numbers */
};

/* 1: a field; 0: the end; -EBADMSG: no protocol buffer. */
int awi_wire_field(struct awi_wire *wire, struct awi_field *field);

/* The next of the packed numbers. 1, 0, -EBADMSG likewise. */
int awi_wire_packed(struct awi_wire *wire, uint64_t *value);

static inline size_t awi_wire_left(const struct awi_wire *wire)
{
    return (size_t)(wire->end - wire->at);
}

#endif
