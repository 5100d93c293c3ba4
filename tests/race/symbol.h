/* SPDX-License-Identifier: MIT */
/*
 * symbol.h: the name of the function at an address of this program, for messages. The main program of the
 * race checker calls it.
 */
#ifndef RACE_SYMBOL_H
#define RACE_SYMBOL_H

#include <stddef.h>
#include <stdint.h>

/* Writes "function+offset", or "?" where it is not known. */
void symbol_of(uintptr_t address, char *text, size_t size);

#endif
