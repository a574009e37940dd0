/* The memory that a harness program gives to its model: static arrays of exactly the sizes that it needs. */
#ifndef DCG_MODEL_MEMORY_H
#define DCG_MODEL_MEMORY_H

#include "dcg_model.h"

extern dcg_net model_net;
extern uint8_t model_arena[DCG_MODEL_ARENA_BYTES];

/* The picture, height x width x channels bytes; of a model that takes it row by row, one row. */
#if DCG_MODEL_STREAMED
#define MODEL_INPUT_BYTES (DCG_MODEL_INPUT_WIDTH * DCG_MODEL_INPUT_CHANNELS)
#else
#define MODEL_INPUT_BYTES DCG_MODEL_INPUT_BYTES
#endif
extern uint8_t model_input[MODEL_INPUT_BYTES];
extern int32_t model_scores[DCG_MODEL_SCORES];

#endif
