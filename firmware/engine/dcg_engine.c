/* The engine's driver: checks blob and engine, writes the command list, moves picture, weights and scores. */
#include "dcg_engine.h"
#include "dcg_blob.h"
#include "dcg_records.h"

static uint32_t read32(const dcg_engine *engine, uint32_t offset) {
    return engine->port->read32(engine->port->user, offset);
}

static void write32(const dcg_engine *engine, uint32_t offset, uint32_t value) {
    engine->port->write32(engine->port->user, offset, value);
}

/* Checks size and checksum of every layer section. What the sections say is checked by the engine as it reads
 * them. */
static dcg_status check_sections(const uint8_t *blob, const dcg_engine_plan *plan) {
    const uint8_t *layer = blob + dcg_header_layers_offset(blob);
    uint32_t left = dcg_header_blob_bytes(blob) - dcg_header_layers_offset(blob);
    for (uint32_t i = 0; i < plan->n_nodes; i++) {
        dcg_status status = dcg_section_check(layer, left);
        if (status != DCG_OK) return status;
        left -= dcg_node_header_section_bytes(layer);
        layer += dcg_node_header_section_bytes(layer);
    }
    return left == 0 ? DCG_OK : DCG_ERR_SECTION;
}

/* Checks that there is an engine and that it can run the plan. DCG_ENGINE_EXACT_PARAMETERS has a bit for each
 * parameter in which it must be as planned; of the others it may have more. */
static dcg_status check_engine(const dcg_engine *engine, const dcg_engine_plan *plan) {
    if (read32(engine, DCG_ENGINE_ID) != DCG_ENGINE_ID_VALUE) return DCG_ERR_ENGINE;
    if (read32(engine, DCG_ENGINE_VERSION) != DCG_ENGINE_VERSION_VALUE) return DCG_ERR_ENGINE;
    for (uint32_t i = 0; i < DCG_ENGINE_N_PARAMETERS; i++) {
        uint32_t found = read32(engine, DCG_ENGINE_LANES + 4u * i), wanted = plan->parameters[i];
        if (found < wanted) return DCG_ERR_ENGINE;
        if ((DCG_ENGINE_EXACT_PARAMETERS >> i & 1u) != 0 && found != wanted) return DCG_ERR_ENGINE;
    }
    return DCG_OK;
}

dcg_status dcg_engine_init(dcg_engine *engine, const dcg_engine_plan *plan, const dcg_engine_port *port,
                           const void *blob, size_t blob_bytes) {
    if (!engine) return DCG_ERR_ARGUMENT;
    engine->plan = NULL; /* until all has been checked: every function refuses such an engine */
    if (!plan || !port || !blob) return DCG_ERR_ARGUMENT;
    if ((uintptr_t)blob % 4u != 0) return DCG_ERR_ARGUMENT;
    const dcg_network network = {
        .topology_hash = plan->topology_hash,
        .n_scores = plan->n_scores,
        .n_tensors = plan->n_tensors,
        .n_nodes = plan->n_nodes,
        .input_channels = plan->input_channels,
    };
    engine->port = port;
    engine->blob = blob;
    dcg_status status = dcg_blob_check(blob, blob_bytes, &network);
    if (status == DCG_OK) status = check_sections(blob, plan);
    if (status == DCG_OK) status = check_engine(engine, plan);
    if (status != DCG_OK) return status;

    write32(engine, DCG_ENGINE_CONTROL, DCG_ENGINE_CONTROL_RESET_MASK);
    write32(engine, DCG_ENGINE_TOPOLOGY_LOW, (uint32_t)plan->topology_hash);
    write32(engine, DCG_ENGINE_TOPOLOGY_HIGH, (uint32_t)(plan->topology_hash >> 32));
    write32(engine, DCG_ENGINE_SCORES, plan->n_scores);
    for (uint32_t i = 0; i < plan->n_commands; i++)
        write32(engine, DCG_ENGINE_COMMANDS + 4u * i, plan->commands[i]);
    engine->plan = plan;
    return DCG_OK;
}

/* Sends the tensors section, and then each layer section that the command list reads, in its order. A network
 * that runs in strips reads a section once a strip. Stops where the engine has found an error. */
static void send_sections(const dcg_engine *engine) {
    const dcg_engine_port *port = engine->port;
    const uint8_t *blob = engine->blob, *layers = blob + dcg_header_layers_offset(blob), *layer = layers;
    uint32_t node = 0;
    port->send_blob(port->user, blob + dcg_header_tensors_offset(blob), dcg_header_tensors_bytes(blob));
    for (uint32_t i = 0; i < engine->plan->n_sections; i++) {
        uint32_t wanted = engine->plan->sections[i];
        if (wanted < node) {
            node = 0;
            layer = layers;
        }
        for (; node < wanted; node++)
            layer += dcg_node_header_section_bytes(layer);
        if ((read32(engine, DCG_ENGINE_STATUS) & DCG_ENGINE_STATUS_ERROR_MASK) != 0) return;
        port->send_blob(port->user, layer, dcg_node_header_section_bytes(layer));
    }
}

/* The defect that the engine's status register names. */
static dcg_status cause_of(uint32_t status) {
    uint32_t cause = (status & DCG_ENGINE_STATUS_CAUSE_MASK) >> DCG_ENGINE_STATUS_CAUSE_SHIFT;
    return cause >= DCG_ERR_HEADER && cause <= DCG_ERR_POSITION ? (dcg_status)cause : DCG_ERR_ENGINE;
}

dcg_status dcg_engine_run(dcg_engine *engine, const uint8_t *hwc, int32_t *scores) {
    if (!engine || !engine->plan || !hwc || !scores) return DCG_ERR_ARGUMENT;
    const dcg_engine_plan *plan = engine->plan;
    const dcg_engine_port *port = engine->port;
    port->receive(port->user, scores, plan->n_scores);
    write32(engine, DCG_ENGINE_CONTROL, DCG_ENGINE_CONTROL_START_MASK | DCG_ENGINE_CONTROL_IRQ_MASK);
    port->send_picture(port->user, hwc, plan->picture_bytes);
    send_sections(engine);
    int late = port->wait(port->user);

    uint32_t status = read32(engine, DCG_ENGINE_STATUS);
    if ((status & DCG_ENGINE_STATUS_ERROR_MASK) != 0) return cause_of(status);
    if (late == 0 && (status & DCG_ENGINE_STATUS_DONE_MASK) != 0) return DCG_OK;
    write32(engine, DCG_ENGINE_CONTROL, DCG_ENGINE_CONTROL_RESET_MASK);
    return DCG_ERR_TIMEOUT;
}

void dcg_engine_counters(const dcg_engine *engine, uint32_t counters[DCG_ENGINE_N_COUNTERS]) {
    if (!engine || !engine->plan || !counters) return;
    for (uint32_t i = 0; i < DCG_ENGINE_N_COUNTERS; i++)
        counters[i] = read32(engine, DCG_ENGINE_CYCLES_TOTAL + 4u * i);
}
