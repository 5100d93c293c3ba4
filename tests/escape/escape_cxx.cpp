// SPDX-License-Identifier: MIT
//
// escape_cxx.cpp: an escape out of C++ code, by aw_guard_call: what it jumps over must have no destructor;
// the objects around it have theirs run as ever, and an exception passes a guard that did not expire.
#include "escape_cxx.h"

#include <alarmwheel/alarmwheel.h>

#include <cerrno>
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

const char *try_throw(int *destroyed)
{
    counted around(destroyed);
    aw_guard guard;
    try {
        aw_guard_call(&guard, AW_SEC(60), AW_GUARD_DEFAULT, fail, nullptr);
    } catch (const std::runtime_error &) {
        return "";
    }
    return "no exception came through";
}

} // namespace

const char *cxx_guard_call()
{
    int destroyed = 0;
    const char *wrong = try_spin(&destroyed);
    if (*wrong == '\0')
        wrong = try_throw(&destroyed);
    if (*wrong == '\0' && destroyed != 2)
        wrong = "a destructor did not run";
    return wrong;
}
