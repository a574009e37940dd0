#include "model_memory.h"

#if defined(__GNUC__)
#define ALIGNED_16 __attribute__((aligned(16)))
#else
#define ALIGNED_16
#endif

dcg_net model_net;
uint8_t model_arena[DCG_MODEL_ARENA_BYTES] ALIGNED_16;
uint8_t model_input[MODEL_INPUT_BYTES] ALIGNED_16;
int32_t model_scores[DCG_MODEL_SCORES];
