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

#if AWI_UNWINDS_IN_HANDLERS && defined(__x86_64__) && !defined(__ILP32__)

/* Registers by their DWARF numbers. */
enum {
    RBP = 6,
    RSP = 7,
    RETURN_ADDRESS = 16
};

/* Encodings of pointers. */
enum {
    ABSOLUTE_8 = 0x00,
    UDATA4 = 0x03,
    PCREL_SDATA4 = 0x1b,
    DATAREL_SDATA4 = 0x3b,
    INDIRECT_PCREL_SDATA4 = 0x9b
};

/* Where a register of the caller is. */
enum place {
    SAME = 0,
    AT_CFA_OFFSET,
    UNDEFINED,
    ELSEWHERE
};

struct saved {
    enum place place;
    int64_t offset;
};

struct row {
    uint64_t cfa_register;
    int64_t cfa_offset;
    bool is_expression;
    struct saved rbp;
    struct saved return_address;
};

#define REMEMBERED_MAX 8u

/* A piece of call-frame information, read front to back; reading past its end sets `is_bad`. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};

/* What a common information entry says of its functions. */
struct common {
    uint64_t code_alignment;
    int64_t data_alignment;
    bool is_signal_frame;
    bool has_augmentation;
    struct reader instructions;
};

static uint64_t read_fixed(struct reader *reader, size_t bytes)
{
    uint64_t value = 0;
    if ((size_t)(reader->end - reader->at) < bytes) {
        reader->is_bad = true;
        reader->at = reader->end;
        return 0;
    }
    memcpy(&value, reader->at, bytes);
    reader->at += bytes;
    return value;
}

static uint64_t read_uleb(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = read_fixed(reader, 1);
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    reader->is_bad = true;
    return 0;
}

static int64_t read_sleb(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 63;) {
        uint64_t byte = read_fixed(reader, 1);
        value |= (byte & 0x7f) << shift;
        shift += 7;
        if ((byte & 0x80) == 0)
            return (int64_t)((byte & 0x40) != 0 ? value | ~UINT64_C(0) << shift : value);
    }
    reader->is_bad = true;
    return 0;
}

static void skip(struct reader *reader, uint64_t bytes)
{
    if ((uint64_t)(reader->end - reader->at) < bytes) {
        reader->is_bad = true;
        reader->at = reader->end;
    } else {
        reader->at += bytes;
    }
}

/* An entry's content, after its length; false: it does not lie in the object. */
static bool open_entry(const uint8_t *entry, const struct dl_find_object *object, struct reader *reader)
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
    *reader = (struct reader){ entry, entry + length, false };
    return true;
}

/* The routine that exceptions of this function are shown to: of no interest here, but its size is. */
static bool skip_personality(struct reader *reader)
{
    uint64_t encoding = read_fixed(reader, 1);
    bool is_known = encoding == PCREL_SDATA4 || encoding == INDIRECT_PCREL_SDATA4 || encoding == UDATA4 ||
                    encoding == ABSOLUTE_8;
    skip(reader, encoding == ABSOLUTE_8 ? 8 : 4);
    return is_known;
}

/* The letters of an augmentation string say what its data holds. False: something unknown. */
static bool read_augmentation(struct reader *reader, const char *letters, struct common *common)
{
    uint64_t bytes = read_uleb(reader);
    struct reader data = { reader->at, reader->at, false };
    bool is_known = true;
    skip(reader, bytes);
    data.end = reader->at;
    for (++letters; *letters != '\0' && is_known; ++letters) {
        switch (*letters) {
        case 'S':
            common->is_signal_frame = true;
            break;
        case 'B':
            break;
        case 'L':
            skip(&data, 1);
            break;
        case 'P':
            is_known = skip_personality(&data);
            break;
        default:
            is_known = *letters == 'R' && read_fixed(&data, 1) == PCREL_SDATA4;
        }
    }
    return is_known && !data.is_bad && !reader->is_bad;
}

static bool read_common(const uint8_t *entry, const struct dl_find_object *object, struct common *common)
{
    struct reader reader;
    if (!open_entry(entry, object, &reader))
        return false;
    uint64_t id = read_fixed(&reader, 4);
    uint64_t version = read_fixed(&reader, 1);
    const char *letters = (const char *)reader.at;
    while (!reader.is_bad && read_fixed(&reader, 1) != 0)
        continue;
    *common = (struct common){ .has_augmentation = letters[0] == 'z' };
    common->code_alignment = read_uleb(&reader);
    common->data_alignment = read_sleb(&reader);
    uint64_t return_address = version == 1 ? read_fixed(&reader, 1) : read_uleb(&reader);
    if (reader.is_bad || id != 0 || (version != 1 && version != 3) || return_address != RETURN_ADDRESS ||
        (!common->has_augmentation && letters[0] != '\0'))
        return false;
    if (common->has_augmentation && !read_augmentation(&reader, letters, common))
        return false;
    common->instructions = reader;
    return true;
}

/* --- Instructions ---------------------------------------------------------------------- */

struct machine {
    const struct common *common;
    struct row row;
    struct row initial; /* after the common instructions */
    struct row remembered[REMEMBERED_MAX];
    unsigned depth;
    bool is_complex;
};

static void save(struct machine *machine, uint64_t reg, enum place place, int64_t offset)
{
    if (reg == RBP)
        machine->row.rbp = (struct saved){ place, offset };
    else if (reg == RETURN_ADDRESS)
        machine->row.return_address = (struct saved){ place, offset };
    else if (reg == RSP)
        machine->is_complex = true;
}

static void restore(struct machine *machine, uint64_t reg)
{
    if (reg == RBP)
        machine->row.rbp = machine->initial.rbp;
    else if (reg == RETURN_ADDRESS)
        machine->row.return_address = machine->initial.return_address;
}

static void remember(struct machine *machine)
{
    if (machine->depth == REMEMBERED_MAX)
        machine->is_complex = true;
    else
        machine->remembered[machine->depth++] = machine->row;
}

static void recall(struct machine *machine)
{
    if (machine->depth == 0)
        machine->is_complex = true;
    else
        machine->row = machine->remembered[--machine->depth];
}

static void define_cfa(struct machine *machine, uint64_t reg, int64_t offset)
{
    machine->row.cfa_register = reg;
    machine->row.cfa_offset = offset;
    machine->row.is_expression = false;
}

/* Instructions that say where a register of the caller is; false: another one. */
static bool run_saving(struct machine *machine, struct reader *reader, unsigned opcode)
{
    int64_t unit = machine->common->data_alignment;
    uint64_t reg;
    switch (opcode) {
    case 0x05: /* offset_extended */
        reg = read_uleb(reader);
        save(machine, reg, AT_CFA_OFFSET, (int64_t)read_uleb(reader) * unit);
        return true;
    case 0x11: /* offset_extended_sf */
        reg = read_uleb(reader);
        save(machine, reg, AT_CFA_OFFSET, read_sleb(reader) * unit);
        return true;
    case 0x06: /* restore_extended */
        restore(machine, read_uleb(reader));
        return true;
    case 0x07: /* undefined */
        save(machine, read_uleb(reader), UNDEFINED, 0);
        return true;
    case 0x08: /* same_value */
        save(machine, read_uleb(reader), SAME, 0);
        return true;
    case 0x09: /* register */
    case 0x14: /* val_offset */
    case 0x15: /* val_offset_sf */
        save(machine, read_uleb(reader), ELSEWHERE, 0);
        read_uleb(reader);
        return true;
    case 0x10: /* expression */
    case 0x16: /* val_expression */
        save(machine, read_uleb(reader), ELSEWHERE, 0);
        skip(reader, read_uleb(reader));
        return true;
    default:
        return false;
    }
}

/* Instructions that define the canonical frame address, and the rest. */
static void run_other(struct machine *machine, struct reader *reader, unsigned opcode)
{
    int64_t unit = machine->common->data_alignment;
    uint64_t reg;
    switch (opcode) {
    case 0x00: /* nop */
        break;
    case 0x0a:
        remember(machine);
        break;
    case 0x0b:
        recall(machine);
        break;
    case 0x0c: /* def_cfa */
        reg = read_uleb(reader);
        define_cfa(machine, reg, (int64_t)read_uleb(reader));
        break;
    case 0x12: /* def_cfa_sf */
        reg = read_uleb(reader);
        define_cfa(machine, reg, read_sleb(reader) * unit);
        break;
    case 0x0d: /* def_cfa_register */
        machine->row.cfa_register = read_uleb(reader);
        break;
    case 0x0e: /* def_cfa_offset */
        machine->row.cfa_offset = (int64_t)read_uleb(reader);
        break;
    case 0x13: /* def_cfa_offset_sf */
        machine->row.cfa_offset = read_sleb(reader) * unit;
        break;
    case 0x0f: /* def_cfa_expression */
        machine->row.is_expression = true;
        skip(reader, read_uleb(reader));
        break;
    case 0x2e: /* GNU_args_size */
        read_uleb(reader);
        break;
    default:
        machine->is_complex = true;
    }
}

/* Runs instructions as long as they hold at `offset` from where the function begins. */
static void run(struct machine *machine, struct reader reader, uint64_t offset)
{
    uint64_t location = 0;
    while (reader.at < reader.end && !machine->is_complex) {
        unsigned byte = (unsigned)read_fixed(&reader, 1);
        unsigned low = byte & 0x3f;
        if (byte >> 6 == 1) {
            location += low * machine->common->code_alignment;
        } else if (byte >> 6 == 2) {
            save(machine, low, AT_CFA_OFFSET, (int64_t)read_uleb(&reader) * machine->common->data_alignment);
        } else if (byte >> 6 == 3) {
            restore(machine, low);
        } else if (byte >= 0x02 && byte <= 0x04) { /* advance_loc1, 2, 4 */
            location += read_fixed(&reader, (size_t)1 << (byte - 2)) * machine->common->code_alignment;
        } else if (!run_saving(machine, &reader, byte)) {
            run_other(machine, &reader, byte);
        }
        if (location > offset)
            return;
        if (reader.is_bad)
            machine->is_complex = true;
    }
}

static struct awi_frame_rule rule_of(const struct machine *machine)
{
    const struct row *row = &machine->row;
    struct awi_frame_rule rule = { .kind = AWI_RULE_COMPLEX };
    if (machine->is_complex || row->is_expression)
        return rule;
    if (row->return_address.place == UNDEFINED) {
        rule.kind = AWI_RULE_END;
        return rule;
    }
    bool is_rbp_plain =
        row->rbp.place == SAME || row->rbp.place == UNDEFINED ||
        (row->rbp.place == AT_CFA_OFFSET && row->rbp.offset < 0 && row->rbp.offset >= INT16_MIN);
    if ((row->cfa_register != RSP && row->cfa_register != RBP) || row->cfa_offset < 8 ||
        row->cfa_offset > INT32_MAX || row->return_address.place != AT_CFA_OFFSET ||
        row->return_address.offset != -8 || !is_rbp_plain)
        return rule;
    rule.kind = AWI_RULE_PLAIN;
    rule.is_based_on_rbp = row->cfa_register == RBP;
    rule.cfa = (int32_t)row->cfa_offset;
    rule.rbp = (int16_t)(row->rbp.place == AT_CFA_OFFSET ? row->rbp.offset : 0);
    return rule;
}

/* --- The search table ------------------------------------------------------------------ */

static const struct awi_frame_rule complex_rule = { .kind = AWI_RULE_COMPLEX };
static const struct awi_frame_rule end_rule = { .kind = AWI_RULE_END };

/* The function's entry covers the address: interprets it. */
static struct awi_frame_rule interpret(const uint8_t *entry, const struct dl_find_object *object,
                                       uintptr_t pc)
{
    struct reader reader;
    struct common common;
    if (!open_entry(entry, object, &reader))
        return complex_rule;
    const uint8_t *pointer_at = reader.at;
    uint64_t back = read_fixed(&reader, 4);
    if (back == 0 || back > (uint64_t)(pointer_at - (const uint8_t *)object->dlfo_map_start) ||
        !read_common(pointer_at - back, object, &common) || common.is_signal_frame)
        return complex_rule;
    uintptr_t start_at = (uintptr_t)reader.at;
    uintptr_t start = start_at + (uintptr_t)(int64_t)(int32_t)read_fixed(&reader, 4);
    uint64_t bytes = read_fixed(&reader, 4);
    if (pc - start >= bytes)
        return end_rule; /* between functions that the table knows */
    if (common.has_augmentation)
        skip(&reader, read_uleb(&reader));
    if (reader.is_bad)
        return complex_rule;
    struct machine machine = { .common = &common };
    run(&machine, common.instructions, UINT64_MAX);
    machine.initial = machine.row;
    run(&machine, reader, pc - start);
    return rule_of(&machine);
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
