/* From a working stack to the harness program. The files have fixed names and lie in the emulator's working
 * directory; a program that finds no pictures.bin there says so. */
#include "start.h"

#include "port.h"

extern uint32_t dcg_data_load[], dcg_data_start[], dcg_data_end[];
extern uint32_t dcg_bss_start[], dcg_bss_end[];

void dcg_start(void) {
    const uint32_t *from = dcg_data_load;
    for (uint32_t *p = dcg_data_start; p < dcg_data_end; p++) {
        *p = *from++;
    }
    for (uint32_t *p = dcg_bss_start; p < dcg_bss_end; p++) {
        *p = 0;
    }
    machine_start_clock();
    port_exit(harness_main("pictures.bin", "results.bin"));
}
