/* Plugin of QEMU that counts how often each instruction is executed between the first and the second reading
 * of the machine's clock, between the third and the fourth, and so on. At the end of the run it writes a line
 * "ADDRESS COUNT", both hexadecimal, for each instruction that was executed.
 *
 *     -plugin executed.so,clock=ADDRESS,out=FILE
 *
 * clock is the address of port_ticks(). The part of QEMU's interface that the plugin uses is declared here,
 * as few packages bring the header. API_VERSION is 1 before QEMU 9 and 2 since; the plugin has been tried
 * with QEMU 7.2. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum registers { NO_REGISTERS };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*call)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction,
                                            void (*call)(unsigned, void *), enum registers access,
                                            void *user);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*call)(plugin_id, void *), void *user);

EXPORT int qemu_plugin_version = API_VERSION;

/* One translation of an instruction, which may be translated several times. */
struct translated {
    uint64_t address, count;
    struct translated *next;
};

static struct translated *all;
static uint64_t clock_address;
static bool between; /* whether the clock was read an odd number of times so far */
static FILE *out;

static void executed(unsigned cpu, void *user) {
    (void)cpu;
    struct translated *t = user;
    if (t->address == clock_address) between = !between;
    t->count += between;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    const size_t count = qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        struct translated *t = malloc(sizeof *t);
        if (t == NULL) abort();
        *t = (struct translated){qemu_plugin_insn_vaddr(instruction), 0, all};
        all = t;
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, executed, NO_REGISTERS, t);
    }
}

static void finish(plugin_id id, void *user) {
    (void)id;
    (void)user;
    for (const struct translated *t = all; t != NULL; t = t->next) {
        if (t->count > 0) fprintf(out, "%" PRIx64 " %" PRIx64 "\n", t->address, t->count);
    }
    fclose(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "clock=", 6) == 0) clock_address = strtoull(argv[i] + 6, NULL, 0);
        if (strncmp(argv[i], "out=", 4) == 0) out = fopen(argv[i] + 4, "w");
    }
    if (clock_address == 0 || out == NULL) {
        fprintf(stderr, "expected clock=ADDRESS and out=FILE that can be written\n");
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
