/*
 * Counts the guest instructions of each processor, for benchmarks of several. A processor that is halted counts none.
 *
 * The guest marks a place in its code by a no-op that it would not have otherwise: NOPL with the operand
 * [rax + rax + displacement], where the displacement's bytes are 'R', 'F', 'X' and the mark's number. Each time
 * a processor comes by, a line is written to the file of the argument `out`:
 *
 *     MARK PROCESSOR COUNT COUNT ...
 *
 * with the instructions of all processors so far. Counts are by translated block, each as a whole when it begins: the
 * mark's own, and one that faults in its middle.
 *
 * These declarations are all of QEMU's interface for plugins that it needs. It has changed once: from 9.1 on an
 * instruction's bytes are copied, and by then version 1 was refused.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define PROCESSORS 64
#define MARK_BYTES 8

struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { NO_REGISTERS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*call)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*call)(unsigned, void *), int, void *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*call)(unsigned, void *), int, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

#ifdef COPIES
EXPORT int qemu_plugin_version = 2;
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *, void *, size_t);

static void copy(const struct qemu_plugin_insn *insn, uint8_t *into, size_t size)
{
    qemu_plugin_insn_data(insn, into, size);
}
#else
EXPORT int qemu_plugin_version = 1;
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

static void copy(const struct qemu_plugin_insn *insn, uint8_t *into, size_t size)
{
    memcpy(into, qemu_plugin_insn_data(insn), size);
}
#endif

/* Each is written by one processor; a cache line for each. */
static struct {
    _Alignas(64) uint64_t count;
} processors[PROCESSORS];

static FILE *out;

static void block(unsigned processor, void *instructions)
{
    if (processor < PROCESSORS)
        processors[processor].count += (uintptr_t)instructions;
}

/* One line at a time: the file is locked meanwhile. */
static void mark(unsigned processor, void *number)
{
    flockfile(out);
    fprintf(out, "%u %u", (unsigned)(uintptr_t)number, processor);
    for (unsigned at = 0; at < PROCESSORS; at++)
        fprintf(out, " %" PRIu64, processors[at].count);
    fputc('\n', out);
    fflush(out);
    funlockfile(out);
}

/* The number of the mark that an instruction is, which may have prefixes; -1 for any other. */
static int mark_of(const struct qemu_plugin_insn *insn)
{
    static const uint8_t begin[] = { 0x0f, 0x1f, 0x84, 0x00, 'R', 'F', 'X' };
    uint8_t bytes[16];
    size_t size = qemu_plugin_insn_size(insn);

    if (size < MARK_BYTES || size > sizeof bytes)
        return -1;
    copy(insn, bytes, size);
    const uint8_t *last = bytes + size - MARK_BYTES;
    return memcmp(last, begin, sizeof begin) ? -1 : last[sizeof begin];
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
    size_t instructions = qemu_plugin_tb_n_insns(tb);

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, block, NO_REGISTERS, (void *)instructions);
    for (size_t at = 0; at < instructions; at++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, at);
        int number = mark_of(insn);
        if (number >= 0)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, NO_REGISTERS, (void *)(uintptr_t)number);
    }
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int at = 0; at < argc; at++)
        if (!strncmp(argv[at], "out=", 4))
            out = fopen(argv[at] + 4, "w");
    if (!out) {
        fputs("count: no file to write to, by out=FILE\n", stderr);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
