/* SPDX-License-Identifier: MIT */
/*
 * consumer.cpp: what consumer.c does, from C++11 to C++20: a timer whose callback finds an object, and a read
 * that a guard ends, by the macro, by aw_guard_call, and by the scopes of alarmwheel.hpp.
 */
#include <cerrno>
#include <cstdio>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>
#include <alarmwheel/alarmwheel.hpp>

namespace
{

struct Counter {
    int ticks = 0;

    static int tick(aw_timer, void *self)
    {
        ++static_cast<Counter *>(self)->ticks;
        return 0;
    }
};

struct Read {
    int fd;
    int error;

    static int run(void *arg)
    {
        Read *self = static_cast<Read *>(arg);
        char byte;
        const ssize_t got = read(self->fd, &byte, 1);
        self->error = got < 0 ? errno : 0;
        return 0;
    }
};

int fail(int step, const char *what)
{
    std::fprintf(stderr, "step %d: %s\n", step, what);
    return step;
}

int run()
{
    Counter counter;
    aw_timer timer;
    if (aw_timer_create(&timer, Counter::tick, &counter) != 0)
        return fail(2, "aw_timer_create");
    if (aw_timer_arm_every(timer, AW_MS(5), AW_MS(5), AW_MISSED_SKIP) != 0)
        return fail(3, "aw_timer_arm_every");
    while (counter.ticks < 3)
        if (aw_wait(AW_SEC(20)) <= 0)
            return fail(4, "aw_wait");
    if (aw_timer_delete(timer) != 0)
        return fail(5, "aw_timer_delete");

    int ends[2];
    if (pipe(ends) != 0)
        return fail(6, "pipe");
    Read blocked = { ends[0], 0 };
    aw_guard guard;
    if (aw_guard_call(&guard, AW_MS(20), AW_GUARD_DEFAULT, Read::run, &blocked) != -ETIMEDOUT)
        return fail(7, "aw_guard_call");
    if (blocked.error != EINTR)
        return fail(8, "the read was not interrupted");

    bool expired = false;
    blocked.error = 0;
    AW_GUARD(&guard, AW_MS(20), AW_GUARD_DEFAULT) {
        Read::run(&blocked);
    }
    AW_EXPIRED
    {
        expired = true;
    }
    if (!expired || blocked.error != EINTR)
        return fail(9, "AW_GUARD");

    bool thrown = false;
    try {
        AW_GUARD(&guard, AW_SEC(100), AW_GUARD_DEFAULT) {
            throw 1;
        }
    } catch (int) {
        thrown = true;
    }
    if (!thrown || aw_guard_mark() != 0)
        return fail(10, "an exception left its guard behind");

    thrown = false;
    const auto begin = std::chrono::steady_clock::now();
    try {
        aw::guard scope(std::chrono::milliseconds(20));
        char byte;
        if (aw_read(ends[0], &byte, 1, AW_FOREVER) >= 0)
            return fail(11, "aw_read");
        scope.check();
    } catch (const aw::timed_out &timeout) {
        thrown = timeout.code() == std::errc::timed_out;
    }
    if (!thrown || std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(20))
        return fail(11, "aw::guard");

    close(ends[0]);
    close(ends[1]);
    return 0;
}

} // namespace

int main()
{
    if (aw_init(nullptr) != 0)
        return fail(1, "aw_init");
    const int result = run();
    if (result != 0)
        return result;
    return aw_shutdown() == 0 ? 0 : fail(12, "aw_shutdown");
}
