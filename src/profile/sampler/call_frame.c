/* SPDX-License-Identifier: MIT */
/* call_frame.c: see call_frame.h. Called by frame_rule.c, which finds the instructions. */
#include "call_frame.h"

#include <string.h>

#define REMEMBERED_MAX 8u

uint64_t awi_cfi_fixed(struct awi_cfi_reader *reader, size_t bytes)
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

uint64_t awi_cfi_uleb(struct awi_cfi_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = awi_cfi_fixed(reader, 1);
        value |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return value;
    }
    reader->is_bad = true;
    return 0;
}

int64_t awi_cfi_sleb(struct awi_cfi_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 63;) {
        uint64_t byte = awi_cfi_fixed(reader, 1);
        value |= (byte & 0x7f) << shift;
        shift += 7;
        if ((byte & 0x80) == 0)
            return (int64_t)((byte & 0x40) != 0 ? value | ~UINT64_C(0) << shift : value);
    }
    reader->is_bad = true;
    return 0;
}

void awi_cfi_skip(struct awi_cfi_reader *reader, uint64_t bytes)
{
    if ((uint64_t)(reader->end - reader->at) < bytes) {
        reader->is_bad = true;
        reader->at = reader->end;
    } else {
        reader->at += bytes;
    }
}

struct machine {
    const struct awi_cfi_common *common;
    uintptr_t pc;
    struct awi_cfi_row row;
    struct awi_cfi_row initial; /* after the common instructions */
    struct awi_cfi_row remembered[REMEMBERED_MAX];
    unsigned depth;
    bool is_complex;
};

static void save(struct machine *machine, uint64_t reg, enum awi_cfi_place place, int64_t offset)
{
    if (reg == AWI_CFI_RBP)
        machine->row.rbp = (struct awi_cfi_saved){ place, offset };
    else if (reg == AWI_CFI_RETURN_ADDRESS)
        machine->row.return_address = (struct awi_cfi_saved){ place, offset };
    else if (reg == AWI_CFI_RSP)
        machine->is_complex = true;
}

static void restore(struct machine *machine, uint64_t reg)
{
    if (reg == AWI_CFI_RBP)
        machine->row.rbp = machine->initial.rbp;
    else if (reg == AWI_CFI_RETURN_ADDRESS)
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
static bool run_saving(struct machine *machine, struct awi_cfi_reader *reader, unsigned opcode)
{
    int64_t unit = machine->common->data_alignment;
    uint64_t reg;
    switch (opcode) {
    case 0x05: /* offset_extended */
        reg = awi_cfi_uleb(reader);
        save(machine, reg, AWI_CFI_AT_CFA_OFFSET, (int64_t)awi_cfi_uleb(reader) * unit);
        return true;
    case 0x11: /* offset_extended_sf */
        reg = awi_cfi_uleb(reader);
        save(machine, reg, AWI_CFI_AT_CFA_OFFSET, awi_cfi_sleb(reader) * unit);
        return true;
    case 0x06: /* restore_extended */
        restore(machine, awi_cfi_uleb(reader));
        return true;
    case 0x07: /* undefined */
        save(machine, awi_cfi_uleb(reader), AWI_CFI_UNDEFINED, 0);
        return true;
    case 0x08: /* same_value */
        save(machine, awi_cfi_uleb(reader), AWI_CFI_SAME, 0);
        return true;
    case 0x09: /* register */
    case 0x14: /* val_offset */
    case 0x15: /* val_offset_sf */
        save(machine, awi_cfi_uleb(reader), AWI_CFI_ELSEWHERE, 0);
        awi_cfi_uleb(reader);
        return true;
    case 0x10: /* expression */
    case 0x16: /* val_expression */
        save(machine, awi_cfi_uleb(reader), AWI_CFI_ELSEWHERE, 0);
        awi_cfi_skip(reader, awi_cfi_uleb(reader));
        return true;
    default:
        return false;
    }
}

/*
 * Of expressions, the one that linkers write for procedure linkage tables: an entry of 16 bytes pushes a
 * word in its second part. It is worked out here, for this address.
 */
static void define_cfa_by_expression(struct machine *machine, struct awi_cfi_reader *reader)
{
    /* breg7 (rsp) 8; breg16 (rip) 0; lit15; and; lit11; ge; lit3; shl; plus */
    static const uint8_t linkage[] = { 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22 };
    enum {
        LIMIT = 6,
        LIT0 = 0x30
    };
    uint8_t found[sizeof linkage] = { 0 };
    uint64_t bytes = awi_cfi_uleb(reader);
    const uint8_t *at = reader->at;
    awi_cfi_skip(reader, bytes);
    if (bytes == sizeof found && !reader->is_bad)
        memcpy(found, at, sizeof found);
    unsigned limit = (unsigned)found[LIMIT] - LIT0;
    found[LIMIT] = linkage[LIMIT];
    machine->row.is_expression = limit > 15 || memcmp(found, linkage, sizeof found) != 0;
    machine->row.cfa_register = AWI_CFI_RSP;
    machine->row.cfa_offset = (machine->pc & 15) >= limit ? 16 : 8;
}

/* Instructions that define the canonical frame address, and the rest. */
static void run_other(struct machine *machine, struct awi_cfi_reader *reader, unsigned opcode)
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
        reg = awi_cfi_uleb(reader);
        define_cfa(machine, reg, (int64_t)awi_cfi_uleb(reader));
        break;
    case 0x12: /* def_cfa_sf */
        reg = awi_cfi_uleb(reader);
        define_cfa(machine, reg, awi_cfi_sleb(reader) * unit);
        break;
    case 0x0d: /* def_cfa_register */
        machine->row.cfa_register = awi_cfi_uleb(reader);
        break;
    case 0x0e: /* def_cfa_offset */
        machine->row.cfa_offset = (int64_t)awi_cfi_uleb(reader);
        break;
    case 0x13: /* def_cfa_offset_sf */
        machine->row.cfa_offset = awi_cfi_sleb(reader) * unit;
        break;
    case 0x0f: /* def_cfa_expression */
        define_cfa_by_expression(machine, reader);
        break;
    case 0x2e: /* GNU_args_size */
        awi_cfi_uleb(reader);
        break;
    default:
        machine->is_complex = true;
    }
}

/* Runs instructions as long as they hold at `offset` from where the function begins. */
static void run(struct machine *machine, struct awi_cfi_reader reader, uint64_t offset)
{
    uint64_t location = 0;
    while (reader.at < reader.end && !machine->is_complex) {
        unsigned byte = (unsigned)awi_cfi_fixed(&reader, 1);
        unsigned low = byte & 0x3f;
        if (byte >> 6 == 1) {
            location += low * machine->common->code_alignment;
        } else if (byte >> 6 == 2) {
            save(machine, low, AWI_CFI_AT_CFA_OFFSET,
                 (int64_t)awi_cfi_uleb(&reader) * machine->common->data_alignment);
        } else if (byte >> 6 == 3) {
            restore(machine, low);
        } else if (byte >= 0x02 && byte <= 0x04) { /* advance_loc1, 2, 4 */
            location += awi_cfi_fixed(&reader, (size_t)1 << (byte - 2)) * machine->common->code_alignment;
        } else if (!run_saving(machine, &reader, byte)) {
            run_other(machine, &reader, byte);
        }
        if (location > offset)
            return;
        if (reader.is_bad)
            machine->is_complex = true;
    }
}

bool awi_cfi_run(const struct awi_cfi_common *common, struct awi_cfi_reader instructions, uintptr_t start,
                 uintptr_t pc, struct awi_cfi_row *row)
{
    struct machine machine = { .common = common, .pc = pc };
    run(&machine, common->instructions, UINT64_MAX);
    machine.initial = machine.row;
    run(&machine, instructions, pc - start);
    *row = machine.row;
    return !machine.is_complex;
}
