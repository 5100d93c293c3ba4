/* SPDX-License-Identifier: MIT */
/* alarmwheel.hpp: what its scopes enter they leave, however they end; and what a safe point throws. */
#include <alarmwheel/alarmwheel.hpp>

#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

extern "C" {
#include "check_main.h"
#include "fake_clock.h"
}

namespace
{

/* In their own time, so that `const` and references say what the header promises. */
static_assert(!std::is_copy_constructible<aw::guard>::value, "a guard cannot be copied");
static_assert(!std::is_move_constructible<aw::guard>::value, "a guard cannot be moved");
static_assert(!std::is_copy_assignable<aw::guard>::value, "a guard cannot be assigned");
static_assert(!std::is_copy_constructible<aw::shield>::value, "a shield cannot be copied");
static_assert(!std::is_move_constructible<aw::shield>::value, "a shield cannot be moved");
static_assert(!std::is_convertible<int, aw::guard>::value, "a number is no guard");
static_assert(std::is_base_of<std::system_error, aw::timed_out>::value, "it has a code");

template <class T, class = void> struct made_by_new : std::false_type {
};
template <class T> struct made_by_new<T, decltype(void(new T(AW_SEC(1))))> : std::true_type {
};
static_assert(made_by_new<unsigned long long>::value, "the question can be answered by yes");
static_assert(!made_by_new<aw::guard>::value, "a guard does not live on the heap");

void begin()
{
    fake_begin();
    EXPECT(fake_start(), 0);
}

void end()
{
    EXPECT(aw_guard_mark(), 0);
    EXPECT(aw_safepoint(), 0);
    EXPECT(aw_shutdown(), 0);
    fake_end();
}

/* What fn throws: the code of a system_error, negative for a timed_out, 0 for nothing. */
template <class Fn> int thrown_by(Fn fn)
{
    try {
        fn();
    } catch (const aw::timed_out &timeout) {
        ck_assert(timeout.code() == std::errc::timed_out);
        ck_assert_ptr_nonnull(std::strstr(timeout.what(), "aw::guard"));
        return -timeout.code().value();
    } catch (const std::system_error &error) {
        ck_assert(error.code().category() == std::generic_category());
        return error.code().value();
    }
    return 0;
}

START_TEST(enters_and_leaves)
{
    {
        aw::guard outer(AW_MS(10));
        EXPECT(aw_guard_mark(), 1);
        {
            const aw::guard inner(AW_FOREVER, AW_GUARD_COARSE);
            EXPECT(aw_guard_mark(), 2);
            inner.check();
        }
        EXPECT(aw_guard_mark(), 1);
        fake_advance(AW_MS(10) - 1);
        outer.check();
        ck_assert(!outer.expired());
        ck_assert(!outer.fired());
        ck_assert_int_eq(outer.lateness().count(), 0);
    }
    EXPECT(aw_guard_mark(), 0);
}
END_TEST

START_TEST(check_throws_when_it_expired)
{
    int looks = 0;
    ck_assert_int_eq(thrown_by([&] {
                         aw::guard guard(AW_MS(10));
                         for (;;) {
                             guard.check();
                             ++looks;
                             fake_advance(AW_MS(3));
                         }
                     }),
                     -ETIMEDOUT);
    ck_assert_int_eq(looks, 4); /* at 0, 3, 6 and 9 ms */
    EXPECT(aw_guard_mark(), 0);
    ck_assert_int_eq(thrown_by(aw::safepoint), 0);
}
END_TEST

START_TEST(expired_without_a_check_throws_nothing)
{
    const int thrown = thrown_by([] {
        aw::guard guard(AW_MS(10));
        fake_advance(AW_MS(12));
        ck_assert(guard.expired());
        ck_assert(guard.fired());
        ck_assert(guard.lateness() >= std::chrono::nanoseconds(0));
        ck_assert(guard.lateness() <= std::chrono::milliseconds(2));
    });
    ck_assert_int_eq(thrown, 0);
}
END_TEST

/* Lateness is what aw_guard_lateness_ns says, through to the last nanosecond. */
START_TEST(tells_how_late)
{
    aw::guard guard(AW_MS(10));
    fake_lose(AW_MS(10) + 1234567);
    ck_assert_int_eq(thrown_by([&] { guard.check(); }), 0); /* the alarm was lost: nobody knows yet */
    EXPECT(aw_dispatch(0), -ETIMEDOUT);
    ck_assert(guard.lateness() >= std::chrono::nanoseconds(1234567));
}
END_TEST

START_TEST(takes_durations)
{
    using namespace std::chrono;
    struct {
        nanoseconds timeout;
        uint64_t reach_ns; /* the last instant at which it has not expired */
    } const rows[] = {
        { milliseconds(10), AW_MS(10) - 1 },
        { seconds(2), AW_SEC(2) - 1 },
        { nanoseconds(2), 1 },
        { hours(24), AW_SEC(86400) - 1 },
    };
    for (const auto &row : rows) {
        aw::guard guard(row.timeout);
        fake_advance(row.reach_ns);
        ck_assert_int_eq(thrown_by([&] { guard.check(); }), 0);
        fake_advance(AW_MS(1));
        EXPECT(aw_dispatch(0), -ETIMEDOUT);
        ck_assert(guard.fired());
    }
}
END_TEST

/* A negative duration is over, not next to eternal. */
START_TEST(takes_a_duration_that_is_over)
{
    for (const auto timeout :
         { std::chrono::nanoseconds(0), std::chrono::nanoseconds(-1), std::chrono::nanoseconds::min() }) {
        aw::guard guard(timeout);
        fake_advance(AW_MS(1));
        EXPECT(aw_dispatch(0), -ETIMEDOUT);
        ck_assert_int_eq(thrown_by([&] { guard.check(); }), -ETIMEDOUT);
    }
}
END_TEST

/* h12: whose time it was. */
START_TEST(h12_tells_whose_time_is_over)
{
    aw::guard outer(AW_MS(20));
    {
        aw::guard inner(AW_MS(10));
        fake_advance(AW_MS(10));
        ck_assert(inner.expired());
        ck_assert(inner.fired());
        ck_assert(!outer.expired());
        fake_advance(AW_MS(10));
        ck_assert(inner.expired());
        ck_assert(!inner.fired());
        ck_assert(outer.fired());
    }
    ck_assert_int_eq(thrown_by([&] { outer.check(); }), -ETIMEDOUT);
}
END_TEST

/* h13: an exception unwinds guards and shields alike, and only the inner one's time was over. */
START_TEST(h13_exception_leaves_the_scopes)
{
    aw::guard outer(AW_SEC(1));
    ck_assert_int_eq(thrown_by([] {
                         aw::guard inner(AW_MS(10));
                         const aw::shield shield;
                         fake_advance(AW_MS(10));
                         inner.check();
                     }),
                     -ETIMEDOUT);
    EXPECT(aw_guard_mark(), 1);
    EXPECT(aw_unshield(), -EINVAL); /* none is left */
    outer.check();
}
END_TEST

/* Who swallows a time-out that is not his meets it again. */
START_TEST(swallowed_is_thrown_again)
{
    aw::guard outer(AW_MS(10));
    fake_advance(AW_MS(10));
    for (int i = 0; i < 3; ++i) {
        ck_assert_int_eq(thrown_by([] {
                             aw::guard inner(AW_SEC(1));
                             inner.check();
                         }),
                         -ETIMEDOUT);
    }
    ck_assert_int_eq(thrown_by(aw::safepoint), -ETIMEDOUT);
}
END_TEST

START_TEST(shield_counts)
{
    {
        const aw::shield one;
        {
            const aw::shield two;
        }
        EXPECT(aw_unshield(), 0);
        aw_shield();
    }
    EXPECT(aw_unshield(), -EINVAL);
}
END_TEST

/* A destructor has no way to report it. */
START_TEST(shield_ends_quietly_in_an_expired_guard)
{
    aw::guard guard(AW_MS(10));
    ck_assert_int_eq(thrown_by([] {
                         const aw::shield shield;
                         fake_advance(AW_MS(10));
                     }),
                     0);
    ck_assert_int_eq(thrown_by([&] { guard.check(); }), -ETIMEDOUT);
}
END_TEST

int post_result(void *result)
{
    return *static_cast<int *>(result);
}

START_TEST(callbacks_value_becomes_a_system_error)
{
    int result = -EIO;
    EXPECT(aw_post(post_result, &result), 0);
    ck_assert_int_eq(thrown_by(aw::safepoint), EIO);
    ck_assert_int_eq(thrown_by(aw::safepoint), 0);

    aw::guard guard(AW_SEC(1));
    EXPECT(aw_post(post_result, &result), 0);
    ck_assert_int_eq(thrown_by([&] { guard.check(); }), EIO);
    result = 0;
    EXPECT(aw_post(post_result, &result), 0);
    ck_assert_int_eq(thrown_by([&] { guard.check(); }), 0);
}
END_TEST

START_TEST(entering_fails)
{
    ck_assert_int_eq(thrown_by([] { aw::guard guard(AW_MS(1), 1u << 31); }), EINVAL);
    ck_assert_int_eq(thrown_by([] { aw::guard guard(AW_MS(1), AW_GUARD_ESCAPE); }), EINVAL);
    EXPECT(aw_guard_mark(), 0);
}
END_TEST

void enter_elsewhere()
{
    ck_assert_int_eq(thrown_by([] { aw::guard guard(AW_MS(1)); }), EPERM);
}

START_TEST(another_thread_is_told)
{
    fake_elsewhere(enter_elsewhere);
}
END_TEST

START_TEST(without_an_engine)
{
    ck_assert_int_eq(thrown_by([] { aw::guard guard(AW_MS(1)); }), ENODEV);
    const aw::shield shield;
    ck_assert_int_eq(thrown_by(aw::safepoint), 0);
}
END_TEST

void leave_in_child(aw::guard *guard)
{
    guard->~guard();
}

alignas(aw::guard) unsigned char guard_memory[sizeof(aw::guard)];

/* h18: the destructor of a guard that a forked child inherited does nothing there. */
START_TEST(h18_destroyed_in_a_forked_child)
{
    aw::guard *guard = ::new (static_cast<void *>(guard_memory)) aw::guard(AW_SEC(1));
    const int status = fake_forked([] {
        ck_assert_int_eq(thrown_by([] { aw::guard another(AW_MS(1)); }), ENODEV);
        leave_in_child(reinterpret_cast<aw::guard *>(guard_memory));
    });
    ck_assert_int_eq(status, 0);
    guard->check();
    guard->~guard();
}
END_TEST

Suite *scope_suite()
{
    Suite *suite = suite_create("alarmwheel.hpp");
    TCase *tests = tcase_create("scopes");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, enters_and_leaves);
    tcase_add_test(tests, check_throws_when_it_expired);
    tcase_add_test(tests, expired_without_a_check_throws_nothing);
    tcase_add_test(tests, tells_how_late);
    tcase_add_test(tests, takes_durations);
    tcase_add_test(tests, takes_a_duration_that_is_over);
    tcase_add_test(tests, h12_tells_whose_time_is_over);
    tcase_add_test(tests, h13_exception_leaves_the_scopes);
    tcase_add_test(tests, swallowed_is_thrown_again);
    tcase_add_test(tests, shield_counts);
    tcase_add_test(tests, shield_ends_quietly_in_an_expired_guard);
    tcase_add_test(tests, callbacks_value_becomes_a_system_error);
    tcase_add_test(tests, entering_fails);
    tcase_add_test(tests, another_thread_is_told);
    tcase_add_test(tests, h18_destroyed_in_a_forked_child);
    suite_add_tcase(suite, tests);

    TCase *alone = tcase_create("without an engine");
    tcase_add_checked_fixture(alone, fake_begin, fake_end);
    tcase_add_test(alone, without_an_engine);
    suite_add_tcase(suite, alone);
    return suite;
}

} // namespace

int main()
{
    return run_suite(scope_suite());
}
