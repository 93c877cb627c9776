/* Times ggml's matrix-vector products, as ggml_matvec.py asks for them:
 *
 *     ggml_matvec BUDGET_MS MEMORY_BYTES OUTPUTSxINPUTS...
 *
 * A line of JSON for each type, way and shape, on one thread. Weights are random trits, in so
 * many copies that they fill MEMORY_BYTES; each run takes the next. A run begins
 * with f32 activations, which it quantises, and ends with f32 outputs:
 * `mul_mat` is one node of a graph, as llama.cpp computes it; `vec_dot` calls the
 * kernel below it for every row. The first outputs are
 * checked against sums in double precision.
 */
#include "ggml-cpu.h"
#include "ggml.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHECKED_ROWS = 64, MAX_RUNS = 100000 };

struct problem {
    enum ggml_type type;
    int64_t outputs, inputs, copies, next;
    size_t bytes;          /* of one copy of the weights */
    uint8_t *weights;      /* copies, one after the other */
    float *x, *y;
    double *expected;      /* the first CHECKED_ROWS outputs */
    void *quantised;       /* x for vec_dot */
    struct ggml_context *context;
    struct ggml_cgraph **graphs; /* one for each copy */
    struct ggml_cplan plan;
};

static void die(const char *what) {
    fprintf(stderr, "ggml_matvec: %s\n", what);
    exit(1);
}

/* Memory at a multiple of 64. */
static void *allocate(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!memory) die("out of memory");
    return memory;
}

/* The values only have to differ. */
static uint32_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 33);
}

static void fill(struct problem *p) {
    uint64_t state = 1;
    float *row = allocate(p->inputs * sizeof *row);
    size_t row_bytes = ggml_row_size(p->type, p->inputs);
    for (int64_t i = 0; i < p->inputs; i++) p->x[i] = (float)(next_random(&state) % 255) / 127.0f - 1.0f;
    for (int64_t o = 0; o < p->outputs; o++) {
        double sum = 0.0;
        for (int64_t i = 0; i < p->inputs; i++) {
            row[i] = 0.01f * ((float)(next_random(&state) % 3) - 1.0f);
            sum += (double)row[i] * (double)p->x[i];
        }
        if (o < CHECKED_ROWS) p->expected[o] = sum;
        ggml_quantize_chunk(p->type, row, p->weights + o * row_bytes, 0, 1, p->inputs, NULL);
    }
    for (int64_t c = 1; c < p->copies; c++) memcpy(p->weights + c * p->bytes, p->weights, p->bytes);
    free(row);
}

static void prepare(struct problem *p) {
    struct ggml_init_params params = {
        .mem_size = (size_t)(2 * p->copies + 1) * ggml_tensor_overhead() + (size_t)p->copies * ggml_graph_overhead_custom(4, false) + 4096,
        .mem_buffer = NULL,
        .no_alloc = true,
    };
    p->context = ggml_init(params);
    if (!p->context) die("ggml_init failed");
    p->graphs = allocate((size_t)p->copies * sizeof *p->graphs);
    struct ggml_tensor *x = ggml_new_tensor_2d(p->context, GGML_TYPE_F32, p->inputs, 1);
    x->data = p->x;
    for (int64_t c = 0; c < p->copies; c++) {
        struct ggml_tensor *w = ggml_new_tensor_2d(p->context, p->type, p->inputs, p->outputs);
        w->data = p->weights + c * p->bytes;
        struct ggml_tensor *y = ggml_mul_mat(p->context, w, x);
        y->data = p->y;
        p->graphs[c] = ggml_new_graph_custom(p->context, 4, false);
        ggml_build_forward_expand(p->graphs[c], y);
    }
    p->plan = ggml_graph_plan(p->graphs[0], 1, NULL);
    p->plan.work_data = allocate(p->plan.work_size + 64);
}

static void run_mul_mat(struct problem *p) {
    p->next = (p->next + 1) % p->copies;
    if (ggml_graph_compute(p->graphs[p->next], &p->plan) != GGML_STATUS_SUCCESS) die("ggml_graph_compute failed");
}

static void run_vec_dot(struct problem *p) {
    const struct ggml_type_traits_cpu *type = ggml_get_type_traits_cpu(p->type);
    size_t row_bytes = ggml_row_size(p->type, p->inputs);
    p->next = (p->next + 1) % p->copies;
    const uint8_t *w = p->weights + p->next * p->bytes;
    ggml_get_type_traits_cpu(type->vec_dot_type)->from_float(p->x, p->quantised, p->inputs);
    for (int64_t o = 0; o < p->outputs; o++)
        type->vec_dot((int)p->inputs, &p->y[o], 0, w + o * row_bytes, 0, p->quantised, 0, 1);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Runs until the budget is spent, at least five times after two that do not count. */
static void measure(struct problem *p, const char *way, void (*run)(struct problem *), double budget_ms) {
    double *us = allocate(MAX_RUNS * sizeof *us);
    int runs = 0;
    memset(p->y, 0, p->outputs * sizeof *p->y);
    run(p);
    run(p);
    int64_t begun = ggml_time_us();
    while (runs < 5 || (runs < MAX_RUNS && ggml_time_us() - begun < budget_ms * 1e3)) {
        struct timespec start, end;
        timespec_get(&start, TIME_UTC);
        run(p);
        timespec_get(&end, TIME_UTC);
        us[runs++] = (double)(end.tv_sec - start.tv_sec) * 1e6 + (double)(end.tv_nsec - start.tv_nsec) / 1e3;
    }
    double largest = 0.0, error = 0.0;
    for (int64_t o = 0; o < CHECKED_ROWS && o < p->outputs; o++) {
        largest = fmax(largest, fabs(p->expected[o]));
        error = fmax(error, fabs(p->expected[o] - (double)p->y[o]));
    }
    if (!(error <= 0.05 * largest)) die("outputs are wrong");
    qsort(us, (size_t)runs, sizeof *us, ascending);
    printf("{\"type\": \"%s\", \"way\": \"%s\", \"outputs\": %lld, \"inputs\": %lld, \"weight_bytes\": %zu, \"us\": %.3f, \"error\": %.2e}\n",
           ggml_type_name(p->type), way, (long long)p->outputs, (long long)p->inputs, p->bytes, us[runs / 2], error / largest);
    fflush(stdout);
    free(us);
}

static void shape(enum ggml_type type, int64_t outputs, int64_t inputs, double budget_ms, double memory_bytes) {
    struct problem p = {.type = type, .outputs = outputs, .inputs = inputs};
    p.bytes = ggml_row_size(type, inputs) * (size_t)outputs;
    p.copies = (int64_t)ceil(memory_bytes / (double)p.bytes);
    if (p.copies < 1) p.copies = 1;
    p.weights = allocate((size_t)p.copies * p.bytes);
    p.x = allocate(inputs * sizeof *p.x);
    p.y = allocate(outputs * sizeof *p.y);
    p.expected = allocate(CHECKED_ROWS * sizeof *p.expected);
    p.quantised = allocate(ggml_row_size(ggml_get_type_traits_cpu(type)->vec_dot_type, inputs));
    fill(&p);
    prepare(&p);
    measure(&p, "mul_mat", run_mul_mat, budget_ms);
    measure(&p, "vec_dot", run_vec_dot, budget_ms);
    ggml_free(p.context);
    free(p.plan.work_data);
    free(p.graphs);
    free(p.quantised);
    free(p.expected);
    free(p.y);
    free(p.x);
    free(p.weights);
}

int main(int count, char **words) {
    if (count < 4) die("usage: ggml_matvec BUDGET_MS MEMORY_BYTES OUTPUTSxINPUTS...");
    double budget_ms = atof(words[1]), memory_bytes = atof(words[2]);
    ggml_time_init();
    ggml_cpu_init();
    for (int i = 3; i < count; i++) {
        long long outputs = 0, inputs = 0;
        /* Blocks of these types hold 256 weights. */
        if (sscanf(words[i], "%lldx%lld", &outputs, &inputs) != 2 || outputs < 1 || inputs < 256 || inputs % 256) die("a shape is OUTPUTSxINPUTS, inputs a multiple of 256");
        shape(GGML_TYPE_TQ2_0, outputs, inputs, budget_ms, memory_bytes);
        shape(GGML_TYPE_TQ1_0, outputs, inputs, budget_ms, memory_bytes);
    }
    return 0;
}
