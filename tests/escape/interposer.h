/* SPDX-License-Identifier: MIT */
/* interposer.h: what interposer.c says of its read(2). */
#ifndef AWI_ESCAPE_INTERPOSER_H
#define AWI_ESCAPE_INTERPOSER_H

#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

#define INTERPOSER_API __attribute__((visibility("default")))

INTERPOSER_API ssize_t read(int fd, void *buffer, size_t n);

/*
 * From now on it makes the system call itself, where the processor's is known here; or through libc's read.
 */
INTERPOSER_API void interposer_calls_by_itself(bool does);

/* How often it was called; does somebody hold its lock? */
INTERPOSER_API unsigned interposer_calls(void);
INTERPOSER_API bool interposer_is_locked(void);

#endif
