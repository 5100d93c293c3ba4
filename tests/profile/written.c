/* SPDX-License-Identifier: MIT */
/* written.c: see written.h. A failure of what is not under test aborts. */
#include "written.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define MS UINT64_C(1000000)

static void must(bool is_so)
{
    if (!is_so)
        abort();
}

static int file_of(const struct written *written)
{
    int fd = memfd_create("written", MFD_CLOEXEC);
    must(fd >= 0);
    for (size_t done = 0; done < written->count;) {
        ssize_t count = write(fd, written->text + done, written->count - done);
        must(count > 0);
        done += (size_t)count;
    }
    must(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

struct written written_read(int fd)
{
    off_t count = lseek(fd, 0, SEEK_END);
    must(count >= 0);
    struct written written = { NULL, (size_t)count };
    void *text = NULL;
    must(posix_memalign(&text, sizeof text, written.count + 1) == 0); /* tests make malloc fail */
    written.text = text;
    must(pread(fd, written.text, written.count, 0) == count);
    written.text[written.count] = '\0';
    return written;
}

void written_free(struct written *written)
{
    free(written->text);
    *written = (struct written){ NULL, 0 };
}

int written_by(written_by_fn *function, const struct aw_profile *profile, const struct awi_symbols *symbols,
               bool is_compressed, struct written *written)
{
    int result = -ENOMEM;
    *written = (struct written){ NULL, 0 };
    int fd = memfd_create("written", MFD_CLOEXEC);
    must(fd >= 0);
    struct awi_output *output = awi_output_open(fd, is_compressed);
    if (output != NULL) {
        result = function(output, profile, symbols);
        int error = awi_output_close(output);
        result = result != 0 ? result : error;
    }
    if (result == 0)
        *written = written_read(fd);
    (void)close(fd);
    return result;
}

struct written written_unpack(const struct written *packed)
{
    const size_t most = (size_t)256 << 20;
    struct written plain = { malloc(most), 0 };
    z_stream stream = { .next_in = (unsigned char *)packed->text, .avail_in = (uInt)packed->count };
    must(plain.text != NULL && inflateInit2(&stream, 15 + 16) == Z_OK);
    stream.next_out = (unsigned char *)plain.text;
    stream.avail_out = (uInt)most - 1;
    must(inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0);
    plain.count = stream.total_out;
    must(inflateEnd(&stream) == Z_OK);
    plain.text = realloc(plain.text, plain.count + 1);
    must(plain.text != NULL);
    plain.text[plain.count] = '\0';
    return plain;
}

int written_pass(const struct written *input, const char *const argv[], struct written *said)
{
    int status = 0;
    int in = file_of(input), out = memfd_create("said", MFD_CLOEXEC);
    must(out >= 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0)
            (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    must(waitpid(child, &status, 0) == child);
    *said = written_read(out);
    (void)close(in);
    (void)close(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

void written_made(struct made_profile *made)
{
    made_begin(made);
    uint32_t library = made_module(made, "/usr/lib/libm.so.6");
    uint32_t program = made_module(made, "/opt/a \"b\"/demo");
    made->profile.program = program;
    made->symbols.has_lines[library] = false;
    made_function(made, program, "main", "src/main.c", 10);
    made_function(made, program, "work<int>", "src/work.cc", 20);
    uint32_t inner = made_function(made, program, "inner;\"\\\n\x01\xff\xc3\xa9", "src/inner.h", 5);
    made_function(made, program, "loop", "src/work.cc", 40);
    made_function(made, library, "sin", "", 0);
    made_function(made, UINT32_MAX, "[truncated]", "", 0);
    made_function(made, UINT32_MAX, "[lost]", "", 0);
    made->symbols.functions[1].linkage = "_Z4workIiEvv";
    made_inline(made, inner, 1);
    /* "inner" stands at its place with work<int>, into which it was inlined, around it. */
    made_stack(made, "main;work<int>", 12 * MS, 3);
    uint32_t stack[] = { 0, inner };
    made_sample(made, stack, 2, 4 * MS, 1);
    made_label(made, 0, "kind", "first");
    made_label(made, made->label, "tenant", "x;\"y\"");
    made_label(made, made->label, "kind", "second");
    made_stack(made, "main;loop;loop;sin", 8 * MS, 2);
    made->label = 0;
    made_thread(made, 4712, "wor;ker\xc3");
    made_stack(made, "loop;sin", 8 * MS + 1, 2);
    struct awi_sample *truncated = made_stack(made, "[truncated];loop", 4 * MS - 1, 1);
    truncated->kind = AWI_TRUNCATED;
    truncated->depth = 1;
    struct awi_sample *lost = made_stack(made, "[lost]", 4 * MS, 1);
    lost->kind = AWI_LOST;
    lost->depth = 0;
    made->profile.elapsed_ns = 50 * MS;
    struct aw_profile_stats *stats = &made->profile.stats;
    stats->elapsed_ns = 50 * MS;
    stats->requested_hz = 1000;
    stats->capped_hz = 250;
    stats->samples = 9;
    stats->lost = 1;
    stats->truncated = 1;
    stats->unknown = 2;
    stats->foreign = 3;
    stats->threads_missed = 4;
    stats->achieved_hz = 250;
    made->profile.period_ns = 1 * MS;
}
