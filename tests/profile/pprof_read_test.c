/* SPDX-License-Identifier: MIT */
/*
 * pprof files: what is written is what protoc decodes and what the reader takes back, value by value; files
 * of other profilers; and bytes that are no such file, of which none may be believed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "check_main.h"
#include "profile/formats/pprof_comment.h"
#include "profile/formats/pprof_proto.h"
#include "profile/formats/pprof_read.h"
#include "profile/formats/protobuf.h"
#include "profile/formats/titles.h"
#include "profile/formats/utf8.h"
#include "refusal.h"
#include "written.h"

#define EXPECT(call, value) ck_assert_int_eq((call), (value))
#define MS UINT64_C(1000000)

static struct made_profile made;
static struct written packed, plain;
static struct aw_profile *profile;
static struct awi_symbols *symbols;

static void begin(void)
{
    written_made(&made);
    profile = NULL;
    symbols = NULL;
}

static void release(void)
{
    aw_profile_free(profile);
    awi_symbols_free(symbols);
    profile = NULL;
    symbols = NULL;
}

static void end(void)
{
    release();
    written_free(&packed);
    written_free(&plain);
    made_end(&made);
}

static void write_made(void)
{
    EXPECT(written_by(awi_write_pprof, &made.profile, &made.symbols, true, &packed), 0);
    plain = written_unpack(&packed);
}

static int decode(const void *bytes, size_t count)
{
    release();
    int result = awi_pprof_decode(bytes, count, &profile, &symbols);
    if (result != 0)
        ck_assert(profile == NULL && symbols == NULL);
    return result;
}

/* ---- what protoc says ---- */

/* The expected text without its comments. */
static char *expected_text(void)
{
    int fd = open(AW_TEST_DIR "/pprof_expected.txt", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    struct written file = written_read(fd);
    (void)close(fd);
    char *to = file.text;
    for (char *line = file.text, *next; *line != '\0'; line = next) {
        next = strchr(line, '\n') + 1;
        if (*line == '#')
            continue;
        memmove(to, line, (size_t)(next - line));
        to += next - line;
    }
    *to = '\0';
    return file.text;
}

START_TEST(protoc_decodes)
{
    static const char *const argv[] = { "protoc", "--decode=perftools.profiles.Profile",
                                        "--proto_path=" AW_TEST_DIR, AW_TEST_DIR "/profile.proto", NULL };
    struct written said;
    write_made();
    int status = written_pass(&plain, argv, &said);
    if (status == 127) {
        printf("skipped: protoc is missing, its decoding was not compared\n");
    } else {
        EXPECT(status, 0);
        char *expected = expected_text();
        ck_assert_str_eq(said.text, expected);
        free(expected);
    }
    written_free(&said);
}
END_TEST

/* The same profile is the same file: no time stamps of gzip's. */
START_TEST(reproducible)
{
    struct written again;
    write_made();
    ck_assert_mem_eq(packed.text, "\x1f\x8b\x08\0\0\0\0\0", 8);
    EXPECT(written_by(awi_write_pprof, &made.profile, &made.symbols, true, &again), 0);
    ck_assert_uint_eq(again.count, packed.count);
    ck_assert_mem_eq(again.text, packed.text, again.count);
    written_free(&again);
}
END_TEST

/* ---- there and back ---- */

static void expect_text(const char *read, const char *written)
{
    char clean[512];
    (void)awi_utf8_copy(clean, written, true);
    ck_assert_str_eq(read, clean);
}

static void expect_function(uint32_t index, uint32_t expected)
{
    const struct awi_function *read = &symbols->functions[index],
                              *written = &made.symbols.functions[expected];
    expect_text(read->name, written->name);
    expect_text(read->linkage, written->linkage);
    expect_text(read->file, written->file);
    ck_assert_uint_eq(read->line, written->line);
}

static void expect_location(uint32_t index, uint32_t expected)
{
    const struct awi_location *read = &symbols->locations[index],
                              *written = &made.symbols.locations[expected];
    ck_assert_uint_eq(read->pc, written->pc);
    ck_assert_uint_eq(read->module, written->module);
    ck_assert_uint_eq(read->frames_count, written->frames_count);
    for (uint32_t i = 0; i < read->frames_count; ++i) {
        ck_assert_uint_eq(read->frames[i].line, written->frames[i].line);
        expect_function(read->frames[i].function, written->frames[i].function);
    }
}

static void expect_sample(size_t index)
{
    const struct awi_sample *read = &profile->samples[index], *written = &made.profile.samples[index];
    const struct awi_stack_names *stack = &symbols->stacks[index], *expected = &made.symbols.stacks[index];
    ck_assert_uint_eq(read->count, written->count);
    ck_assert_uint_eq(read->time_ns, written->time_ns);
    EXPECT(read->kind, written->kind);
    ck_assert_uint_eq(read->depth, written->depth);
    for (uint32_t i = 0; i < read->depth; ++i)
        ck_assert_uint_eq(read->pcs[i], written->pcs[i]);
    ck_assert_uint_eq(stack->depth, expected->depth);
    for (uint32_t i = 0; i < stack->depth; ++i)
        expect_location(stack->locations[i], expected->locations[i]);
    const struct awi_sampled_thread *thread = &profile->threads[read->thread];
    ck_assert_int_eq(thread->tid, made.profile.threads[written->thread].tid);
    expect_text(thread->name, made.profile.threads[written->thread].name);
}

/* "key=value" of all, the innermost first. */
static void expect_labels(size_t sample, const char *expected)
{
    char text[256] = "";
    for (uint32_t i = profile->samples[sample].label; i != 0; i = profile->labels[i].parent) {
        ck_assert_uint_lt(i, profile->labels_count);
        sprintf(text + strlen(text), "%s%s=%s", *text != '\0' ? " " : "", profile->labels[i].key,
                profile->labels[i].value);
    }
    ck_assert_str_eq(text, expected);
}

static void expect_made(void)
{
    ck_assert_int_eq(profile->clock, made.profile.clock);
    ck_assert_uint_eq(profile->period_ns, made.profile.period_ns);
    ck_assert_uint_eq(profile->started_realtime_ns, made.profile.started_realtime_ns);
    ck_assert_uint_eq(profile->elapsed_ns, made.profile.elapsed_ns);
    ck_assert_uint_eq(profile->program, made.profile.program);
    ck_assert_uint_eq(profile->modules_count, made.profile.modules_count);
    for (size_t i = 0; i < profile->modules_count; ++i) {
        const struct awi_module *read = &profile->modules[i], *module = &made.profile.modules[i];
        ck_assert(read->start == module->start && read->end == module->end);
        ck_assert_str_eq(read->path, module->path);
        ck_assert_str_eq(symbols->build_ids[i], made.symbols.build_ids[i]);
        EXPECT(symbols->has_lines[i], made.symbols.has_lines[i]);
    }
    ck_assert_uint_eq(profile->samples_count, made.profile.samples_count);
    for (size_t i = 0; i < profile->samples_count; ++i)
        expect_sample(i);
}

START_TEST(there_and_back)
{
    made.profile.clock = (enum aw_profile_clock)_i;
    write_made();
    for (int round = 0; round < 2; ++round) { /* compressed, and not */
        EXPECT(decode(round == 0 ? packed.text : plain.text, round == 0 ? packed.count : plain.count), 0);
        expect_made();
        ck_assert_uint_eq(profile->threads_count, 2);
        expect_labels(0, "");
        expect_labels(2, "kind=second tenant=x;\"y\""); /* the kind that was pushed first is hidden */
        expect_labels(3, "");
        struct aw_profile_stats expected = made.profile.stats;
        expected.bytes = 0;
        ck_assert_mem_eq(&profile->stats, &expected, sizeof expected);
    }
}
END_TEST

/* What the table shows of a profile it shows of its file, too; and so do the others. */
START_TEST(same_outputs)
{
    written_by_fn *functions[] = { awi_write_text, awi_write_folded, awi_write_speedscope };
    write_made();
    EXPECT(decode(packed.text, packed.count), 0);
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; ++i) {
        struct written before, after;
        EXPECT(written_by(functions[i], &made.profile, &made.symbols, false, &before), 0);
        EXPECT(written_by(functions[i], profile, symbols, false, &after), 0);
        ck_assert_str_eq(after.text, before.text);
        written_free(&before);
        written_free(&after);
    }
}
END_TEST

/* More strings than the table begins with; each stands there once. */
START_TEST(many_strings)
{
    char name[32], file_name[32];
    for (unsigned i = 0; i < 1000; ++i) {
        sprintf(name, "f%u", i);
        sprintf(file_name, "f%u", i / 2);
        made_function(&made, 1, name, file_name, i);
        made_stack(&made, name, i, 1);
    }
    write_made();
    EXPECT(decode(packed.text, packed.count), 0);
    expect_made();
    unsigned strings = 0;
    struct awi_field field;
    struct awi_wire of = { (unsigned char *)plain.text, (unsigned char *)plain.text + plain.count };
    while (awi_wire_field(&of, &field) == 1)
        strings += field.number == PROFILE_STRING_TABLE;
    ck_assert_uint_eq(strings, 28 + 1000);
}
END_TEST

START_TEST(no_samples)
{
    made_end(&made);
    made_begin(&made);
    write_made();
    EXPECT(decode(packed.text, packed.count), 0);
    ck_assert_uint_eq(profile->samples_count, 0);
    ck_assert_uint_eq(profile->modules_count, 0);
    ck_assert_uint_eq(profile->program, UINT32_MAX);
    ck_assert_uint_eq(profile->labels_count, 1);
}
END_TEST

/* A program's own label "thread" goes before ours. */
START_TEST(own_thread_label)
{
    made_label(&made, 0, "thread", "mine");
    made_stack(&made, "main;loop", 1, 1);
    write_made();
    EXPECT(decode(packed.text, packed.count), 0);
    const struct awi_sample *last = &profile->samples[profile->samples_count - 1];
    ck_assert_str_eq(profile->threads[last->thread].name, "mine");
    EXPECT(profile->threads[last->thread].tid, 0);
}
END_TEST

START_TEST(from_descriptor)
{
    char path[64];
    int fds[2], fd = memfd_create("file", MFD_CLOEXEC);
    write_made();
    ck_assert_int_eq(write(fd, packed.text, packed.count), (ssize_t)packed.count);
    sprintf(path, "/proc/self/fd/%d", fd);
    EXPECT(lseek(fd, 0, SEEK_SET), 0);
    errno = 4711;
    EXPECT(awi_pprof_read(fd, &profile, &symbols), 0);
    EXPECT(errno, 4711);
    expect_made();
    release();
    EXPECT(awi_pprof_read(fd, &profile, &symbols), -EBADMSG); /* it is at its end */
    EXPECT(awi_pprof_read(987, &profile, &symbols), -EBADF);
    EXPECT(pipe2(fds, O_CLOEXEC), 0);
    ck_assert_int_eq(write(fds[1], plain.text, plain.count), (ssize_t)plain.count);
    (void)close(fds[1]);
    EXPECT(awi_pprof_read(fds[0], &profile, &symbols), 0);
    expect_made();
    (void)close(fds[0]);
    (void)close(fd);
    fd = open("/", O_RDONLY | O_CLOEXEC);
    EXPECT(awi_pprof_read(fd, &(struct aw_profile *){ NULL }, &(struct awi_symbols *){ NULL }), -EISDIR);
    (void)close(fd);
}
END_TEST

/* gzip files may be strung together; what follows that is none is an error. */
START_TEST(gzip_members)
{
    char file[2 * 4096];
    write_made();
    size_t half = plain.count / 2, count = 0;
    for (int part = 0; part < 2; ++part) {
        z_stream stream = { .next_in = (unsigned char *)plain.text + (part == 0 ? 0 : half),
                            .avail_in = (uInt)(part == 0 ? half : plain.count - half) };
        EXPECT(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
        stream.next_out = (unsigned char *)file + count;
        stream.avail_out = (uInt)(sizeof file - count);
        EXPECT(deflate(&stream, Z_FINISH), Z_STREAM_END);
        count += stream.total_out;
        (void)deflateEnd(&stream);
    }
    EXPECT(decode(file, count), 0);
    expect_made();
    file[count] = 'x';
    EXPECT(decode(file, count + 1), -EBADMSG);
}
END_TEST

/* A small file that unpacks to more than is taken. */
START_TEST(gzip_bomb)
{
    const size_t most = (size_t)2 << 20;
    unsigned char *bomb = malloc(most);
    static unsigned char block[1 << 20];
    z_stream stream = { .next_out = bomb, .avail_out = (uInt)most };
    ck_assert_ptr_nonnull(bomb);
    EXPECT(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_RLE), Z_OK);
    for (size_t i = 0; i <= AWI_PPROF_BYTES / sizeof block; ++i) {
        stream.next_in = block;
        stream.avail_in = sizeof block;
        EXPECT(deflate(&stream, Z_NO_FLUSH), Z_OK);
    }
    EXPECT(deflate(&stream, Z_FINISH), Z_STREAM_END);
    EXPECT(decode(bomb, stream.total_out), -EFBIG);
    (void)deflateEnd(&stream);
    free(bomb);
}
END_TEST

/* ---- files of others, put together by hand ---- */

static struct awi_message file, message, part;

static void put(uint32_t field)
{
    awi_message_message(&file, field, &message);
    awi_message_clear(&message);
}

static void put_string(const char *text)
{
    awi_message_bytes(&file, PROFILE_STRING_TABLE, text, strlen(text));
}

static void put_type(uint64_t type, uint64_t unit)
{
    awi_message_number(&message, VALUE_TYPE_TYPE, type);
    awi_message_number(&message, VALUE_TYPE_UNIT, unit);
    put(PROFILE_SAMPLE_TYPE);
}

static void put_label(uint64_t key, uint64_t text, uint64_t number, uint64_t unit)
{
    awi_message_clear(&part);
    awi_message_number(&part, LABEL_KEY, key);
    awi_message_number(&part, LABEL_STR, text);
    awi_message_number(&part, LABEL_NUM, number);
    awi_message_number(&part, LABEL_NUM_UNIT, unit);
    awi_message_message(&message, SAMPLE_LABEL, &part);
}

enum {
    EMPTY,
    SAMPLES,
    COUNT,
    CPU,
    MICROSECONDS,
    BYTES,
    LIB,
    SIZE,
    WALL,
    NANOSECONDS,
    STRINGS
};

static void put_strings(void)
{
    static const char *const strings[] = { "",      "samples",        "count", "cpu",  "microseconds",
                                           "bytes", "/lib/libc.so.6", "size",  "wall", "nanoseconds" };
    ck_assert_uint_eq(sizeof strings / sizeof strings[0], STRINGS);
    for (size_t i = 0; i < STRINGS; ++i)
        put_string(strings[i]);
}

static int decode_file(void)
{
    ck_assert(!file.is_incomplete && !message.is_incomplete && !part.is_incomplete);
    return decode(file.bytes, file.count);
}

static void put_sample(uint64_t location, uint64_t count, uint64_t time)
{
    awi_message_number(&message, SAMPLE_LOCATION_ID, location); /* not packed */
    awi_message_number(&message, SAMPLE_VALUE, count);
    awi_message_number(&message, SAMPLE_VALUE, time);
}

static void free_file(void)
{
    awi_message_free(&file);
    awi_message_free(&message);
    awi_message_free(&part);
}

/* Numbers not packed, ids as they like, no lines, no functions, samples without a stack, other units. */
START_TEST(file_of_others)
{
    put_type(SAMPLES, COUNT);
    put_type(CPU, MICROSECONDS);
    put_sample(0xffffffffffffffff, 2, 3);
    put_label(BYTES, 0, 4096, BYTES);
    put_label(SIZE, 0, UINT64_MAX, 0);
    put_label(WALL, 0, 0, 0);
    put(PROFILE_SAMPLE);
    put_sample(7, 1, 1);
    put(PROFILE_SAMPLE);
    awi_message_number(&message, SAMPLE_VALUE, 5);
    awi_message_number(&message, SAMPLE_VALUE, 6);
    put(PROFILE_SAMPLE);
    awi_message_number(&message, MAPPING_ID, 99);
    awi_message_number(&message, MAPPING_MEMORY_START, 0x2000);
    awi_message_number(&message, MAPPING_FILENAME, LIB);
    put(PROFILE_MAPPING);
    awi_message_number(&message, MAPPING_ID, 3);
    awi_message_number(&message, MAPPING_MEMORY_START, 0x1000);
    put(PROFILE_MAPPING);
    awi_message_number(&message, LOCATION_ID, 0xffffffffffffffff);
    awi_message_number(&message, LOCATION_MAPPING_ID, 99);
    awi_message_number(&message, LOCATION_ADDRESS, 0x2345);
    put(PROFILE_LOCATION);
    awi_message_number(&message, LOCATION_ID, 7);
    put(PROFILE_LOCATION);
    put_strings();
    awi_message_number(&file, PROFILE_PERIOD, 10 * MS);
    awi_message_number(&file, 1000, 1); /* what we do not know */
    awi_message_bytes(&file, 1001, "x", 1);
    EXPECT(decode_file(), 0);
    ck_assert_uint_eq(profile->samples_count, 3);
    ck_assert_uint_eq(profile->program, 1); /* the first in the file, the second by address */
    ck_assert_uint_eq(profile->samples[0].count, 2);
    ck_assert_uint_eq(profile->samples[0].time_ns, 3000);
    ck_assert_uint_eq(profile->samples[0].pcs[0], 0x2345);
    expect_labels(0, "bytes=4096 bytes size=-1 wall=");
    ck_assert_uint_eq(profile->threads_count, 1);
    ck_assert_uint_eq(profile->stats.requested_hz, 100);
    ck_assert_uint_eq(profile->stats.samples, 8);
    struct written text;
    EXPECT(written_by(awi_write_folded, profile, symbols, false, &text), 0);
    ck_assert_str_eq(text.text, "[libc.so.6] 3000\n[unknown] 7000\n");
    written_free(&text);
    EXPECT(written_by(awi_write_speedscope, profile, symbols, false, &text), 0);
    ck_assert_ptr_nonnull(strstr(text.text, "\"name\":\"all threads\""));
    written_free(&text);
    free_file();
}
END_TEST

/* Which of several values is the time. */
START_TEST(value_types)
{
    static const struct {
        unsigned types[3][2];
        unsigned chosen;
        int result;
        enum aw_profile_clock clock;
        uint64_t count, time_ns;
    } rows[] = {
        { { { SAMPLES, COUNT }, { CPU, NANOSECONDS }, { WALL, NANOSECONDS } },
          EMPTY,
          0,
          AW_PROFILE_WALL,
          1,
          3 },
        { { { SAMPLES, COUNT }, { CPU, NANOSECONDS }, { WALL, NANOSECONDS } }, CPU, 0, AW_PROFILE_CPU, 1, 2 },
        { { { WALL, MICROSECONDS }, { SIZE, BYTES }, { SAMPLES, COUNT } },
          SIZE,
          0,
          AW_PROFILE_WALL,
          3,
          1000 },
        { { { SIZE, BYTES }, { CPU, MICROSECONDS }, { SIZE, BYTES } }, 4711, -EBADMSG, 0, 0, 0 },
        { { { SIZE, BYTES }, { SIZE, 4711 }, { SIZE, BYTES } }, EMPTY, -EBADMSG, 0, 0, 0 },
        { { { SAMPLES, COUNT }, { SIZE, BYTES }, { SIZE, COUNT } }, EMPTY, -ENOTSUP, 0, 0, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        for (size_t j = 0; j < 3; ++j) {
            put_type(rows[i].types[j][0], rows[i].types[j][1]);
            awi_message_packed(&part, j + 1);
        }
        awi_message_message(&message, SAMPLE_VALUE, &part);
        put(PROFILE_SAMPLE);
        put_strings();
        awi_message_number(&file, PROFILE_DEFAULT_SAMPLE_TYPE, rows[i].chosen);
        ck_assert_msg(decode_file() == rows[i].result, "row %zu", i);
        if (rows[i].result == 0) {
            ck_assert_uint_eq(profile->samples[0].count, rows[i].count);
            ck_assert_uint_eq(profile->samples[0].time_ns, rows[i].time_ns);
            EXPECT(profile->clock, rows[i].clock);
        }
        free_file();
    }
}
END_TEST

/* One wrong thing in a file that is right. */
enum wrong {
    RIGHT,
    NO_LOCATION,
    NO_FUNCTION,
    NO_MAPPING,
    ID_ZERO,
    ID_TWICE,
    NEGATIVE,
    TOO_LONG,
    TOO_FEW_VALUES,
    TOO_MANY_VALUES,
    NO_STRING,
    NO_STRINGS,
    STRING_FIRST,
    NO_TYPES,
    FIXED_LOCATION,
    SAMPLE_IS_NUMBER,
    LABEL_IS_NUMBER,
    LINE_IS_NUMBER,
    NO_COMMENT,
    WRONGS
};

static void put_file(enum wrong wrong)
{
    if (wrong == STRING_FIRST)
        put_string("x");
    if (wrong != NO_STRINGS)
        put_strings();
    if (wrong != NO_TYPES)
        put_type(SAMPLES, COUNT);
    if (wrong != NO_TYPES)
        put_type(CPU, MICROSECONDS);
    if (wrong == LABEL_IS_NUMBER)
        awi_message_number(&message, SAMPLE_LABEL, 1);
    for (int i = 0; wrong == FIXED_LOCATION && i < 9; ++i) /* a tag and eight bytes */
        awi_message_packed(&message, i == 0 ? SAMPLE_LOCATION_ID << 3 | AWI_WIRE_FIXED64 : 0);
    uint64_t time = wrong == NEGATIVE ? UINT64_MAX : wrong == TOO_LONG ? (UINT64_C(1) << 62) + 1 : 5;
    put_sample(wrong == NO_LOCATION ? 2 : 1, 1, wrong == TOO_FEW_VALUES ? 0 : time);
    if (wrong == TOO_MANY_VALUES)
        awi_message_number(&message, SAMPLE_VALUE, 1);
    put(PROFILE_SAMPLE);
    awi_message_number(&message, LOCATION_ID, wrong == ID_ZERO ? 0 : 1);
    awi_message_number(&message, LOCATION_MAPPING_ID, wrong == NO_MAPPING ? 1 : 0);
    if (wrong == LINE_IS_NUMBER)
        awi_message_number(&message, LOCATION_LINE, 1);
    awi_message_clear(&part);
    awi_message_number(&part, LINE_FUNCTION_ID, wrong == NO_FUNCTION ? 2 : 1);
    awi_message_message(&message, LOCATION_LINE, &part);
    put(PROFILE_LOCATION);
    for (int i = 0; i < (wrong == ID_TWICE ? 2 : 1); ++i) {
        awi_message_number(&message, FUNCTION_ID, 1);
        awi_message_number(&message, FUNCTION_NAME, wrong == NO_STRING ? STRINGS : CPU);
        put(PROFILE_FUNCTION);
    }
    if (wrong == SAMPLE_IS_NUMBER)
        awi_message_number(&file, PROFILE_SAMPLE, 1);
    if (wrong == NO_COMMENT)
        awi_message_number(&file, PROFILE_COMMENT, STRINGS);
}

START_TEST(wrong_files)
{
    put_file((enum wrong)_i);
    EXPECT(decode_file(), _i == RIGHT ? 0 : -EBADMSG);
    free_file();
}
END_TEST

/* Samples that are small in the file and large in memory: an error before they are made. */
START_TEST(too_many_messages)
{
    put_strings();
    put_type(CPU, NANOSECONDS);
    awi_message_number(&message, SAMPLE_VALUE, 1);
    size_t count = AWI_PPROF_BYTES / 8;
    unsigned char *many = malloc(file.count + 4 * count);
    ck_assert_ptr_nonnull(many);
    memcpy(many, file.bytes, file.count);
    for (size_t i = 0; i < count; ++i)
        memcpy(many + file.count + 4 * i, "\x12\x02\x10\x01", 4);
    EXPECT(decode(many, file.count + 4 * count), -EFBIG);
    free(many);
    free_file();
}
END_TEST

/* ---- the wire ---- */

START_TEST(wire)
{
    static const struct {
        const char *bytes;
        size_t count;
        int result;
        uint64_t value;
    } rows[] = {
        { "", 0, 0, 0 },
        { "\x08\x00", 2, 1, 0 },
        { "\x08\x96\x01", 3, 1, 150 },
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, 1, UINT64_MAX },
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, -EBADMSG, 0 }, /* 65 bits */
        { "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 12, -EBADMSG, 0 },
        { "\x08", 1, -EBADMSG, 0 },
        { "\x08\x80", 2, -EBADMSG, 0 },
        { "\x80", 1, -EBADMSG, 0 },
        { "\x00\x00", 2, -EBADMSG, 0 }, /* field 0 */
        { "\x0b", 1, -EBADMSG, 0 },     /* a group */
        { "\x0c", 1, -EBADMSG, 0 },
        { "\x0e\x00", 2, -EBADMSG, 0 },
        { "\x0f\x00", 2, -EBADMSG, 0 },
        { "\x09\x01\x02\x03\x04\x05\x06\x07\x08", 9, 1, UINT64_C(0x0807060504030201) },
        { "\x09\x01\x02\x03\x04\x05\x06\x07", 8, -EBADMSG, 0 },
        { "\x0d\x01\x02\x03\x84", 5, 1, UINT64_C(0x84030201) },
        { "\x0d\x01\x02\x03", 4, -EBADMSG, 0 },
        { "\x0a\x00", 2, 1, 0 },
        { "\x0a\x01x", 3, 1, 0 },
        { "\x0a\x02x", 3, -EBADMSG, 0 },
        { "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 12, -EBADMSG, 0 },
        { "\xf8\xff\xff\xff\x0f\x01", 6, 1, 1 },        /* field 2^29 - 1 */
        { "\x80\x80\x80\x80\x10\x01", 6, -EBADMSG, 0 }, /* and the one above */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        struct awi_field field = { 0 };
        unsigned char *bytes =
            malloc(rows[i].count + (rows[i].count == 0)); /* so that a sanitizer sees its end */
        memcpy(bytes, rows[i].bytes, rows[i].count);
        struct awi_wire of = { bytes, bytes + rows[i].count };
        ck_assert_msg(awi_wire_field(&of, &field) == rows[i].result, "row %zu", i);
        if (rows[i].result == 1) {
            ck_assert_ptr_eq(of.at, of.end);
            ck_assert_msg(field.value == rows[i].value, "row %zu", i);
        }
        free(bytes);
    }
}
END_TEST

START_TEST(comment)
{
    static const char *const foreign[] = { "",
                                           "alarmwheel",
                                           "alarmwheels lost=1",
                                           "lost=1",
                                           "x alarmwheel lost=1",
                                           "alarmwheel lost",
                                           "alarmwheel lost=",
                                           "alarmwheel losty=1" };
    struct aw_profile_stats stats = { 0 }, zero = { 0 };
    char text[AWI_COMMENT_BYTES];
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; ++i)
        awi_comment_read(foreign[i], &stats);
    ck_assert_mem_eq(&stats, &zero, sizeof zero);
    awi_comment_read(
        "alarmwheel  lost=18446744073709551615 threads=99999999999 unknown=-1 capped_hz=x foreign=7 ",
        &stats);
    ck_assert_uint_eq(stats.lost, UINT64_MAX);
    ck_assert_uint_eq(stats.threads, UINT32_MAX);
    ck_assert_uint_eq(stats.capped_hz, 0);
    ck_assert_uint_eq(stats.foreign, 7);
    memset(&stats, 0xff, sizeof stats);
    awi_comment_write(&stats, text); /* the longest there is */
    ck_assert_ptr_nonnull(strstr(text, " threads_missed=4294967295"));
}
END_TEST

/* ---- damaged files ---- */

/* From memory of its own, so that a sanitizer sees who reads behind it. */
static int decode_copy(const char *bytes, size_t count)
{
    unsigned char *copy = malloc(count + (count == 0));
    memcpy(copy, bytes, count);
    int result = decode(copy, count);
    free(copy);
    return result;
}

static void expect_taken(int result)
{
    struct written text;
    if (result == 0) { /* then all that is in it can be shown */
        EXPECT(written_by(awi_write_text, profile, symbols, false, &text), 0);
        written_free(&text);
        EXPECT(written_by(awi_write_pprof, profile, symbols, true, &text), 0);
        written_free(&text);
    } else {
        ck_assert(result == -EBADMSG || result == -ENOTSUP || result == -EFBIG);
    }
}

START_TEST(truncated)
{
    write_made();
    for (size_t i = 0; i < packed.count; ++i)
        EXPECT(decode_copy(packed.text, i), -EBADMSG);
    /* Of what is not packed, some beginnings are whole messages; but strings come last, and are needed. */
    for (size_t i = 0; i < plain.count; ++i)
        EXPECT(decode_copy(plain.text, i), -EBADMSG);
}
END_TEST

START_TEST(mutated)
{
    static const unsigned char others[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
    write_made();
    unsigned taken = 0;
    for (size_t i = 0; i < plain.count; ++i) {
        char before = plain.text[i];
        for (size_t j = 0; j < sizeof others + 8; ++j) {
            plain.text[i] = (char)(j < 8 ? before ^ (1 << j) : others[j - 8]);
            int result = decode_copy(plain.text, plain.count);
            expect_taken(result);
            taken += result == 0;
        }
        plain.text[i] = before;
    }
    ck_assert_uint_gt(taken, 0);
    /* gzip has a checksum of what is in it, and a few bits that mean nothing. */
    for (size_t i = 0; i < packed.count; ++i) {
        char before = packed.text[i];
        for (size_t j = 0; j < 8; ++j) {
            packed.text[i] = (char)(before ^ (1 << j));
            int result = decode_copy(packed.text, packed.count);
            expect_taken(result);
            if (result == 0)
                expect_made();
        }
        packed.text[i] = before;
    }
}
END_TEST

/* Bytes at random, and pieces of the file put elsewhere in it. */
START_TEST(shuffled)
{
    uint32_t state = 4711;
    char bytes[600];
    write_made();
    for (unsigned i = 0; i < 3000; ++i) {
        for (size_t j = 0; j < sizeof bytes; ++j)
            bytes[j] = (char)((state = state * 1664525 + 1013904223) >> 24);
        expect_taken(decode_copy(bytes, state % sizeof bytes));
        char *copy = malloc(plain.count);
        memcpy(copy, plain.text, plain.count);
        for (unsigned moves = 0; moves < 3; ++moves) {
            state = state * 1664525 + 1013904223;
            size_t from = (state >> 8) % plain.count, count = (state >> 4) % 64;
            state = state * 1664525 + 1013904223;
            size_t to = (state >> 8) % plain.count;
            size_t room = plain.count - (from > to ? from : to);
            memcpy(copy + to, plain.text + from, count < room ? count : room);
        }
        expect_taken(decode_copy(copy, plain.count));
        free(copy);
    }
}
END_TEST

START_TEST(no_memory)
{
    int result = -ENOMEM, tries = 0;
    write_made();
    for (; result == -ENOMEM && tries < 10000; ++tries) {
        allocations_left = tries;
        result = awi_pprof_decode(packed.text, packed.count, &profile, &symbols);
        allocations_left = -1;
    }
    EXPECT(result, 0);
    ck_assert_int_gt(tries, 3);
    expect_made();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pprof_read");
    TCase *tests = tcase_create("pprof_read");

    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, protoc_decodes);
    tcase_add_test(tests, reproducible);
    tcase_add_loop_test(tests, there_and_back, AW_PROFILE_CPU, AW_PROFILE_WALL + 1);
    tcase_add_test(tests, same_outputs);
    tcase_add_test(tests, many_strings);
    tcase_add_test(tests, no_samples);
    tcase_add_test(tests, own_thread_label);
    tcase_add_test(tests, from_descriptor);
    tcase_add_test(tests, gzip_members);
    tcase_add_test(tests, gzip_bomb);
    tcase_add_test(tests, file_of_others);
    tcase_add_test(tests, value_types);
    tcase_add_loop_test(tests, wrong_files, 0, WRONGS);
    tcase_add_test(tests, too_many_messages);
    tcase_add_test(tests, wire);
    tcase_add_test(tests, comment);
    tcase_add_test(tests, truncated);
    tcase_add_test(tests, mutated);
    tcase_add_test(tests, shuffled);
    tcase_add_test(tests, no_memory);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
