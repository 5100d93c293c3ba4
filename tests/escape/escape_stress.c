/* SPDX-License-Identifier: MIT */
/*
 * escape_stress.c: escapes at random instants, by the hundred thousand, out of loops that a jump from a
 * signal handler tears: the heap, stdio, callbacks that libc runs, signal handlers, this library. Each loop
 * runs in a child, so that a crash or a hang is a result; escapes of the naive kind are there to be caught.
 *
 *     escape_stress --loop NAME [--escapes N] [--naive | --naive-at-text] [--alarm itimer|posix]
 *                   [--safe-points] [--p99-ms N] [--beyond-us N]
 *
 * Exit status: 0 all is whole; 1 something was torn, left, leaked, early, crashed or hung, or the landings'
 * p99, less what the process waited for a processor, was more than --p99-ms, or (of the loop `compute`)
 * their p50 more than --beyond-us later than that of the bare signal. With --naive: 0 if any of this
 * happened, 1 if nothing did. 2: the command line makes no sense.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <alarmwheel/alarmwheel.h>

#include "loops.h"
#include "naive.h"

#define ESCAPES_MAX 1000000u
#define BLOCK 50u /* of raw signals, then of escapes, where they are compared */

static const struct escape_loop *const loops[] = { &loop_malloc,  &loop_stdio,     &loop_qsort,
                                                   &loop_cookie,  &loop_dliterate, &loop_nodefer,
                                                   &loop_library, &loop_compute };
#define LOOPS (sizeof loops / sizeof *loops)

static struct {
    const struct escape_loop *loop;
    uint32_t escapes;
    enum naive naive;
    bool posix;
    bool safe_points;
    uint64_t p99_ns;    /* 0: any */
    uint64_t beyond_ns; /* 0: any */
} asked = { .escapes = 1000 };

/* What the child reports while it runs: shared memory. */
struct report {
    volatile uint32_t escapes;
    volatile uint32_t raw;    /* bare signals, where they are compared */
    volatile uint32_t early;  /* landed before the deadline */
    volatile uint32_t inside; /* landed out of a callback or a handler */
    volatile uint32_t errors; /* guards that could not be entered or named nobody */
    char torn[128];
    uint64_t late_ns[ESCAPES_MAX];
    uint64_t own_late_ns[ESCAPES_MAX]; /* less what the thread waited for a processor */
    uint64_t raw_late_ns[ESCAPES_MAX];
};
static struct report *report;

/* ---- the child ---- */

static void turn(void)
{
    asked.loop->turn();
    if (asked.safe_points)
        (void)aw_safepoint();
}

static void escape(uint64_t timeout_ns)
{
    struct aw_guard guard;
    AW_GUARD(&guard, timeout_ns, AW_GUARD_ESCAPE) {
        for (;;)
            turn();
    }
    AW_EXPIRED
    {
        if (aw_guard_error(&guard) != 0 || aw_guard_fired(&guard) != &guard)
            ++report->errors;
    }
}

/*
 * How long this thread has waited for a processor, ready to run: on a busy machine it is most of all
 * lateness, and none of ours. 0 where the kernel does not count it.
 */
static uint64_t waited_ns(void)
{
    static int fd = -1;
    char text[64];
    if (fd < 0)
        fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? pread(fd, text, sizeof text - 1, 0) : -1;
    if (got <= 0)
        return 0;
    text[got] = '\0';
    const char *second = strchr(text, ' ');
    return second != NULL ? strtoull(second, NULL, 10) : 0;
}

static void one_escape(void)
{
    uint64_t timeout_ns = AW_US(10) + loop_random() % AW_US(190);
    uint64_t waited = waited_ns();
    uint64_t start = naive_clock_ns();
    if (asked.naive == NAIVE_NOT)
        escape(timeout_ns);
    else
        naive_escape(timeout_ns, turn);
    uint64_t took = naive_clock_ns() - start;
    uint64_t late = took > timeout_ns ? took - timeout_ns : 0;
    waited = waited_ns() - waited;
    report->late_ns[report->escapes] = late;
    report->own_late_ns[report->escapes] = late > waited ? late - waited : 0;
    report->early += took < timeout_ns;
    report->inside += loop_inside != 0;
    loop_inside = 0;
}

static void start_engine(void)
{
    struct aw_options options = AW_OPTIONS_DEFAULT;
    bool is_taken = asked.naive != NAIVE_NOT; /* SIGALRM and ITIMER_REAL */
    options.alarm = asked.posix || is_taken ? AW_ALARM_POSIX : AW_ALARM_ITIMER;
    if (aw_init(&options) != 0)
        abort();
}

static void measure_raw(void)
{
    for (unsigned i = 0; i < BLOCK && report->raw < asked.escapes; ++i) {
        uint64_t timeout_ns = AW_US(10) + loop_random() % AW_US(190);
        report->raw_late_ns[report->raw] = naive_signal_lateness_ns(timeout_ns, asked.loop->turn);
        ++report->raw;
    }
}

/* Where the bare signal is compared, the engine gives SIGALRM back for it, and comes again. */
static bool run_loop(void)
{
    bool compares = asked.loop == &loop_compute && asked.naive == NAIVE_NOT;
    const char *torn = NULL;
    (void)waited_ns(); /* takes its descriptor before the loop takes others */
    if (!compares)
        start_engine();
    if (asked.naive != NAIVE_NOT)
        naive_begin(asked.naive);
    if (asked.loop->begin != NULL)
        asked.loop->begin();
    while (torn == NULL && report->escapes < asked.escapes) {
        if (compares && report->escapes % BLOCK == 0) {
            while (aw_shutdown() > 0)
                continue;
            measure_raw();
            signal(SIGALRM, SIG_DFL);
            start_engine();
        }
        one_escape();
        ++report->escapes;
        torn = asked.loop->landed(report->escapes == asked.escapes);
    }
    if (torn != NULL)
        snprintf(report->torn, sizeof report->torn, "%s", torn);
    return torn == NULL;
}

/* ---- the parent ---- */

/* How the child ended, in words; NULL: well. Without any progress for `patience_s` it hangs. */
static const char *watch(pid_t pid, unsigned patience_s)
{
    static char text[64];
    const struct timespec moment = { 0, 5000000 };
    uint32_t seen = 0;
    uint64_t since = naive_clock_ns();
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        uint64_t now = naive_clock_ns();
        uint32_t progress = report->escapes + report->raw;
        if (progress != seen) {
            seen = progress;
            since = now;
        } else if (now - since > AW_SEC(patience_s)) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return "hung";
        }
        nanosleep(&moment, NULL);
    }
    if (WIFSIGNALED(status))
        snprintf(text, sizeof text, "killed by signal %d", WTERMSIG(status));
    else if (report->torn[0] != '\0')
        return report->torn;
    else if (WEXITSTATUS(status) != 0)
        snprintf(text, sizeof text, "exit status %d", WEXITSTATUS(status));
    else
        return NULL;
    return text;
}

static const char *run_child(void)
{
    bool is_naive = asked.naive != NAIVE_NOT;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0) {
        signal(SIGALRM, SIG_DFL);
        if (is_naive && freopen("/dev/null", "w", stderr) == NULL) /* libc's last words */
            _exit(3);
        _exit(run_loop() ? 0 : 1);
    }
    return watch(pid, is_naive ? 5 : 60);
}

static int ascending(const void *a, const void *b)
{
    uint64_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return (left > right) - (left < right);
}

static uint64_t percentile(uint64_t *values, uint32_t count, unsigned percent)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, ascending);
    return values[(uint64_t)(count - 1) * percent / 100];
}

static void print_lateness(const char *what, uint64_t *values, uint32_t count)
{
    printf("%s, us: p50 %.1f  p99 %.1f  most %.1f", what, (double)percentile(values, count, 50) / 1e3,
           (double)percentile(values, count, 99) / 1e3, (double)percentile(values, count, 100) / 1e3);
}

static bool judge(const char *ended)
{
    bool well = ended == NULL && report->early == 0 && report->errors == 0 && report->inside == 0;
    uint32_t count = report->escapes;
    printf("%-9s %-7s %7" PRIu32 " escapes  ", asked.loop->name,
           asked.naive == NAIVE_NOT      ? "ours"
           : asked.naive == NAIVE_ALWAYS ? "naive"
                                         : "at-text",
           count);
    print_lateness("landed after the deadline", report->late_ns, count);
    printf("  less waits for a processor: p99 %.1f",
           (double)percentile(report->own_late_ns, count, 99) / 1e3);
    printf("  early %" PRIu32 "  out of callbacks %" PRIu32 "  errors %" PRIu32 "  %s\n", report->early,
           report->inside, report->errors, ended != NULL ? ended : "whole");
    if (report->raw != 0) {
        print_lateness("                  the bare signal", report->raw_late_ns, report->raw);
        uint64_t bare = percentile(report->raw_late_ns, report->raw, 50);
        uint64_t ours = percentile(report->late_ns, count, 50);
        printf("  landing beyond it, p50: %.1f us\n", ((double)ours - (double)bare) / 1e3);
        if (asked.beyond_ns != 0 && ours > bare + asked.beyond_ns)
            well = false;
    }
    if (asked.p99_ns != 0 && percentile(report->own_late_ns, count, 99) > asked.p99_ns) {
        puts("          too late");
        well = false;
    }
    /* What a naive escape has to be caught at is damage, not that it jumped out of a callback. */
    return asked.naive == NAIVE_NOT ? well : ended != NULL;
}

static const struct escape_loop *find_loop(const char *name)
{
    for (size_t i = 0; i < LOOPS; ++i) {
        if (strcmp(loops[i]->name, name) == 0)
            return loops[i];
    }
    return NULL;
}

static bool parse(int argc, char **argv)
{
    static const struct option options[] = { { "loop", required_argument, NULL, 'l' },
                                             { "escapes", required_argument, NULL, 'e' },
                                             { "naive", no_argument, NULL, 'n' },
                                             { "naive-at-text", no_argument, NULL, 't' },
                                             { "alarm", required_argument, NULL, 'a' },
                                             { "safe-points", no_argument, NULL, 's' },
                                             { "p99-ms", required_argument, NULL, 'p' },
                                             { "beyond-us", required_argument, NULL, 'b' },
                                             { NULL, 0, NULL, 0 } };
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case 'l':
            asked.loop = find_loop(optarg);
            break;
        case 'e':
            asked.escapes = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            asked.naive = NAIVE_ALWAYS;
            break;
        case 't':
            asked.naive = NAIVE_AT_TEXT;
            break;
        case 'a':
            asked.posix = strcmp(optarg, "posix") == 0;
            break;
        case 's':
            asked.safe_points = true;
            break;
        case 'p':
            asked.p99_ns = AW_MS(strtoul(optarg, NULL, 10));
            break;
        case 'b':
            asked.beyond_ns = AW_US(strtoul(optarg, NULL, 10));
            break;
        default:
            return false;
        }
    }
    bool can_tear = asked.naive == NAIVE_NOT ||
                    (asked.loop != &loop_compute &&
                     (asked.naive == NAIVE_ALWAYS || (asked.loop != NULL && asked.loop->calls_back)));
    return asked.loop != NULL && optind == argc && asked.escapes != 0 && asked.escapes <= ESCAPES_MAX &&
           can_tear;
}

int main(int argc, char **argv)
{
    if (!parse(argc, argv)) {
        fputs("escape_stress --loop NAME [--escapes N] [--naive | --naive-at-text] [--alarm itimer|posix]\n"
              "              [--safe-points] [--p99-ms N] [--beyond-us N]; the loops:\n",
              stderr);
        for (size_t i = 0; i < LOOPS; ++i)
            fprintf(stderr, "    %-9s %s\n", loops[i]->name, loops[i]->about);
        return 2;
    }
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    return judge(run_child()) ? 0 : 1;
}
