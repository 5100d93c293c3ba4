/* SPDX-License-Identifier: MIT */
/*
 * protobuf.c: see protobuf.h. Written from the encoding's public description. Called by pprof.c and
 * pprof_read.c; the reading half trusts no byte and allocates nothing.
 */
#include "protobuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BYTES ((size_t)256)

void awi_message_clear(struct awi_message *message)
{
    message->count = 0;
}

void awi_message_free(struct awi_message *message)
{
    free(message->bytes);
    *message = (struct awi_message){ 0 };
}

static void append(struct awi_message *message, const void *bytes, size_t count)
{
    if (count > message->capacity - message->count) {
        size_t capacity = message->capacity != 0 ? message->capacity : FIRST_BYTES;
        while (capacity <= SIZE_MAX / 2 && capacity - message->count < count)
            capacity *= 2;
        unsigned char *longer = capacity - message->count < count ? NULL : realloc(message->bytes, capacity);
        if (longer == NULL) {
            message->is_incomplete = true;
            return;
        }
        message->bytes = longer;
        message->capacity = capacity;
    }
    if (count != 0)
        memcpy(message->bytes + message->count, bytes, count);
    message->count += count;
}

size_t awi_varint_write(unsigned char *bytes, uint64_t value)
{
    size_t count = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[count++] = (unsigned char)(value | 0x80);
    bytes[count++] = (unsigned char)value;
    return count;
}

static size_t write_tag(unsigned char *bytes, uint32_t field, enum awi_wire_type type)
{
    return awi_varint_write(bytes, (uint64_t)field << 3 | (uint64_t)type);
}

size_t awi_prefix_write(unsigned char bytes[2 * AWI_VARINT_MAX], uint32_t field, size_t count)
{
    size_t length = write_tag(bytes, field, AWI_WIRE_BYTES);
    return length + awi_varint_write(bytes + length, count);
}

void awi_message_packed(struct awi_message *message, uint64_t value)
{
    unsigned char bytes[AWI_VARINT_MAX];
    append(message, bytes, awi_varint_write(bytes, value));
}

void awi_message_number(struct awi_message *message, uint32_t field, uint64_t value)
{
    unsigned char bytes[2 * AWI_VARINT_MAX];
    if (value == 0)
        return;
    size_t count = write_tag(bytes, field, AWI_WIRE_VARINT);
    append(message, bytes, count + awi_varint_write(bytes + count, value));
}

void awi_message_bytes(struct awi_message *message, uint32_t field, const void *bytes, size_t count)
{
    unsigned char prefix[2 * AWI_VARINT_MAX];
    append(message, prefix, awi_prefix_write(prefix, field, count));
    append(message, bytes, count);
}

void awi_message_message(struct awi_message *message, uint32_t field, const struct awi_message *inner)
{
    awi_message_bytes(message, field, inner->bytes, inner->count);
    message->is_incomplete = message->is_incomplete || inner->is_incomplete;
}

int awi_wire_packed(struct awi_wire *wire, uint64_t *value)
{
    if (wire->at == wire->end)
        return 0;
    *value = 0;
    for (unsigned shift = 0; wire->at != wire->end && shift < 7 * AWI_VARINT_MAX; shift += 7) {
        uint64_t byte = *wire->at++;
        if (shift == 63 && byte > 1)
            return -EBADMSG;
        *value |= (byte & 0x7f) << shift;
        if (byte < 0x80)
            return 1;
    }
    return -EBADMSG;
}

static int read_fixed(struct awi_wire *wire, size_t count, uint64_t *value)
{
    if (awi_wire_left(wire) < count)
        return -EBADMSG;
    *value = 0;
    for (size_t i = 0; i < count; ++i)
        *value |= (uint64_t)*wire->at++ << 8 * i;
    return 1;
}

static int read_bytes(struct awi_wire *wire, struct awi_wire *bytes)
{
    uint64_t count;
    if (awi_wire_packed(wire, &count) != 1 || count > awi_wire_left(wire))
        return -EBADMSG;
    bytes->at = wire->at;
    bytes->end = wire->at += (size_t)count;
    return 1;
}

int awi_wire_field(struct awi_wire *wire, struct awi_field *field)
{
    uint64_t tag;
    int result = awi_wire_packed(wire, &tag);
    if (result != 1)
        return result;
    if (tag >> 3 == 0 || tag >> 3 > UINT32_MAX >> 3)
        return -EBADMSG;
    field->number = (uint32_t)(tag >> 3);
    field->type = (enum awi_wire_type)(tag & 7);
    field->value = 0;
    field->bytes = (struct awi_wire){ NULL, NULL };
    switch (tag & 7) {
    case AWI_WIRE_VARINT:
        return awi_wire_packed(wire, &field->value) == 1 ? 1 : -EBADMSG;
    case AWI_WIRE_FIXED64:
        return read_fixed(wire, 8, &field->value);
    case AWI_WIRE_BYTES:
        return read_bytes(wire, &field->bytes);
    case AWI_WIRE_FIXED32:
        return read_fixed(wire, 4, &field->value);
    default: /* groups, which nobody writes any more */
        return -EBADMSG;
    }
}
