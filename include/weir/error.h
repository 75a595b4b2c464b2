/* SPDX-License-Identifier: MIT */
/* error.h: what went wrong, and where in the text that the user wrote.
 *
 * Every function that can fail returns 0 (or a count) or a negative errno. What a user wrote
 * wrong also carries an id from the one catalogue below, a text, and the byte range in the spec
 * at which a caret stands. `struct weir_err *` is always the last argument, may be NULL, and is
 * untouched on success. The first error wins: weir_fail() on a filled struct changes nothing.
 *
 * Model: the error log of Linux tracefs (kernel/trace/trace.h, tracing_log_err).
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(id, errno, text): the catalogue. The text is a printf format; lower case, no full stop, the
 * problem first, the subject in 'quotes'. Each row has a case under tests/errors/. */
#define WEIR_ERRORS(X)                                                                             \
	/* text and syntax */                                                                      \
	X(SPEC_EMPTY, EINVAL, "empty query")                                                       \
	X(SPEC_TOO_LONG, EFBIG, "spec is longer than %s")                                          \
	X(NOT_UTF8, EINVAL, "not UTF-8 text")                                                      \
	X(BAD_CHARACTER, EINVAL, "unexpected character '%s'")                                      \
	X(UNCLOSED_STRING, EINVAL, "string is not closed")                                         \
	X(UNCLOSED_PAREN, EINVAL, "'(' is not closed")                                             \
	X(TOO_DEEP, EINVAL, "nested deeper than %s levels")                                        \
	X(UNEXPECTED, EINVAL, "unexpected '%s', expected %s")                                      \
	X(UNEXPECTED_END, EINVAL, "the query ends here, expected %s")                              \
	X(BAD_NUMBER, EINVAL, "bad number '%s'")                                                   \
	X(BAD_UNIT, EINVAL, "unknown unit in '%s'")                                                \
	X(BAD_NAME, EINVAL, "bad name '%s' (letters, digits, '_', '-' and '.', at most 64)")       \
	X(BAD_ADDRESS, EINVAL, "bad address '%s'")                                                 \
	X(BAD_TIME, EINVAL, "bad time '%s'")                                                       \
	X(UNKNOWN_FRONT_END, EINVAL, "unknown language '%s'")                                      \
	/* names */                                                                                \
	X(UNKNOWN_MODULE, EINVAL, "unknown module '%s'%s")                                         \
	X(UNKNOWN_FIELD, EINVAL, "unknown field '%s'%s")                                           \
	X(UNKNOWN_SOURCE, ENOENT, "unknown source '%s'%s")                                         \
	X(UNKNOWN_OPTION, EINVAL, "'%s' has no option '%s'%s")                                     \
	X(UNKNOWN_SETTING, EINVAL, "unknown setting '%s'%s")                                       \
	X(UNKNOWN_FUNCTION, EINVAL, "unknown function '%s'%s")                                     \
	X(UNKNOWN_CONVERSION, EINVAL, "%s has no conversion '%s'%s")                               \
	X(UNKNOWN_COMMAND, EINVAL, "unknown command '%s'%s")                                       \
	X(NAME_TAKEN, EEXIST, "the name '%s' is taken")                                            \
	X(DEFINED_TWICE, EINVAL, "'%s' is defined twice")                                          \
	X(TOO_MANY_DEFINITIONS, EINVAL, "more than %s definitions")                                \
	X(RECURSIVE, EINVAL, "'%s' is defined by itself")                                          \
	X(RESERVED_NAME, EINVAL, "'%s' is a reserved name")                                        \
	/* arguments */                                                                            \
	X(OPTION_NEEDS_VALUE, EINVAL, "option '%s' needs a value")                                 \
	X(OPTION_TWICE, EINVAL, "option '%s' is given twice")                                      \
	X(OPTION_CONFLICT, EINVAL, "option '%s' does not go with '%s'")                            \
	X(OUT_OF_RANGE, EINVAL, "%s is out of range (%s)")                                         \
	X(MISSING_ARGUMENT, EINVAL, "'%s' needs %s")                                               \
	X(TOO_MANY_ARGUMENTS, EINVAL, "'%s' takes %s")                                             \
	X(BAD_VALUE, EINVAL, "bad value '%s' for '%s', expected %s")                               \
	X(BAD_REGEX, EINVAL, "bad regular expression: %s")                                         \
	X(BAD_BPF, EINVAL, "bad BPF expression: %s")                                               \
	/* kinds */                                                                                \
	X(KIND_MISMATCH, EINVAL, "'%s' needs %s, but %s is %s")                                    \
	X(COMPARE_KINDS, EINVAL, "cannot compare %s with %s")                                      \
	X(OPERATE_KINDS, EINVAL, "cannot apply '%s' to %s and %s")                                 \
	X(NOT_BOOLEAN, EINVAL, "a condition must be true or false, but this is %s")                \
	X(NO_PACKETS, EINVAL, "'%s' needs packets, but the records here have no 'packet'")         \
	/* places */                                                                               \
	X(NEEDS_SOURCE, EINVAL, "'%s' is a source, it can only stand first")                       \
	X(NOT_A_SOURCE, EINVAL, "'%s' is no source, it needs records from something before it")    \
	X(EFFECT_IN_INSTANCES, EINVAL,                                                             \
	        "'%s' cannot stand in '%s', whose instances would each do it anew")                \
	X(NO_VERSIONS, EINVAL,                                                                     \
	        "'set keep' is for tables, and this result is a log that only grows")              \
	X(WINDOW_AFTER_TABLE, EINVAL, "'%s' needs records in time order, not those of '%s'")       \
	/* rights, limits, system */                                                               \
	X(NOT_PERMITTED, EPERM, "not permitted: %s")                                               \
	X(CANNOT_OPEN, EACCES, "cannot open '%s': %s")                                             \
	X(TOO_MANY_QUERIES, EDQUOT, "more than %s queries")                                        \
	X(NO_MEMORY, ENOMEM, "out of memory%s")                                                    \
	X(MEMORY_LIMIT, ENOMEM, "memory limit of %s reached in '%s' (raise it with 'set memory')") \
	X(SPILL_LIMIT, ENOSPC,                                                                     \
	        "'%s' needs more than %s on disk (raise the size in 'set spill', or 'set "         \
	        "memory')")                                                                        \
	X(SPILL_FAILED, EIO, "cannot keep records of '%s' on disk in '%s': %s")                    \
	X(BAD_TRACE, EIO, "%s")                                                                    \
	X(SYSTEM, EIO, "%s: %s")

enum weir_error_id {
	WEIR_E_NONE,
#define X(id, no, text) WEIR_E_##id,
	WEIR_ERRORS(X)
#undef X
	        WEIR_E_COUNT
};

#define WEIR_NOPOS UINT32_MAX

struct weir_err {
	enum weir_error_id id; /* WEIR_E_NONE: nothing went wrong yet */
	int no;                /* positive errno */
	uint32_t pos, len;     /* byte range in the spec; pos is WEIR_NOPOS where there is none */
	char text[400];        /* one line, truncated on a character boundary */
};

#define WEIR_ERR_INIT                                                                              \
	{                                                                                          \
		.id = WEIR_E_NONE, .pos = WEIR_NOPOS                                               \
	}

/* Fills *err from the catalogue row `id`, whose format takes the arguments, all `const char *`;
 * returns the row's negative errno. `pos`, `len`: the byte range at fault, or WEIR_NOPOS, 0. */
int weir_fail(struct weir_err *err, enum weir_error_id id, uint32_t pos, uint32_t len, ...);

/* The same with another errno than the row's (a failed open keeps the system's reason). */
int weir_fail_no(
        struct weir_err *err, int no, enum weir_error_id id, uint32_t pos, uint32_t len, ...);

/* The catalogue row's name ("UNKNOWN_FIELD") and text, for documentation and tests. */
const char *weir_error_name(enum weir_error_id id);
const char *weir_error_text(enum weir_error_id id);

/* " (did you mean 'x'?)" for the candidate nearest to `word` by edit distance, or where none is
 * near one that ends with '.' and the word, or "". `next(arg, i)` gives the i-th candidate, NULL
 * after the last; it is asked for i = 0, 1, … up to 999, once for each. Written into buf (at most
 * `size` bytes, always terminated), which is returned. */
const char *weir_did_you_mean(const char *word, size_t len, const char *(*next)(void *, size_t),
        void *arg, char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
