/* The emitted model of a folder as the one symbol of a shared library. */
#include "model.h"

#include "dcg_model.h"

const struct model the_model = {
    .plan = &DCG_MODEL_PLAN,
    .blob = DCG_MODEL_BLOB,
#ifdef DCG_MODEL_SELFTEST
    .selftest = &DCG_MODEL_SELFTEST,
#endif
    .blob_bytes = DCG_MODEL_BLOB_BYTES,
    .arena_bytes = DCG_MODEL_ARENA_BYTES,
    .input_bytes = DCG_MODEL_INPUT_BYTES,
    .input_height = DCG_MODEL_INPUT_HEIGHT,
    .scores = DCG_MODEL_SCORES,
};
