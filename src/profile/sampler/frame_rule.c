/* SPDX-License-Identifier: MIT */
/*
 * frame_rule.c: finds the call-frame information of an address by the search table that linkers make
 * (.eh_frame_hdr) and interprets it up to that address: DWARF 5, section 6.4, in the encodings that gcc,
 * clang and the linkers write on x86-64. What is written otherwise is a complex rule, for the general
 * unwinder.
 *
 * The handler calls it; it never allocates, locks or writes outside its frame, and follows no pointer that
 * leads out of the object.
 */
#include "frame_rule.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "../../guard/object.h"
#include "call_frame.h"

#if AWI_UNWINDS_IN_HANDLERS && defined(__x86_64__) && !defined(__ILP32__)

/* Encodings of pointers. */
enum {
    ABSOLUTE_8 = 0x00,
    UDATA4 = 0x03,
    PCREL_SDATA4 = 0x1b,
    DATAREL_SDATA4 = 0x3b,
    INDIRECT_PCREL_SDATA4 = 0x9b
};

/* An entry's content, after its length; false: it does not lie in the object. */
static bool open_entry(const uint8_t *entry, const struct dl_find_object *object,
                       struct awi_cfi_reader *reader)
{
    const uint8_t *start = object->dlfo_map_start;
    const uint8_t *end = object->dlfo_map_end;
    uint32_t length;
    if (entry < start || entry >= end || (size_t)(end - entry) < sizeof length)
        return false;
    memcpy(&length, entry, sizeof length);
    entry += sizeof length;
    if (length == 0 || length == UINT32_MAX || length > (size_t)(end - entry))
        return false;
    *reader = (struct awi_cfi_reader){ entry, entry + length, false };
    return true;
}

/* The routine that exceptions of this function are shown to: of no interest here, but its size is. */
static bool skip_personality(struct awi_cfi_reader *reader)
{
    uint64_t encoding = awi_cfi_fixed(reader, 1);
    bool is_known = encoding == PCREL_SDATA4 || encoding == INDIRECT_PCREL_SDATA4 || encoding == UDATA4 ||
                    encoding == ABSOLUTE_8;
    awi_cfi_skip(reader, encoding == ABSOLUTE_8 ? 8 : 4);
    return is_known;
}

/* The letters of an augmentation string say what its data holds. False: something unknown. */
static bool read_augmentation(struct awi_cfi_reader *reader, const char *letters,
                              struct awi_cfi_common *common)
{
    uint64_t bytes = awi_cfi_uleb(reader);
    struct awi_cfi_reader data = { reader->at, reader->at, false };
    bool is_known = true;
    awi_cfi_skip(reader, bytes);
    data.end = reader->at;
    for (++letters; *letters != '\0' && is_known; ++letters) {
        switch (*letters) {
        case 'S':
            common->is_signal_frame = true;
            break;
        case 'B':
            break;
        case 'L':
            awi_cfi_skip(&data, 1);
            break;
        case 'P':
            is_known = skip_personality(&data);
            break;
        default:
            is_known = *letters == 'R' && awi_cfi_fixed(&data, 1) == PCREL_SDATA4;
        }
    }
    return is_known && !data.is_bad && !reader->is_bad;
}

static bool read_common(const uint8_t *entry, const struct dl_find_object *object,
                        struct awi_cfi_common *common)
{
    struct awi_cfi_reader reader;
    if (!open_entry(entry, object, &reader))
        return false;
    uint64_t id = awi_cfi_fixed(&reader, 4);
    uint64_t version = awi_cfi_fixed(&reader, 1);
    const char *letters = (const char *)reader.at;
    while (!reader.is_bad && awi_cfi_fixed(&reader, 1) != 0)
        continue;
    *common = (struct awi_cfi_common){ .has_augmentation = letters[0] == 'z' };
    common->code_alignment = awi_cfi_uleb(&reader);
    common->data_alignment = awi_cfi_sleb(&reader);
    uint64_t return_address = version == 1 ? awi_cfi_fixed(&reader, 1) : awi_cfi_uleb(&reader);
    if (reader.is_bad || id != 0 || (version != 1 && version != 3) ||
        return_address != AWI_CFI_RETURN_ADDRESS || (!common->has_augmentation && letters[0] != '\0'))
        return false;
    if (common->has_augmentation && !read_augmentation(&reader, letters, common))
        return false;
    common->instructions = reader;
    return true;
}

static struct awi_frame_rule rule_of(const struct awi_cfi_row *row)
{
    struct awi_frame_rule rule = { .kind = AWI_RULE_COMPLEX };
    if (row->is_expression)
        return rule;
    if (row->return_address.place == AWI_CFI_UNDEFINED) {
        rule.kind = AWI_RULE_END;
        return rule;
    }
    bool is_rbp_plain =
        row->rbp.place == AWI_CFI_SAME || row->rbp.place == AWI_CFI_UNDEFINED ||
        (row->rbp.place == AWI_CFI_AT_CFA_OFFSET && row->rbp.offset < 0 && row->rbp.offset >= INT16_MIN);
    if ((row->cfa_register != AWI_CFI_RSP && row->cfa_register != AWI_CFI_RBP) || row->cfa_offset < 8 ||
        row->cfa_offset > INT32_MAX || row->return_address.place != AWI_CFI_AT_CFA_OFFSET ||
        row->return_address.offset != -8 || !is_rbp_plain)
        return rule;
    rule.kind = AWI_RULE_PLAIN;
    rule.is_based_on_rbp = row->cfa_register == AWI_CFI_RBP;
    rule.cfa = (int32_t)row->cfa_offset;
    rule.rbp = (int16_t)(row->rbp.place == AWI_CFI_AT_CFA_OFFSET ? row->rbp.offset : 0);
    return rule;
}

/* --- The search table ------------------------------------------------------------------ */

static const struct awi_frame_rule complex_rule = { .kind = AWI_RULE_COMPLEX };
static const struct awi_frame_rule signal_rule = { .kind = AWI_RULE_SIGNAL };
static const struct awi_frame_rule end_rule = { .kind = AWI_RULE_END };

/* Is that what a signal handler returns to, as libc has it: mov $15, %rax; syscall? */
static bool returns_from_signal(uintptr_t address, const struct dl_find_object *object)
{
    static const uint8_t code[] = { 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 };
    return (uintptr_t)object->dlfo_map_end - address >= sizeof code &&
           memcmp((const void *)address, code, sizeof code) == 0;
}

/* The function's entry covers the address: interprets it. */
static struct awi_frame_rule interpret(const uint8_t *entry, const struct dl_find_object *object,
                                       uintptr_t pc)
{
    struct awi_cfi_reader reader;
    struct awi_cfi_common common;
    if (!open_entry(entry, object, &reader))
        return complex_rule;
    const uint8_t *pointer_at = reader.at;
    uint64_t back = awi_cfi_fixed(&reader, 4);
    if (back == 0 || back > (uint64_t)(pointer_at - (const uint8_t *)object->dlfo_map_start) ||
        !read_common(pointer_at - back, object, &common))
        return complex_rule;
    uintptr_t start_at = (uintptr_t)reader.at;
    uintptr_t start = start_at + (uintptr_t)(int64_t)(int32_t)awi_cfi_fixed(&reader, 4);
    uint64_t bytes = awi_cfi_fixed(&reader, 4);
    if (pc - start >= bytes)
        return end_rule; /* between functions that the table knows */
    if (common.is_signal_frame)
        return returns_from_signal(pc + 1, object) ? signal_rule : complex_rule;
    if (common.has_augmentation)
        awi_cfi_skip(&reader, awi_cfi_uleb(&reader));
    if (reader.is_bad)
        return complex_rule;
    struct awi_cfi_row row;
    return awi_cfi_run(&common, reader, start, pc, &row) ? rule_of(&row) : complex_rule;
}

/* .eh_frame_hdr: four encodings and two numbers, then pairs of a function's begin and its entry, sorted. */
struct search_table {
    uint8_t version;
    uint8_t frame_encoding;
    uint8_t count_encoding;
    uint8_t table_encoding;
    int32_t frame;
    uint32_t count;
    struct {
        int32_t start;
        int32_t entry;
    } pairs[];
};

struct awi_frame_rule awi_frame_rule_find(uintptr_t pc)
{
    struct dl_find_object object;
    if (_dl_find_object((void *)pc, &object) != 0 || object.dlfo_eh_frame == NULL)
        return end_rule;
    const struct search_table *table = object.dlfo_eh_frame;
    if (table->version != 1 || table->frame_encoding != PCREL_SDATA4 || table->count_encoding != UDATA4 ||
        table->table_encoding != DATAREL_SDATA4 ||
        table->count > ((size_t)((char *)object.dlfo_map_end - (char *)table) - sizeof *table) / 8)
        return complex_rule;
    int64_t wanted = (int64_t)(pc - (uintptr_t)table);
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->pairs[middle].start <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return end_rule;
    return interpret((const uint8_t *)table + table->pairs[low - 1].entry, &object, pc);
}

#else

struct awi_frame_rule awi_frame_rule_find(uintptr_t pc)
{
    (void)pc;
    return (struct awi_frame_rule){ .kind = AWI_RULE_COMPLEX };
}

#endif
