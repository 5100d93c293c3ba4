/* SPDX-License-Identifier: MIT */
/*
 * frames.c: unwinds the stack by _Unwind_Backtrace, which sees through the signal frame, and looks at each
 * frame's text. Anything unknown forbids: text without unwind information, an object that was not allowed,
 * another signal handler.
 */
#include "frames.h"

#include <errno.h>
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
    const struct awi_frames *frames;
    enum stage stage;
    uintptr_t objects[ALLOWED_MAX + 2];
    unsigned objects_count;
    uintptr_t wrapping; /* the object of a wrapper: libc */
    bool last_was_fit;  /* the frame before this one, of which only now is known that it is not the last */
    enum awi_leave result;
    uintptr_t pc;
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
    if (walk->stage == TRAMPOLINE)
        walk->stage = INNERMOST;
    else if (walk->stage == INNERMOST)
        walk->stage = BEYOND;
    else if (walk->stage == OURS && frames->trampoline == NULL && is_beyond(stack, frames->here))
        walk->stage = INNERMOST;
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

/* A function that the program has put in front of libc's has that one's name, and holds who knows what. */
static bool is_wrapper(const struct walk *walk, const struct frame *frame)
{
    return awi_object_of(frame->pc) == walk->wrapping &&
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
    /* Another handler stands between, be it above the guard's very function. */
    if (!walk->last_was_fit || frame->was_interrupted)
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

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    struct frame frame = { .context = context };
    frame.pc = (uintptr_t)_Unwind_GetIPInfo(context, &frame.was_interrupted);
    frame.stack = (uintptr_t)_Unwind_GetCFA(context);

    advance(walk, frame.pc, frame.stack);
    if (walk->stage == OURS || walk->stage == TRAMPOLINE)
        return _URC_NO_REASON;
    walk->pc = frame.pc;
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

AWI_OUTLINE enum awi_leave awi_frames_leave(const struct awi_frames *frames, uintptr_t *stopped_at)
{
    struct walk walk = { .frames = frames, .result = AWI_LEAVE_NOT };
    find_objects(&walk, frames->landing->code);
    _Unwind_Backtrace(visit, &walk);
    *stopped_at = walk.pc;
    return walk.result;
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
