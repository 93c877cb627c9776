/*
 * libternrt: runs .tern files (ternary neural networks) from C and C++.
 *
 *   ternrt_model *model;
 *   ternrt_session *session;
 *   void *input;
 *   const void *output;
 *   size_t arena_len, input_len, output_len;
 *
 *   ternrt_model_open("model.tern", &model);
 *   arena_len = ternrt_arena_len(model, 1);
 *   ternrt_session_new(model, malloc(arena_len), arena_len, 1, &session);
 *   ternrt_input(session, 0, 0, &input, &input_len);
 *   ... write input_len bytes to input ...
 *   ternrt_run(session, 0);
 *   ternrt_output(session, 0, 0, &output, &output_len);
 *
 * Functions that can fail return a ternrt_status: 0 (TERNRT_STATUS_OK) or the
 * number of an error, which ternrt_error_text() puts into words. Where one
 * fails, it writes nothing through its pointers. A null pointer where one must
 * not be is an error, never a crash; that a pointer is neither null nor valid,
 * or a handle was freed before, cannot be told.
 *
 * A model may be used by several threads at a time; a session by one.
 */


#ifndef TERNRT_H
#define TERNRT_H

/* Generated from ffi/src by cbindgen; `TERN_BLESS=1 cargo test -p ternrt-ffi` writes it anew. */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/**
 * Most dimensions of a tensor.
 */
#define TERNRT_MAX_RANK 6

/**
 * The result of a call: 0, or the number of an error.
 */
enum ternrt_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * It worked.
   */
  TERNRT_STATUS_OK = 0,
  /**
   * 0x101: not a .tern file: the magic number is missing.
   */
  TERNRT_STATUS_NOT_TERN = 257,
  /**
   * 0x102: the file's format version is not known to this runtime: update the runtime or compile the model again.
   */
  TERNRT_STATUS_VERSION = 258,
  /**
   * 0x103: the file is truncated or its stated length is wrong.
   */
  TERNRT_STATUS_TRUNCATED = 259,
  /**
   * 0x104: the file is damaged: its checksum does not match.
   */
  TERNRT_STATUS_CHECKSUM = 260,
  /**
   * 0x105: the file refers to something outside of its bounds.
   */
  TERNRT_STATUS_BOUNDS = 261,
  /**
   * 0x106: the file holds a value that the format does not allow.
   */
  TERNRT_STATUS_MALFORMED = 262,
  /**
   * 0x107: the file uses a feature that this runtime does not have.
   */
  TERNRT_STATUS_UNSUPPORTED = 263,
  /**
   * 0x108: the model's bytes must start at an address that is a multiple of 8.
   */
  TERNRT_STATUS_MISALIGNED = 264,
  /**
   * 0x201: the arena is smaller than the model needs: ask arena_len.
   */
  TERNRT_STATUS_ARENA_TOO_SMALL = 513,
  /**
   * 0x202: the buffer's length is not the tensor's.
   */
  TERNRT_STATUS_LENGTH = 514,
  /**
   * 0x203: there is no input, output or entry point of that index or name.
   */
  TERNRT_STATUS_NO_SUCH_TENSOR = 515,
  /**
   * 0x204: the tensor has another dtype.
   */
  TERNRT_STATUS_DTYPE_MISMATCH = 516,
  /**
   * 0x301: the file uses an op that this runtime does not know.
   */
  TERNRT_STATUS_UNKNOWN_OP = 769,
  /**
   * 0x302: an op's shapes, dtypes or attributes do not fit together.
   */
  TERNRT_STATUS_BAD_OP = 770,
  /**
   * 0x303: two operands of an op share memory.
   */
  TERNRT_STATUS_OVERLAP = 771,
  /**
   * 0x304: an op met a value that it cannot work with, such as an index out of range.
   */
  TERNRT_STATUS_BAD_VALUE = 772,
  /**
   * 0x401: the backend is not available.
   */
  TERNRT_STATUS_NO_BACKEND = 1025,
  /**
   * 0x501: a pointer is null, or not aligned, where it must not be.
   */
  TERNRT_STATUS_NULL_POINTER = 1281,
  /**
   * 0x502: a string is not UTF-8.
   */
  TERNRT_STATUS_NOT_UTF8 = 1282,
  /**
   * 0x503: the file cannot be opened or mapped.
   */
  TERNRT_STATUS_IO = 1283,
  /**
   * 0x504: the operating system refuses to start threads.
   */
  TERNRT_STATUS_THREADS = 1284,
  /**
   * 0x505: the model has no metadata of that key.
   */
  TERNRT_STATUS_NO_SUCH_KEY = 1285,
  /**
   * 0x506: the environment variable TERNRT_CAPS names instruction sets that do not exist.
   */
  TERNRT_STATUS_CAPS = 1286,
  /**
   * 0x5FF: a defect of this library. The call had no other effect.
   */
  TERNRT_STATUS_INTERNAL = 1535,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ternrt_status ternrt_status;
#else
typedef uint32_t ternrt_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Element type of a tensor.
 */
enum ternrt_dtype
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * 32-bit floating point.
   */
  TERNRT_DTYPE_F32 = 1,
  /**
   * 16-bit floating point.
   */
  TERNRT_DTYPE_F16 = 2,
  /**
   * Signed 8-bit integer.
   */
  TERNRT_DTYPE_I8 = 3,
  /**
   * Unsigned 8-bit integer.
   */
  TERNRT_DTYPE_U8 = 4,
  /**
   * Signed 16-bit integer.
   */
  TERNRT_DTYPE_I16 = 5,
  /**
   * Signed 32-bit integer.
   */
  TERNRT_DTYPE_I32 = 6,
  /**
   * Signed 64-bit integer.
   */
  TERNRT_DTYPE_I64 = 7,
  /**
   * One byte, 0 or 1.
   */
  TERNRT_DTYPE_BOOL = 8,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ternrt_dtype ternrt_dtype;
#else
typedef uint32_t ternrt_dtype;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A file that was checked, and can be run.
 */
typedef struct ternrt_model ternrt_model;

/**
 * A model with the memory and the threads that it runs with.
 */
typedef struct ternrt_session ternrt_session;

/**
 * Name, type and shape of an input or output.
 */
typedef struct ternrt_tensor_info {
  /**
   * The model's own name, UTF-8 with a NUL at its end. Lives as long as the model.
   */
  const char *name;
  /**
   * Element type.
   */
  ternrt_dtype dtype;
  /**
   * Number of dimensions.
   */
  uint32_t rank;
  /**
   * Dimensions, outermost first; 1 beyond the rank.
   */
  size_t dims[TERNRT_MAX_RANK];
  /**
   * Length in bytes.
   */
  size_t len;
  /**
   * Largest magnitude of an integer that stands for a real number; 0 where there is none such.
   */
  uint32_t qmax;
  /**
   * What such an integer is multiplied with; 0 where each run computes it.
   */
  float scale;
} ternrt_tensor_info;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The library's version, such as "0.1.0".
 */
const char *ternrt_version(void);

/**
 * One line of English for a status. Never null, and never to be freed.
 */
const char *ternrt_error_text(uint32_t status);

/**
 * Checks a file that lies in memory and makes a model of it. The bytes are not
 * copied: they must start at a multiple of 8, and stay where and as they are
 * until the model and all its sessions are freed.
 */
ternrt_status ternrt_model_load(const void *bytes, size_t len, struct ternrt_model **model);

/**
 * Maps a file into memory, checks it and makes a model of it. The file must
 * not be changed until the model and all its sessions are freed; replacing it
 * by another file of the same name does no harm. The path is UTF-8.
 */
ternrt_status ternrt_model_open(const char *path, struct ternrt_model **model);

/**
 * Frees a model; null is allowed. Sessions of it go on, and so must the bytes
 * that it was loaded from.
 */
void ternrt_model_free(struct ternrt_model *model);

/**
 * Number of entry points, at least 1; 0 for a null model. Entry point 0 is the
 * one to run unless there is a reason for another.
 */
size_t ternrt_entry_count(const struct ternrt_model *model);

/**
 * The number of the entry point with this name.
 */
ternrt_status ternrt_entry_index(const struct ternrt_model *model, const char *name, size_t *index);

/**
 * Number of inputs of an entry point; 0 for one that does not exist.
 */
size_t ternrt_input_count(const struct ternrt_model *model, size_t entry);

/**
 * Number of outputs of an entry point; 0 for one that does not exist.
 */
size_t ternrt_output_count(const struct ternrt_model *model, size_t entry);

/**
 * Tells of input `i` of an entry point.
 */
ternrt_status ternrt_input_info(const struct ternrt_model *model,
                                size_t entry,
                                size_t i,
                                struct ternrt_tensor_info *info);

/**
 * Tells of output `i` of an entry point.
 */
ternrt_status ternrt_output_info(const struct ternrt_model *model,
                                 size_t entry,
                                 size_t i,
                                 struct ternrt_tensor_info *info);

/**
 * The number of the input with this name.
 */
ternrt_status ternrt_input_index(const struct ternrt_model *model,
                                 size_t entry,
                                 const char *name,
                                 size_t *index);

/**
 * The number of the output with this name.
 */
ternrt_status ternrt_output_index(const struct ternrt_model *model,
                                  size_t entry,
                                  const char *name,
                                  size_t *index);

/**
 * The value of a metadata key, such as "labels" (one a line) or "licence":
 * UTF-8 without a NUL at its end, which lives as long as the model.
 */
ternrt_status ternrt_metadata(const struct ternrt_model *model,
                              const char *key,
                              const char **text,
                              size_t *len);

/**
 * Bytes of memory that a session of this model needs with so many threads (1
 * for the calling thread alone, 0 for one a processor); 0 for a null model.
 */
size_t ternrt_arena_len(const struct ternrt_model *model, size_t threads);

/**
 * Makes a session that runs in `arena`, at least `ternrt_arena_len` bytes for
 * as many threads, at any address. They belong to the session until it is
 * freed: nobody else may use them. The environment variable TERNRT_CAPS limits
 * the instruction sets, for tests.
 */
ternrt_status ternrt_session_new(const struct ternrt_model *model,
                                 void *arena,
                                 size_t arena_len,
                                 size_t threads,
                                 struct ternrt_session **session);

/**
 * Frees a session; null is allowed. The arena is the caller's again.
 */
void ternrt_session_free(struct ternrt_session *session);

/**
 * Where input `i` of an entry point lies, and its length in bytes. Write it
 * before every run: a run may overwrite inputs. The place stays the same as
 * long as the session lives.
 */
ternrt_status ternrt_input(struct ternrt_session *session,
                           size_t entry,
                           size_t i,
                           void **data,
                           size_t *len);

/**
 * Runs an entry point: computes its outputs from its inputs.
 */
ternrt_status ternrt_run(struct ternrt_session *session, size_t entry);

/**
 * Where output `i` of an entry point lies, and its length in bytes. What is
 * there is valid from a run of that entry point until the next run or the
 * writing of an input.
 */
ternrt_status ternrt_output(const struct ternrt_session *session,
                            size_t entry,
                            size_t i,
                            const void **data,
                            size_t *len);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TERNRT_H */
