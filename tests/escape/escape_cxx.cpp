// SPDX-License-Identifier: MIT
//
// escape_cxx.cpp: an escape out of C++ code, by aw_guard_call: what it jumps over must have no destructor;
// the objects around it have theirs run as ever, and an exception leaves the guard that it passes.
#include "escape_cxx.h"

#include <alarmwheel/alarmwheel.h>

#include <cerrno>
#include <cstdint>
#include <stdexcept>

namespace
{

struct counted {
    explicit counted(int *count) : count_(count)
    {
    }
    ~counted()
    {
        ++*count_;
    }
    counted(const counted &) = delete;
    counted &operator=(const counted &) = delete;

  private:
    int *count_;
};

volatile unsigned turns;

int spin(void *) noexcept
{
    for (;;)
        turns = turns + 1;
}

int fail(void *)
{
    throw std::runtime_error("thrown in a guard");
}

const char *try_spin(int *destroyed)
{
    counted around(destroyed);
    aw_guard guard;
    if (aw_guard_call(&guard, AW_MS(1), AW_GUARD_ESCAPE, spin, nullptr) != -ETIMEDOUT)
        return "aw_guard_call did not time out";
    if (!aw_guard_expired(&guard) || aw_guard_fired(&guard) != &guard)
        return "the guard does not say that it fired";
    return "";
}

int fail_late(void *guard)
{
    while (!aw_guard_expired(static_cast<aw_guard *>(guard)))
        turns = turns + 1;
    throw std::runtime_error("thrown in a guard that has expired");
}

bool have_cleaned_up;

void clean_up(void *)
{
    have_cleaned_up = true;
}

int register_and_fail(void *guard)
{
    (void)aw_guard_on_expiry(static_cast<aw_guard *>(guard), clean_up, nullptr);
    return fail(guard);
}

/* The guard's frame is still there where it is caught: that the guard is left is the exception's doing. */
const char *try_throw(int *destroyed, uint64_t timeout_ns, unsigned flags, int (*fn)(void *))
{
    counted around(destroyed);
    aw_guard guard;
    int mark = aw_guard_mark();
    have_cleaned_up = false;
    try {
        aw_guard_call(&guard, timeout_ns, flags, fn, &guard);
    } catch (const std::runtime_error &) {
        if (aw_guard_mark() != mark)
            return "an exception came through, and the guard is still entered";
        if (aw_safepoint() != 0)
            return "a guard that an exception has passed still says that it expired";
        return have_cleaned_up ? "a clean-up ran, and there was no escape" : "";
    }
    return "no exception came through";
}

const char *try_throws(int *destroyed)
{
    const char *wrong = try_throw(destroyed, AW_SEC(3600), AW_GUARD_DEFAULT, fail);
    if (*wrong == '\0')
        wrong = try_throw(destroyed, AW_MS(1), AW_GUARD_DEFAULT, fail_late);
    if (*wrong == '\0')
        wrong = try_throw(destroyed, AW_SEC(3600), AW_GUARD_ESCAPE, register_and_fail);
    return wrong;
}

} // namespace

const char *cxx_guard_call()
{
    int destroyed = 0;
    const char *wrong = try_spin(&destroyed);
    if (*wrong == '\0')
        wrong = try_throws(&destroyed);
    if (*wrong == '\0' && destroyed != 4)
        wrong = "a destructor did not run";
    return wrong;
}
