/* What the test program has to know of an emitted model. */
#ifndef MODEL_H
#define MODEL_H

#include <stddef.h>

#include "dcg.h"

struct model {
    const dcg_plan *plan;
    const uint8_t *blob;
    const dcg_selftest_data *selftest; /* NULL where none was emitted */
    size_t blob_bytes, arena_bytes;
    size_t input_bytes, input_height; /* bytes of a whole picture, its rows */
    size_t scores;                    /* int32_t each */
};

#endif
