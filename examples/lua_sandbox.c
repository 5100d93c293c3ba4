/* SPDX-License-Identifier: MIT */
/*
 * lua_sandbox.c: scripts that are not trusted, bounded by guards. A count hook asks a safe point every
 * thousand instructions, and raises a Lua error when the time is over: a cooperative guard, so the
 * interpreter's state stays whole. A limit on processor time lets a script sleep for as long as it likes.
 *
 * Lua raises errors by longjmp, past C functions that have entered guards: who catches them (lua_pcall)
 * takes a mark before, and rewinds after. What the hook cannot reach is not in the sandbox: C functions
 * that run long (those of the libraries string and table), message handlers (xpcall) and finalisers
 * (setmetatable), during which Lua runs no hook. (To bound memory, too, give lua_newstate an allocator that
 * counts.)
 */
#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <alarmwheel/alarmwheel.h>

#define HOOK_COUNT 1000

static uint64_t clock_ns(clockid_t id)
{
    struct timespec now;

    if (clock_gettime(id, &now) != 0) {
        perror("clock_gettime");
        exit(EXIT_FAILURE);
    }
    return AW_SEC(now.tv_sec) + (uint64_t)now.tv_nsec;
}

static const char *reason(int error)
{
    return error == -ETIMEDOUT || error == -ECANCELED ? "time is over" : strerror(-error);
}

/*
 * Once the time is over it asks at every instruction: or a script that catches the error inside a loop
 * would get another thousand each time round, and never end.
 */
static void hook(lua_State *L, lua_Debug *where)
{
    int error = aw_safepoint();

    if ((error != 0) != (lua_gethookcount(L) == 1))
        lua_sethook(L, hook, LUA_MASKCOUNT, error != 0 ? 1 : HOOK_COUNT);
    if (error != 0) {
        lua_getinfo(L, "Sl", where);
        lua_pushfstring(L, "%s:%d: %s", where->short_src, where->currentline, reason(error));
        lua_error(L);
    }
}

/* pcall(f, ...): the sandbox's own. An error that lands here may have jumped past guards. */
static int protected_call(lua_State *L)
{
    int mark = aw_guard_mark();
    int status;

    luaL_checkany(L, 1);
    status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    if (mark < 0 || aw_guard_rewind(mark) < 0)
        return luaL_error(L, "the guards are out of order");
    lua_pushboolean(L, status == LUA_OK);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* within(ms, f): calls f; an error if it takes longer. By a guard inside a guard. */
static int within(lua_State *L)
{
    lua_Integer ms = luaL_checkinteger(L, 1);
    struct aw_guard guard;
    int error;

    luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_argcheck(L, ms > 0, 1, "must be positive");
    error = aw_guard_enter(&guard, AW_MS(ms), AW_GUARD_DEFAULT);
    if (error != 0)
        return luaL_error(L, "%s", reason(error));
    lua_settop(L, 2);
    lua_call(L, 0, 0); /* an error jumps past the next line */
    error = aw_guard_leave(&guard);
    return error == 0 ? 0 : luaL_error(L, "%s", reason(error));
}

static int sleep_ms(lua_State *L)
{
    lua_Integer ms = luaL_checkinteger(L, 1);
    uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);

    luaL_argcheck(L, ms >= 0 && (lua_Unsigned)ms < UINT32_MAX, 1, "is out of range");
    return aw_sleep_until(now_ns + AW_MS(ms)) == 0 ? 0 : luaL_error(L, "%s", reason(-errno));
}

static lua_State *make_sandbox(void)
{
    static const char *const unwanted[] = { "dofile", "loadfile",     "load",
                                            "xpcall", "setmetatable", "collectgarbage" };
    lua_State *L = luaL_newstate();

    if (L == NULL)
        return NULL;
    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
    lua_settop(L, 0);
    for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++) {
        lua_pushnil(L);
        lua_setglobal(L, unwanted[i]);
    }
    lua_register(L, "pcall", protected_call);
    lua_register(L, "within", within);
    lua_register(L, "sleep", sleep_ms);
    lua_sethook(L, hook, LUA_MASKCOUNT, HOOK_COUNT);
    return L;
}

/* Runs a script in a state of its own: 0, -ETIMEDOUT, or another negative errno if the script is wrong. */
static int run(const char *script, uint64_t timeout_ns, unsigned flags)
{
    lua_State *L = make_sandbox();
    struct aw_guard guard;
    int result;
    int mark;

    if (L == NULL)
        return -ENOMEM;
    result = aw_guard_enter(&guard, timeout_ns, flags);
    if (result == 0) {
        mark = aw_guard_mark();
        if (luaL_dostring(L, script) != LUA_OK) {
            printf("  %s\n", lua_tostring(L, -1));
            result = -EINVAL;
        }
        if (mark < 0 || aw_guard_rewind(mark) < 0)
            result = -EPROTO;
        if (aw_guard_leave(&guard) == -ETIMEDOUT && result == -EINVAL)
            result = -ETIMEDOUT;
    }
    lua_close(L);
    return result;
}

struct trial {
    const char *title;
    const char *script;
    unsigned limit_ms;
    unsigned flags;
    int expected;
};

static const struct trial trials[] = {
    { "A script that ends in time", "print('  the answer is ' .. 6 * 7)", 10000, AW_GUARD_DEFAULT, 0 },
    { "One that loops for ever", "while true do end", 100, AW_GUARD_DEFAULT, -ETIMEDOUT },
    { "One that loops for ever, and catches the error that is to end it",
      "while true do pcall(function() while true do end end) end", 100, AW_GUARD_DEFAULT, -ETIMEDOUT },
    { "One that bounds a part of itself, and goes on",
      "local fine, why = pcall(within, 20, function() while true do end end)\n"
      "print('  the part: ' .. why)\n"
      "assert(not fine)\n"
      "for i = 1, 10000 do math.abs(i) end\n",
      10000, AW_GUARD_DEFAULT, 0 },
    { "One that sleeps for longer than its time", "sleep(10000)", 100, AW_GUARD_DEFAULT, -ETIMEDOUT },
    { "One that sleeps for longer than its processor time", "sleep(150) print('  well rested')", 100,
      AW_GUARD_CPU, 0 },
    { "One that burns its processor time", "sleep(50) while true do end", 100, AW_GUARD_CPU, -ETIMEDOUT },
};

static int try_out(const struct trial *trial)
{
    uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t charged_ns;
    int result;

    printf("%s, limit %u ms%s:\n", trial->title, trial->limit_ms,
           trial->flags == AW_GUARD_CPU ? " of processor time" : "");
    result = run(trial->script, AW_MS(trial->limit_ms), trial->flags);
    cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
    begin_ns = clock_ns(CLOCK_MONOTONIC) - begin_ns;
    printf("  %s after %.1f ms, of which %.1f ms on the processor\n",
           result == 0            ? "ended"
           : result == -ETIMEDOUT ? "stopped"
                                  : "failed",
           (double)begin_ns / 1e6, (double)cpu_ns / 1e6);
    charged_ns = trial->flags == AW_GUARD_CPU ? cpu_ns : begin_ns;
    if (result == trial->expected && (result != -ETIMEDOUT || charged_ns >= AW_MS(trial->limit_ms)))
        return EXIT_SUCCESS;
    fprintf(stderr, "  that was not to be expected: %s\n", strerror(-result));
    return EXIT_FAILURE;
}

int main(void)
{
    int result = EXIT_SUCCESS;
    int error = aw_init(NULL);

    if (error != 0) {
        fprintf(stderr, "aw_init: %s\n", strerror(-error));
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]) && result == EXIT_SUCCESS; i++)
        result = try_out(&trials[i]);
    return aw_shutdown() == 0 && fflush(stdout) == 0 ? result : EXIT_FAILURE;
}
