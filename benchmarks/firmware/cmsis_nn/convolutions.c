/* Program for the harness: runs CMSIS-NN's int8 convolutions on the layer shapes of layers.h, with noise as
 * weights and inputs. It writes the ticks of each convolution, and as scores the sums of each one's outputs,
 * which are the same on all cores. */
#include "layers.h"

#include <arm_nnfunctions.h>

#include "port.h"
#include "records.h"

#if MVE_EXPECTED ? !defined(ARM_MATH_MVEI) : !defined(ARM_MATH_DSP) || defined(ARM_MATH_MVEI)
#error "CMSIS-NN does not use the instructions of this core"
#endif

static int8_t input[MOST_INPUTS], weights[MOST_WEIGHTS], output[MOST_OUTPUTS];
static int8_t buffer[MOST_BUFFER] __attribute__((aligned(16)));
static int32_t bias[MOST_CHANNELS], multiplier[MOST_CHANNELS], shift[MOST_CHANNELS];

static void fill(int8_t *to, size_t count, uint32_t seed) {
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        to[i] = (int8_t)((int32_t)(seed >> 24) - 128);
    }
}

/* Runs one layer, writes its ticks and sums its outputs. Returns false where CMSIS-NN refuses the layer. */
static bool run(uint16_t number, const struct layer *l, int32_t *sum) {
    const cmsis_nn_conv_params params = {
        .input_offset = 128,
        .output_offset = -128,
        .stride = {l->stride_w, l->stride_h},
        .padding = {l->pad_w, l->pad_h},
        .dilation = {1, 1},
        .activation = {-128, 127},
    };
    const cmsis_nn_per_channel_quant_params quant = {multiplier, shift};
    const cmsis_nn_dims in = {1, l->in_h, l->in_w, l->in_c};
    const cmsis_nn_dims filter = {l->out_c, l->kernel_h, l->kernel_w, l->kernel_c};
    const cmsis_nn_dims bias_dims = {1, 1, 1, l->out_c};
    const cmsis_nn_dims out = {1, l->out_h, l->out_w, l->out_c};
    const int32_t size = arm_convolve_wrapper_s8_get_buffer_size(&params, &in, &filter, &out);
    if (size < 0 || size > MOST_BUFFER) return false;
    const cmsis_nn_context context = {buffer, size};
    const uint64_t start = port_ticks();
    const arm_cmsis_nn_status status = arm_convolve_wrapper_s8(&context, &params, &quant, &in, input, &filter,
                                                               weights, &bias_dims, bias, &out, output);
    const uint64_t ticks = port_ticks() - start;
    records_put(RECORD_TICKS, number, 0, 0, &ticks, sizeof ticks);
    *sum = 0;
    for (int32_t i = 0; i < l->out_h * l->out_w * l->out_c; i++) {
        *sum += output[i];
    }
    return status == ARM_CMSIS_NN_SUCCESS;
}

int harness_main(const char *pictures_file, const char *results_file) {
    (void)pictures_file;
    if (!records_begin(results_file)) return 2;
    fill(input, sizeof input, 1);
    fill(weights, sizeof weights, 2);
    for (int32_t o = 0; o < MOST_CHANNELS; o++) {
        bias[o] = 97 * o;
        multiplier[o] = 1 << 30;
        shift[o] = -9;
    }
    static int32_t sums[N_LAYERS];
    for (uint16_t i = 0; i < N_LAYERS; i++) {
        if (!run(i, &layers[i], &sums[i])) {
            port_print("CMSIS-NN refuses a layer\n");
            return 2;
        }
    }
    records_put(RECORD_SCORES, 0, 0, 0, sums, sizeof sums);
    return records_end() ? 0 : 2;
}
