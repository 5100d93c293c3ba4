/* SPDX-License-Identifier: MIT */
/*
 * frames.c: unwinds the stack by _Unwind_Backtrace, which sees through the signal frame, and looks at each
 * frame's text. Anything unknown forbids: text without unwind information, an object that was not allowed,
 * another signal handler.
 */
#include "frames.h"

#include <errno.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif
#include <pthread.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unwind.h>

#include <alarmwheel/guard.h>

#include "../busy.h"
#include "../engine/pending.h"
#include "object.h"
#include "wrappers.h"

#define ALLOWED_MAX 16u

/* By an address in each, since one may be unloaded, and another be loaded there. */
static const void *allowed[ALLOWED_MAX];
static unsigned allowed_count;

enum stage {
    OURS,       /* frames of this library */
    TRAMPOLINE, /* the kernel's signal frame */
    INNERMOST,
    WRAPPED, /* still inside a system call's wrapper */
    BEYOND
};

struct walk {
    struct awi_frames *frames;
    enum stage stage;
    uintptr_t objects[ALLOWED_MAX + 2];
    unsigned objects_count;
    uintptr_t wrapping; /* the object of a wrapper: libc */
    uintptr_t last;     /* the stack pointer in the frame before this one; 0: there is none */
    bool last_was_fit;  /* the frame before this one, of which only now is known that it is not the last */
    enum awi_leave result;
    uintptr_t pc; /* of the frame that forbids, where the walk ends at one */
    uintptr_t last_pc;
};

static bool is_fit(const struct walk *walk, uintptr_t pc)
{
    uintptr_t object = awi_object_of(pc);
    for (unsigned i = 0; object != 0 && i < walk->objects_count; ++i) {
        if (walk->objects[i] == object)
            return true;
    }
    return false;
}

/*
 * Does this stack pointer belong to a frame beyond the one of which `address` was taken as the frame address?
 * On these two machines that address is one past the frame.
 */
static bool is_beyond(uintptr_t stack, const void *address)
{
#if defined(__riscv) || defined(__loongarch__)
    return stack >= (uintptr_t)address;
#else
    return stack > (uintptr_t)address;
#endif
}

/* Which stage the walk is in at this frame. The frames of ours lie below `here`, or before the trampoline. */
static void advance(struct walk *walk, uintptr_t pc, uintptr_t stack)
{
    const struct awi_frames *frames = walk->frames;
    bool is_called = walk->stage == OURS && frames->trampoline == NULL && is_beyond(stack, frames->here);
    if (walk->stage == TRAMPOLINE || is_called)
        walk->stage = INNERMOST;
    else if (walk->stage == INNERMOST)
        walk->stage = BEYOND;
    else if (walk->stage == OURS && frames->trampoline != NULL && pc == (uintptr_t)frames->trampoline)
        walk->stage = TRAMPOLINE;
}

/* One frame, as the unwinder shows it. */
struct frame {
    struct _Unwind_Context *context;
    uintptr_t pc;
    uintptr_t stack;     /* the stack pointer in it */
    int was_interrupted; /* by a signal; else `pc` is where a call returns to */
};

/*
 * That object is libc: it is known by a string of its own, since any function may stand in front of libc's.
 */
static bool is_libc(uintptr_t object)
{
#ifdef __GLIBC__
    return object == awi_object_of((uintptr_t)gnu_get_libc_version());
#else
    return object != 0;
#endif
}

/* A function that the program has put in front of libc's has that one's name, and holds who knows what. */
static bool is_wrapper(const struct walk *walk, const struct frame *frame)
{
    return is_libc(walk->wrapping) && awi_object_of(frame->pc) == walk->wrapping &&
           awi_is_wrapper((uintptr_t)_Unwind_GetRegionStart(frame->context));
}

/* These three look at a frame, and say whether the next is to be looked at, too. */
static bool visit_innermost(struct walk *walk, const struct frame *frame)
{
    const struct awi_frames *frames = walk->frames;
    /* A handler of somebody else's that called ours lies between us and what was interrupted. */
    if (frames->trampoline != NULL && !(frame->was_interrupted && frame->pc == frames->pc))
        return false;
    walk->last_was_fit = is_fit(walk, frame->was_interrupted ? frame->pc : frame->pc - 1);
    if (walk->last_was_fit || !frames->is_at_call)
        return walk->last_was_fit;
    walk->stage = WRAPPED;
    walk->wrapping = awi_object_of(frame->pc);
    walk->last_was_fit = is_wrapper(walk, frame);
    return true;
}

static bool visit_beyond(struct walk *walk, const struct frame *frame)
{
    if (is_beyond(frame->stack, walk->frames->landing->frame)) {
        /* Another call's frame may lie where the one with the guard was: that one was left by longjmp. */
        bool is_there = frame->pc == (uintptr_t)walk->frames->landing->caller;
        walk->result = is_there ? AWI_LEAVE : AWI_LEAVE_DEAD;
        return false;
    }
    if (!walk->last_was_fit) {
        walk->pc = walk->last_pc;
        return false;
    }
    /* Another handler stands between, be it above the guard's very function. */
    if (frame->was_interrupted)
        return false;
    walk->last_was_fit = is_fit(walk, frame->pc - 1);
    return true;
}

/* libc's frames end at the wrapper that the program has called. */
static bool visit_wrapped(struct walk *walk, const struct frame *frame)
{
    if (is_fit(walk, frame->pc - 1)) {
        walk->stage = BEYOND;
        return visit_beyond(walk, frame);
    }
    walk->last_was_fit = is_wrapper(walk, frame);
    return !frame->was_interrupted && awi_object_of(frame->pc - 1) == walk->wrapping &&
           !is_beyond(frame->stack, walk->frames->landing->frame);
}

/*
 * Guards in the frame before this one. By its end and its caller it is known again: a guard that was left by
 * longjmp may lie, whole, in a hole of another frame.
 */
static void find_guards(struct walk *walk, uintptr_t pc, uintptr_t stack)
{
    for (uint32_t i = walk->frames->target + 1; walk->last != 0 && i < AWI_LOAD(awi.depth); ++i) {
        const struct awi_guard_entry *entry = &awi.guards[i];
        uintptr_t guard = (uintptr_t)entry->guard;
        if (entry->slots != 0 && guard >= walk->last && guard < stack &&
            (uintptr_t)entry->holder.end == stack && (uintptr_t)entry->holder.caller == pc)
            walk->frames->holding |= UINT64_C(1) << i;
    }
    walk->last = stack;
}

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    struct frame frame = { .context = context };
    frame.pc = (uintptr_t)_Unwind_GetIPInfo(context, &frame.was_interrupted);
    frame.stack = (uintptr_t)_Unwind_GetCFA(context);

    advance(walk, frame.pc, frame.stack);
    if (walk->stage == OURS || walk->stage == TRAMPOLINE)
        return _URC_NO_REASON;
    walk->last_pc = walk->pc;
    walk->pc = frame.pc;
    find_guards(walk, frame.pc, frame.stack);
    bool goes_on = walk->stage == INNERMOST ? visit_innermost(walk, &frame)
                   : walk->stage == WRAPPED ? visit_wrapped(walk, &frame)
                                            : visit_beyond(walk, &frame);
    return goes_on ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* This library's own text is among them: what must not be left there is marked busy. aw_guard_call is not. */
static void find_objects(struct walk *walk, const void *code)
{
    uintptr_t object = awi_object_of((uintptr_t)code);
    if (object != 0)
        walk->objects[walk->objects_count++] = object;
    object = awi_object_of((uintptr_t)visit);
    if (object != 0)
        walk->objects[walk->objects_count++] = object;
    for (unsigned i = 0; i < allowed_count; ++i) {
        object = awi_object_of((uintptr_t)allowed[i]);
        if (object != 0)
            walk->objects[walk->objects_count++] = object;
    }
}

AWI_OUTLINE enum awi_leave awi_frames_leave(struct awi_frames *frames, uintptr_t *stopped_at)
{
    struct walk walk = { .frames = frames, .result = AWI_LEAVE_NOT };
    frames->holding = 0;
    find_objects(&walk, frames->landing->code);
    _Unwind_Backtrace(visit, &walk);
    *stopped_at = walk.pc;
    return walk.result;
}

struct search {
    uintptr_t address;
    uintptr_t last;
    struct awi_holder holder;
};

static _Unwind_Reason_Code look(struct _Unwind_Context *context, void *arg)
{
    struct search *search = arg;
    uintptr_t stack = (uintptr_t)_Unwind_GetCFA(context);
    if (search->last != 0 && search->address >= search->last && search->address < stack) {
        search->holder = (struct awi_holder){ (const void *)stack, (const void *)_Unwind_GetIP(context) };
        return _URC_END_OF_STACK;
    }
    search->last = stack;
    return _URC_NO_REASON;
}

struct awi_holder awi_frames_holder(const void *address)
{
    struct search search = { .address = (uintptr_t)address };
    _Unwind_Backtrace(look, &search);
    return search.holder;
}

AWI_OUTLINE void awi_frames_warm(void)
{
    uintptr_t stopped_at;
    const struct awi_landing landing = { AWI_HERE, NULL, (const void *)awi_frames_warm };
    struct awi_frames frames = { .landing = &landing, .here = AWI_HERE };
    (void)awi_frames_leave(&frames, &stopped_at);
}

bool awi_frames_include_malloc(const void *code)
{
    struct walk walk = { .frames = NULL };
    find_objects(&walk, code);
    return is_fit(&walk, (uintptr_t)malloc);
}

int aw_guard_allow(const void *address)
{
    AWI_BUSY;
    int denied = awi_check();
    if (denied < 0)
        return denied;
    uintptr_t object = awi_object_of((uintptr_t)address);
    if (object == 0)
        return -EINVAL;
    if (object == awi_object_of(getauxval(AT_BASE)) || object == awi_object_of((uintptr_t)malloc) ||
        object == awi_object_of((uintptr_t)_Unwind_Backtrace) ||
        object == awi_object_of((uintptr_t)pthread_mutex_lock))
        return -EPERM;
    for (unsigned i = 0; i < allowed_count; ++i) {
        if (awi_object_of((uintptr_t)allowed[i]) == object)
            return 0;
    }
    if (allowed_count == ALLOWED_MAX)
        return -ENOSPC;
    allowed[allowed_count] = address;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    ++allowed_count;
    return 0;
}
