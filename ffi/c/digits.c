/*
 * Classifies handwritten digits with libternrt.
 *
 *   digits MODEL.tern IMAGES.bin LABELS.bin [THREADS]
 *
 * IMAGES.bin holds 64 bytes an image, 8 rows of 8 pixels from 0 to 16;
 * LABELS.bin a digit a byte. Prints some images with what they were taken for,
 * then the accuracy. Exits with 0 if all ran, and with 1 and a line on standard
 * error otherwise. ffi/README.md says how to compile it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ternrt.h"

enum { PIXELS = 64, DIGITS = 10, SHOWN = 3 };

static int failed(const char *what, ternrt_status status) {
  fprintf(stderr, "%s: %s (error 0x%03x)\n", what, ternrt_error_text(status), (unsigned)status);
  return 1;
}

/* The whole file, to be freed; NULL after a message. */
static unsigned char *read_file(const char *path, size_t *len) {
  unsigned char *bytes = NULL;
  long end;
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (end = ftell(file)) < 0) {
    perror(path);
  } else {
    rewind(file);
    *len = (size_t)end;
    bytes = malloc(*len + 1);
    if (bytes == NULL || fread(bytes, 1, *len, file) != *len) {
      fprintf(stderr, "%s: cannot be read\n", path);
      free(bytes);
      bytes = NULL;
    }
  }
  if (file != NULL) {
    fclose(file);
  }
  return bytes;
}

/* Whether the model takes an image and gives a score for each digit. */
static int check_model(const ternrt_model *model) {
  ternrt_tensor_info in, out;
  ternrt_status status;
  if ((status = ternrt_input_info(model, 0, 0, &in)) != TERNRT_STATUS_OK) {
    return failed("input 0", status);
  }
  if ((status = ternrt_output_info(model, 0, 0, &out)) != TERNRT_STATUS_OK) {
    return failed("output 0", status);
  }
  printf("input %s, %zu bytes; output %s, %zu bytes\n", in.name, in.len, out.name, out.len);
  if (in.dtype != TERNRT_DTYPE_F32 || in.len != PIXELS * sizeof(float) ||
      out.dtype != TERNRT_DTYPE_F32 || out.len != DIGITS * sizeof(float)) {
    fprintf(stderr, "the model is no classifier of 8x8 digits\n");
    return 1;
  }
  return 0;
}

static void show(const unsigned char *image) {
  int row, column;
  for (row = 0; row < 8; row++) {
    for (column = 0; column < 8; column++) {
      putchar(" .:-=+*#%@"[image[8 * row + column] * 9 / 16]);
    }
    putchar('\n');
  }
}

/* Runs one image; the digit, or -1 after a message. */
static int classify(ternrt_session *session, const unsigned char *image) {
  void *input;
  const void *output;
  const float *scores;
  size_t len;
  ternrt_status status;
  int i, best = 0;

  if ((status = ternrt_input(session, 0, 0, &input, &len)) != TERNRT_STATUS_OK) {
    failed("input 0", status);
    return -1;
  }
  for (i = 0; i < PIXELS; i++) {
    ((float *)input)[i] = (float)image[i] / 16.0f;
  }
  if ((status = ternrt_run(session, 0)) != TERNRT_STATUS_OK ||
      (status = ternrt_output(session, 0, 0, &output, &len)) != TERNRT_STATUS_OK) {
    failed("run", status);
    return -1;
  }
  scores = output;
  for (i = 1; i < DIGITS; i++) {
    if (scores[i] > scores[best]) {
      best = i;
    }
  }
  return best;
}

static int classify_all(ternrt_session *session, const unsigned char *images,
                        const unsigned char *labels, size_t count) {
  size_t i, right = 0;
  for (i = 0; i < count; i++) {
    const unsigned char *image = images + PIXELS * i;
    int digit = classify(session, image);
    if (digit < 0) {
      return 1;
    }
    if (i < SHOWN) {
      show(image);
      printf("taken for %d, is %d\n", digit, labels[i]);
    }
    right += digit == labels[i];
  }
  printf("%zu of %zu digits right (%.2f%%)\n", right, count, 100.0 * (double)right / (double)count);
  return 0;
}

int main(int argc, char **argv) {
  ternrt_model *model = NULL;
  ternrt_session *session = NULL;
  unsigned char *images = NULL, *labels = NULL;
  void *arena = NULL;
  size_t images_len = 0, count = 0, arena_len, threads;
  ternrt_status status;
  int result = 1;

  if (argc < 4) {
    fprintf(stderr, "usage: digits MODEL.tern IMAGES.bin LABELS.bin [THREADS]\n");
    return 1;
  }
  threads = argc > 4 ? strtoul(argv[4], NULL, 10) : 1;
  printf("ternrt %s\n", ternrt_version());

  images = read_file(argv[2], &images_len);
  labels = read_file(argv[3], &count);
  if (images == NULL || labels == NULL) {
    goto end;
  }
  if (images_len != count * PIXELS) {
    fprintf(stderr, "%s does not hold %zu images\n", argv[2], count);
    goto end;
  }
  if ((status = ternrt_model_open(argv[1], &model)) != TERNRT_STATUS_OK) {
    failed(argv[1], status);
    goto end;
  }
  if (check_model(model) != 0) {
    goto end;
  }
  arena_len = ternrt_arena_len(model, threads);
  arena = malloc(arena_len);
  if (arena == NULL) {
    fprintf(stderr, "no memory for an arena of %zu bytes\n", arena_len);
    goto end;
  }
  printf("arena %zu bytes\n", arena_len);

  /* An arena that is too small is an error like any other. */
  status = ternrt_session_new(model, arena, 16, threads, &session);
  if (status != TERNRT_STATUS_ARENA_TOO_SMALL) {
    fprintf(stderr, "an arena of 16 bytes was not refused\n");
    goto end;
  }
  printf("with 16 bytes: %s\n", ternrt_error_text(status));

  if ((status = ternrt_session_new(model, arena, arena_len, threads, &session)) !=
      TERNRT_STATUS_OK) {
    failed("session", status);
    goto end;
  }
  result = classify_all(session, images, labels, count);

end:
  ternrt_session_free(session);
  free(arena);
  ternrt_model_free(model);
  free(labels);
  free(images);
  return result;
}
