/* SPDX-License-Identifier: MIT */
/*
 * bounds_bodies.c: the lines of the table that are about computations, libc, and places where the expiry is
 * kept away. See bounds.h.
 */
#include "bounds.h"

#include <netdb.h>
#include <netinet/in.h>
#include <nss.h>
#include <pthread.h>
#include <resolv.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "signal_fixture.h"

struct record *record;

void broken_scene(int line)
{
    record->line = line;
    _exit(BROKEN_SCENE);
}

pid_t fork_bound(void)
{
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

void wait_for_release(void)
{
    while (record->release_ns == 0)
        usleep(500);
    while (clock_ns() < record->release_ns)
        usleep(500);
}

void spin_until_release(void)
{
    while (clock_ns() < record->release_ns)
        ++record->rounds;
}

/* Seconds until the release, for a command line. */
static double release_in(void)
{
    uint64_t now = clock_ns(), at = record->release_ns;
    if (at == AW_FOREVER)
        return 1000;
    return at > now ? (double)(at - now) / 1e9 + 0.001 : 0;
}

/* ---- computations ---- */

static void compute(struct scene *scene)
{
    (void)scene;
    for (;;)
        ++record->rounds;
}

static void compute_in_steps(struct scene *scene)
{
    (void)scene;
    do
        spin_until_release();
    while (aw_safepoint() == 0);
}

/* As code does that makes use of what libc gives it. */
static void look_at(const char *text, size_t length)
{
    for (size_t i = 0; i < length; ++i)
        record->rounds += text[i] == 'x';
}

static void allocate(struct scene *scene)
{
    char *kept[16] = { NULL };
    (void)scene;
    for (unsigned i = 0;; ++i) {
        free(kept[i % 16]);
        kept[i % 16] = calloc(1, i * 37 % 5000 + 32);
        MUST(kept[i % 16] != NULL);
        look_at(kept[i % 16], 32);
    }
}

static void format(struct scene *scene)
{
    char line[64] = "";
    (void)scene;
    for (unsigned i = 0;; ++i) {
        snprintf(line, sizeof line, "%u %g %s", i, i / 3.0, "line");
        look_at(line, sizeof line);
    }
}

static int compare_slowly(const void *left, const void *right)
{
    spin_until_release();
    return *(const char *)left - *(const char *)right;
}

static void sort(struct scene *scene)
{
    char letters[] = "bca";
    (void)scene;
    qsort(letters, 3, 1, compare_slowly);
}

/* ---- stdio ---- */

static FILE *stream;

static void prepare_input(struct scene *scene)
{
    prepare_pipe(scene);
    stream = fdopen(scene->fds[0], "r");
    MUST(stream != NULL);
}

static void prepare_output(struct scene *scene)
{
    prepare_full_pipe(scene);
    stream = fdopen(scene->fds[1], "w");
    MUST(stream != NULL);
}

static void call_fgets(struct scene *scene)
{
    char line[16];
    (void)scene;
    (void)!fgets(line, sizeof line, stream);
}

static void call_fread(struct scene *scene)
{
    char block[16];
    (void)scene;
    (void)!fread(block, 1, sizeof block, stream);
}

static void call_fprintf(struct scene *scene)
{
    (void)scene;
    fprintf(stream, "%10000s", "");
}

static void call_fflush(struct scene *scene)
{
    (void)scene;
    fputs("line\n", stream);
    fflush(stream);
}

/* ---- libc calls that go on by themselves after EINTR ---- */

/* A name server that does not answer before the release, and then only that there is no such name. */
static void serve_names(int fd)
{
    unsigned char message[512];
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(fd, message, sizeof message, 0, (struct sockaddr *)&from, &size);
    wait_for_release();
    message[2] |= 0x80u;
    message[3] = (unsigned char)((message[3] & 0xf0u) | 3u);
    _exit(n > 3 && sendto(fd, message, (size_t)n, 0, (struct sockaddr *)&from, size) == n ? 0 : 1);
}

static void prepare_name_server(struct scene *scene)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    scene->fds[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    MUST(scene->fds[0] >= 0 && bind(scene->fds[0], (struct sockaddr *)&address, size) == 0);
    MUST(getsockname(scene->fds[0], (struct sockaddr *)&address, &size) == 0);
    scene->process = fork_bound();
    if (scene->process == 0)
        serve_names(scene->fds[0]);
    MUST(__nss_configure_lookup("hosts", "dns") == 0 && res_init() == 0);
    _res.nscount = 1;
    _res.nsaddr_list[0] = address;
}

static void call_getaddrinfo(struct scene *scene)
{
    const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    (void)scene;
    if (getaddrinfo("nobody.invalid.", NULL, &hints, &found) == 0)
        freeaddrinfo(found);
}

static void call_system(struct scene *scene)
{
    char command[32];
    (void)scene;
    snprintf(command, sizeof command, "exec sleep %.3f", release_in());
    (void)!system(command); // NOLINT(cert-env33-c)
}

static void call_pclose(struct scene *scene)
{
    char command[32];
    (void)scene;
    snprintf(command, sizeof command, "exec sleep %.3f", release_in());
    FILE *pipe = popen(command, "r"); // NOLINT(cert-env33-c)
    if (pipe != NULL)
        pclose(pipe);
}

static pthread_t thread;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static volatile bool is_ready, is_signalled;

static void *holds_the_mutex(void *arg)
{
    pthread_mutex_lock(&mutex);
    is_ready = true;
    wait_for_release();
    is_signalled = true;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
    return arg;
}

static void *signals_the_condition(void *arg)
{
    is_ready = true;
    wait_for_release();
    return holds_the_mutex(arg);
}

/* The thread takes no signal, so that all of them come where they are wanted. */
static void start_thread(void *(*run)(void *))
{
    sigset_t all, before;
    sigfillset(&all);
    MUST(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    MUST(pthread_create(&thread, NULL, run, NULL) == 0);
    MUST(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    while (!is_ready)
        usleep(100);
}

static void prepare_mutex(struct scene *scene)
{
    (void)scene;
    start_thread(holds_the_mutex);
}

static void prepare_condition(struct scene *scene)
{
    (void)scene;
    start_thread(signals_the_condition);
}

static void call_join(struct scene *scene)
{
    (void)scene;
    pthread_join(thread, NULL);
}

static void call_mutex_lock(struct scene *scene)
{
    (void)scene;
    pthread_mutex_lock(&mutex);
}

static void call_cond_wait(struct scene *scene)
{
    (void)scene;
    pthread_mutex_lock(&mutex);
    while (!is_signalled)
        pthread_cond_wait(&condition, &mutex);
    pthread_mutex_unlock(&mutex);
}

static sem_t semaphore;

static void prepare_semaphore(struct scene *scene)
{
    (void)scene;
    MUST(sem_init(&semaphore, 0, 0) == 0);
}

static void call_sem_wait(struct scene *scene)
{
    (void)scene;
    sem_wait(&semaphore);
}

/* ---- where the expiry is kept away ---- */

static void set_alarm_blocked(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigaddset(&set, SIGRTMIN + 6);
    pthread_sigmask(how, &set, NULL);
}

static void block_the_alarm(struct scene *scene)
{
    set_alarm_blocked(SIG_BLOCK);
    spin_until_release();
    set_alarm_blocked(SIG_UNBLOCK);
    plain_read(scene);
}

static bool read_with_the_alarm_blocked(struct scene *scene, uint64_t timeout_ns)
{
    set_alarm_blocked(SIG_BLOCK);
    return guarded_read(scene, timeout_ns);
}

static void shielded(struct scene *scene)
{
    (void)scene;
    aw_shield();
    spin_until_release();
    (void)aw_unshield();
}

static bool shielded_read(struct scene *scene, uint64_t timeout_ns)
{
    aw_shield();
    return guarded_read(scene, timeout_ns);
}

static int spinning_callback(struct aw_timer timer, void *arg)
{
    (void)timer;
    (void)arg;
    spin_until_release();
    return 0;
}

static void prepare_callback(struct scene *scene)
{
    MUST(aw_timer_create(&scene->timer, spinning_callback, scene) == 0);
}

static void run_callback(struct scene *scene)
{
    if (aw_timer_arm(scene->timer, 0) == 0)
        aw_wait(AW_FOREVER);
}

struct reading {
    struct scene *scene;
    uint64_t timeout_ns;
    bool over;
};

static int reading_callback(struct aw_timer timer, void *arg)
{
    struct reading *reading = arg;
    (void)timer;
    reading->over = guarded_read(reading->scene, reading->timeout_ns);
    return 0;
}

static bool read_in_a_callback(struct scene *scene, uint64_t timeout_ns)
{
    struct reading reading = { scene, timeout_ns, false };
    struct aw_timer timer;
    prepare_pipe(scene);
    MUST(aw_timer_create(&timer, reading_callback, &reading) == 0 && aw_timer_arm(timer, 0) == 0);
    return aw_wait(AW_FOREVER) == 1 && reading.over;
}

static void spin_in_handler(int signo)
{
    (void)signo;
    spin_until_release();
}

static void prepare_handler(struct scene *scene)
{
    struct sigaction action;
    (void)scene;
    memset(&action, 0, sizeof action);
    action.sa_handler = spin_in_handler;
    sigemptyset(&action.sa_mask);
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
}

static void run_handler(struct scene *scene)
{
    (void)scene;
    raise(SIGUSR1);
}

/* The parent of a vfork sleeps until the child is gone, and takes no signal but SIGKILL. */
static void sleep_uninterruptibly(struct scene *scene)
{
    (void)scene;
    /* With a copy of the memory, unlike vfork's own: the child may do as it likes. */
    if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        wait_for_release();
        _exit(0);
    }
}

static const char swallowers[] =
    "`getaddrinfo`, `system`, `pclose`, `pthread_join`, `pthread_mutex_lock`, `pthread_cond_wait`";

const struct body other_bodies[] = {
    { "a computation with safe points", "steps", prepare_nothing, compute_in_steps, NULL },
    { "a computation without any", "loop", prepare_nothing, compute, NULL },
    { "`malloc`, `snprintf` and the like in a loop", "malloc", prepare_nothing, allocate, NULL },
    { "`malloc`, `snprintf` and the like in a loop", "snprintf", prepare_nothing, format, NULL },
    { "`qsort` with a comparator of yours", "qsort", prepare_nothing, sort, NULL },
    { "`fgets`, `fread`", "fgets", prepare_input, call_fgets, NULL },
    { "`fgets`, `fread`", "fread", prepare_input, call_fread, NULL },
    { "`fprintf`, `fflush`", "fprintf", prepare_output, call_fprintf, NULL },
    { "`fprintf`, `fflush`", "fflush", prepare_output, call_fflush, NULL },
    { swallowers, "getaddrinfo", prepare_name_server, call_getaddrinfo, NULL },
    { swallowers, "system", prepare_nothing, call_system, NULL },
    { swallowers, "pclose", prepare_nothing, call_pclose, NULL },
    { swallowers, "pthread_join", prepare_mutex, call_join, NULL },
    { swallowers, "pthread_mutex_lock", prepare_mutex, call_mutex_lock, NULL },
    { swallowers, "pthread_cond_wait", prepare_condition, call_cond_wait, NULL },
    { "`sem_wait`", "sem_wait", prepare_semaphore, call_sem_wait, NULL },
    { "code under `aw_shield`", "loop", prepare_pipe, shielded, shielded_read },
    { "a callback, with the guard around its dispatch", "loop", prepare_callback, run_callback,
      read_in_a_callback },
    { "a signal handler of yours", "loop", prepare_handler, run_handler, NULL },
    { "code that blocks the alarm's signal", "loop", prepare_pipe, block_the_alarm,
      read_with_the_alarm_blocked },
    { "uninterruptible sleep", "vfork", prepare_nothing, sleep_uninterruptibly, NULL },
    { .row = NULL },
};
