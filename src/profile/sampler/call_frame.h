/* SPDX-License-Identifier: MIT */
/*
 * call_frame.h: runs the instructions of call-frame information (DWARF 5, section 6.4) as far as an address,
 * for the registers that a walk on x86-64 needs. AS-Safe: it reads what it is given, and calls nothing.
 */
#ifndef AWI_PROFILE_CALL_FRAME_H
#define AWI_PROFILE_CALL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Registers by their DWARF numbers. */
enum {
    AWI_CFI_RBP = 6,
    AWI_CFI_RSP = 7,
    AWI_CFI_RETURN_ADDRESS = 16
};

/* Where a register of the caller is. */
enum awi_cfi_place {
    AWI_CFI_SAME = 0,
    AWI_CFI_AT_CFA_OFFSET,
    AWI_CFI_UNDEFINED,
    AWI_CFI_ELSEWHERE
};

struct awi_cfi_saved {
    enum awi_cfi_place place;
    int64_t offset;
};

struct awi_cfi_row {
    uint64_t cfa_register;
    int64_t cfa_offset;
    bool is_expression;
    struct awi_cfi_saved rbp;
    struct awi_cfi_saved return_address;
};

/* A piece of call-frame information, read front to back; reading past its end sets `is_bad`. */
struct awi_cfi_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};

/* What a common information entry says of its functions. */
struct awi_cfi_common {
    uint64_t code_alignment;
    int64_t data_alignment;
    bool is_signal_frame;
    bool has_augmentation;
    struct awi_cfi_reader instructions;
};

uint64_t awi_cfi_fixed(struct awi_cfi_reader *reader, size_t bytes);
uint64_t awi_cfi_uleb(struct awi_cfi_reader *reader);
int64_t awi_cfi_sleb(struct awi_cfi_reader *reader);
void awi_cfi_skip(struct awi_cfi_reader *reader, uint64_t bytes);

/*
 * The row of the table that holds at `pc`, in the function that begins at `start` and has these instructions.
 * False: they say something else than rows of these registers.
 */
bool awi_cfi_run(const struct awi_cfi_common *common, struct awi_cfi_reader instructions, uintptr_t start,
                 uintptr_t pc, struct awi_cfi_row *row);

#endif
