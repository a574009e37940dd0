/* Self-test program: runs the picture that travels with the model and names the first node whose output is
 * not what the compiler has computed. Exit code 0: all are equal; 1: not. */
#include "model_memory.h"
#include "port.h"

int harness_main(const char *pictures_file, const char *results_file) {
    (void)pictures_file;
    (void)results_file;
    uint16_t wrong = DCG_NO_NODE;
    dcg_status status = dcg_init(&model_net, &DCG_MODEL_PLAN, DCG_MODEL_BLOB, DCG_MODEL_BLOB_BYTES,
                                 model_arena, sizeof model_arena);
    if (status == DCG_OK) {
        status = dcg_selftest(&model_net, &DCG_MODEL_SELFTEST, model_scores, &wrong);
    }
    port_print("self-test: ");
    port_print(dcg_status_text(status));
    if (wrong != DCG_NO_NODE) {
        port_print(", first in ");
        port_print(DCG_MODEL_SELFTEST.names[wrong]);
    }
    port_print("\n");
    return status == DCG_OK ? 0 : 1;
}
