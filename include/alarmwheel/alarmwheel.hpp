/* SPDX-License-Identifier: MIT */
/*
 * alarmwheel.hpp: guards, shields and safe points for C++11 and later: scopes instead of macros, and
 * exceptions instead of negative values. All of it is inline; the functions of alarmwheel.h may be used
 * beside it.
 *
 *     try {
 *         aw::guard guard(std::chrono::milliseconds(250));
 *         for (const row &r : rows) {
 *             guard.check();
 *             render(r);
 *         }
 *     } catch (const aw::timed_out &) {
 *         std::puts("gave up");
 *     }
 *
 * Threads, signal handlers and fork: as the functions of guard.h and safepoint.h that it stands on. A
 * callback of a timer is called from C, inside a dispatch: catch in it what it throws, and return a
 * negative value instead. Scopes are left by destructors, so escapes (AW_GUARD_ESCAPE) have no place in
 * code that uses this header.
 */
#ifndef ALARMWHEEL_HPP
#define ALARMWHEEL_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include <alarmwheel/guard.h>
#include <alarmwheel/safepoint.h>

namespace aw
{

/*
 * A guard has expired: ETIMEDOUT of the generic category. Whose it was is seen where it is caught: a guard
 * that encloses the handler of the exception has not expired unless its own expired() says so, and if it
 * has, the next safe point there throws again.
 */
class AW_API timed_out : public std::system_error
{
  public:
    timed_out() : std::system_error(std::make_error_code(std::errc::timed_out), "aw::guard")
    {
    }
};

/* Not for direct use. */
namespace detail
{

[[noreturn]] inline void throw_error(int error, const char *what)
{
    throw std::system_error(-error, std::generic_category(), what);
}

[[noreturn]] inline void throw_from_safepoint(int error)
{
    if (error == -ETIMEDOUT)
        throw timed_out();
    throw_error(error, "aw::safepoint");
}

} // namespace detail

/*
 * aw_safepoint: runs the callbacks that are due. Throws timed_out while an enclosing guard stands expired (or
 * if a callback returned -ETIMEDOUT), std::system_error for any other negative value of a callback.
 */
inline void safepoint()
{
    const int error = aw_safepoint();
    if (error < 0)
        detail::throw_from_safepoint(error);
}

/*
 * Bounds the time from here to the end of the scope: aw_guard_enter and aw_guard_leave. An object of
 * automatic storage: a guard belongs to the frame that enters it, so it is neither copied, moved nor made
 * by new, and is no local of a coroutine that is suspended meanwhile.
 */
class guard
{
  public:
    /*
     * The time-out, and the flags of guard.h. A negative duration counts as none. Throws std::system_error
     * with what aw_guard_enter says: EINVAL (unknown flags, AW_GUARD_ESCAPE among them), EAGAIN (64 guards
     * are entered), EPERM (not the owner thread), ENODEV (no engine).
     */
    explicit guard(std::uint64_t timeout_ns, unsigned flags = AW_GUARD_DEFAULT)
    {
        const int error = aw_guard_enter(&guard_, timeout_ns, flags);
        if (error < 0)
            detail::throw_error(error, "aw::guard");
    }

    explicit guard(std::chrono::nanoseconds timeout, unsigned flags = AW_GUARD_DEFAULT)
        : guard(timeout.count() > 0 ? static_cast<std::uint64_t>(timeout.count()) : 0, flags)
    {
    }

    /* In time or not: a scope that must not end well when it was late ends with check(). */
    ~guard()
    {
        (void)aw_guard_leave(&guard_);
    }

    guard(const guard &) = delete;
    guard &operator=(const guard &) = delete;
    static void *operator new(std::size_t) = delete;
    static void *operator new[](std::size_t) = delete;

    /* A safe point: as aw::safepoint. */
    void check() const
    {
        safepoint();
    }

    /* This guard or one that encloses it has expired. Reads no clock: aw_guard_expired. */
    bool expired() const noexcept
    {
        return aw_guard_expired(&guard_);
    }

    /* Of the guards that have expired this is the outermost: it, and none around it, ran out of time. */
    bool fired() const noexcept
    {
        return aw_guard_fired(&guard_) == &guard_;
    }

    /* How long after its deadline its own expiry was noticed; 0 if it has not expired. */
    std::chrono::nanoseconds lateness() const noexcept
    {
        return std::chrono::nanoseconds(aw_guard_lateness_ns(&guard_));
    }

  private:
    aw_guard guard_;
};

/*
 * No escape happens, and no plain system call is interrupted, until the end of the scope: aw_shield and
 * aw_unshield. An expiry that came meanwhile is thrown by the next safe point, not by the destructor.
 */
class shield
{
  public:
    shield() noexcept
    {
        aw_shield();
    }

    ~shield()
    {
        (void)aw_unshield();
    }

    shield(const shield &) = delete;
    shield &operator=(const shield &) = delete;
    static void *operator new(std::size_t) = delete;
    static void *operator new[](std::size_t) = delete;
};

} // namespace aw

#endif
