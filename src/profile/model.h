/* SPDX-License-Identifier: MIT */
/*
 * model.h: a profile at rest: what was counted, taken out of the recording it was counted in (freeze.c), or
 * read back from a file; and the same with names (symbols.c). All that writes an output reads these two, and
 * nothing else. Plain memory: nothing here is touched by a handler, or shared.
 */
#ifndef AWI_PROFILE_MODEL_H
#define AWI_PROFILE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <alarmwheel/profile.h>

#define AWI_NAME_BYTES 16

struct awi_sampled_thread {
    int32_t tid;
    char name[AWI_NAME_BYTES];
};

/*
 * A label, and those that were pushed before it: `parent` is an index into the same array. Index 0 is none.
 */
struct awi_label {
    uint32_t parent;
    const char *key;
    const char *value;
};

/* A file that was mapped, by where its code lies in memory. */
struct awi_module {
    uint64_t start; /* of the addresses that belong to it */
    uint64_t end;
    uint64_t bias;        /* address in memory less address in the file's symbol table */
    const char *path;     /* "[vdso]" for the kernel's */
    const char *build_id; /* of what was mapped, in hexadecimal, from its note in memory; "": it has none */
};

enum awi_sample_kind {
    AWI_STACK = 0,
    AWI_TRUNCATED, /* a stack whose outer frames were left out */
    AWI_LOST,      /* no stack: there was no memory for it */
    AWI_UNSAMPLED  /* no stack: time of a thread that ended before its first sample */
};

struct awi_sample {
    uint64_t count;
    uint64_t time_ns; /* what these samples stand for, of the profile's clock */
    uint32_t thread;  /* index into threads */
    uint32_t label;   /* index into labels */
    enum awi_sample_kind kind;
    uint32_t depth;
    const uint64_t
        *pcs; /* innermost first; each lies within the instruction that was interrupted or that called */
};

struct aw_profile {
    enum aw_profile_clock clock;
    uint64_t period_ns;           /* that was asked for */
    uint64_t started_realtime_ns; /* since the epoch */
    uint64_t elapsed_ns;
    struct awi_sampled_thread *threads;
    size_t threads_count;
    struct awi_label *labels;
    size_t labels_count;        /* 1 and more */
    struct awi_module *modules; /* by start */
    size_t modules_count;
    uint32_t program; /* index of the program's own module; UINT32_MAX: not known */
    struct awi_sample *samples;
    size_t samples_count;
    struct aw_profile_stats stats;
    struct awi_arena *arena; /* holds all that the pointers in here point to */
};

/* A function by its name; two with the same name in two files or modules are two. */
struct awi_function {
    const char
        *name; /* to be shown: demangled; "[libfoo.so.1]" where no symbol is known, "[lost]" and the like */
    const char *linkage; /* as in the symbol table; "" if there is none */
    const char *file;    /* the source; "" if it is not known */
    uint32_t line;       /* where it begins; 0: not known */
};

struct awi_frame {
    uint32_t function; /* index into functions */
    uint32_t line;     /* that runs; 0: not known */
};

/* What an address means: one frame, or more if calls were inlined there, the innermost first. */
struct awi_location {
    uint64_t pc;           /* 0: a made-up one, [lost] and the like */
    uint32_t module;       /* index into the profile's modules; UINT32_MAX: none */
    uint32_t frames_count; /* 1 and more */
    const struct awi_frame *frames;
};

/* A sample's stack, innermost first. A truncated one ends with a location [truncated]. */
struct awi_stack_names {
    const uint32_t *locations; /* indices */
    uint32_t depth;            /* 1 and more */
};

struct awi_symbols {
    struct awi_function *functions;
    size_t functions_count;
    struct awi_location *locations;
    size_t locations_count;
    struct awi_stack_names *stacks; /* of the samples, by the same index */
    char **build_ids; /* of the modules, by the same index, in hexadecimal; "" if there is none */
    bool *has_lines;  /* of the modules: debug information was found */
    struct awi_arena *arena;
};

/* Memory that is freed all at once. NULL when there is none; alloc'd memory is zero. */
struct awi_arena *awi_arena_create(void);
void *awi_arena_alloc(struct awi_arena *arena, size_t count, size_t size);
char *awi_arena_string(struct awi_arena *arena, const char *string);
void awi_arena_destroy(struct awi_arena *arena);

/*
 * Names everything in a profile. 0, or -ENOMEM; a file that cannot be read is no error, its functions are
 * named after the file. *symbols is freed by awi_symbols_free.
 */
int awi_symbolize(const struct aw_profile *profile, struct awi_symbols **symbols);
void awi_symbols_free(struct awi_symbols *symbols);

/* The sum of a profile's time, and of its samples. */
uint64_t awi_profile_time(const struct aw_profile *profile);
uint64_t awi_profile_count(const struct aw_profile *profile);

#endif
