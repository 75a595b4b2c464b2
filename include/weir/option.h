/* SPDX-License-Identifier: MIT */
/* option.h: what a module or a source takes, as rows of a table.
 *
 * The table gives the parser, the range checks, `--help`, modules/<name> in the tree and the man
 * page. The engine parses and checks the user's words against it and stores each value at
 * `offset` in the config struct; no module parses text by hand.
 *
 * Positional rows are taken in the order of the table; a list row (fields, exprs, args) takes
 * what is left. Model: the AVOption tables of FFmpeg.
 */
#ifndef WEIR_OPTION_H
#define WEIR_OPTION_H

#include <weir/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

enum weir_option_type {
	WEIR_OPT_END,
	WEIR_OPT_FLAG,     /* bool: given or not */
	WEIR_OPT_U64,      /* uint64_t, min..max */
	WEIR_OPT_F64,      /* double, min..max */
	WEIR_OPT_SIZE,     /* uint64_t bytes: 64MB, 1GB (powers of 1024: KiB MiB too), min..max */
	WEIR_OPT_DURATION, /* int64_t nanoseconds: 10s 5m 250ms, min..max in seconds */
	WEIR_OPT_NAME,     /* const char *: an identifier, for a field to add */
	WEIR_OPT_STRING,   /* const char *: a quoted string or one word */
	WEIR_OPT_FILE,  /* const char *: a path, '-' or a quoted string; may hold glob characters */
	WEIR_OPT_FILES, /* struct weir_words: several of them, all that is left */
	WEIR_OPT_CHOICE, /* uint32_t: index into `choices` */
	WEIR_OPT_FIELD,  /* uint32_t: index of an input field (conversions allowed) */
	WEIR_OPT_FIELDS, /* struct weir_fields: all fields that are left */
	WEIR_OPT_EXPR,   /* struct weir_expr *: NULL where it is not given */
	WEIR_OPT_ARGS,   /* struct weir_args: anything; the module looks at the pieces */
	WEIR_OPT_BLOCK,  /* struct weir_blocks: "( stages )", at most `max` of them (0: one) */
};

enum {
	WEIR_OPT_POSITIONAL = 1, /* by place, not by -x */
	WEIR_OPT_REQUIRED = 2,   /* a list needs at least one */
	WEIR_OPT_CONDITION = 4,  /* EXPR, ARGS: each is true or false; a field that is not bool is
	                          * true where it is there. In ARGS only `expr` is set then */
	WEIR_OPT_ASIDE = 8,      /* BLOCK: what the stages leave goes nowhere */
	WEIR_OPT_CREATE = 16,    /* FILE: will be created; refused where that certainly fails */
};

struct weir_option {
	enum weir_option_type type;
	const char *name; /* long name: --name; for positional rows what messages call it */
	char letter;      /* -x, or 0 */
	uint32_t flags;
	size_t offset;              /* in the config struct */
	double min, max;            /* both 0: no bound */
	const char *preset;         /* text of the default, parsed like the user's; NULL: zero */
	const char *const *choices; /* WEIR_OPT_CHOICE: ends with NULL */
	const char *arg;            /* what the value is called in help: "N", "NAME" */
	const char *doc;            /* one sentence, lower case, no full stop */
};

#define WEIR_OPTIONS_END                                                                           \
	{                                                                                          \
		.type = WEIR_OPT_END                                                               \
	}

struct weir_fields {
	uint32_t n;
	const uint32_t *index; /* into the input schema */
};

struct weir_words {
	uint32_t n;
	const char *const *word;
};

/* Stages in parentheses that a module has for itself: outputs `first` … `first` + n - 1, see
 * weir_emit(), or children of a WEIR_SCOPE module, see weir_body_open(). They are numbered from 1
 * through all rows of the table; 0 is what stands behind the module. */
struct weir_blocks {
	uint32_t n, first;
};

struct weir_expr;

/* One piece of an WEIR_OPT_ARGS row. Exactly one of these holds:
 *   call  a call NAME(args…) whose name is no expression function: `call`, `nargs`, `args`
 *   expr  anything that could be bound as an expression; `field` too where it is a plain field
 *   word  a bare name that is no field of the input */
struct weir_arg {
	uint32_t pos, len; /* in the spec, for weir_fail() */
	const char *text;  /* as written */
	const char *as;    /* "… as NAME", or NULL */
	const char *call;
	const char *word;
	struct weir_expr *expr;
	int32_t field; /* -1 where it is not one plain field */
	uint32_t nargs;
	struct weir_arg *args;
};

struct weir_args {
	uint32_t n;
	struct weir_arg *arg;
};

#ifdef __cplusplus
}
#endif
#endif
