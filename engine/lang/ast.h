/* SPDX-License-Identifier: MIT */
/* ast.h: what a front end makes of a spec; the planner takes it from here.
 *
 * All nodes live in the arena given to the parser and carry their byte range in the spec.
 * Strings are terminated copies in that arena.
 */
#ifndef AST_H
#define AST_H

#include "engine/core/arena.h"
#include "engine/core/registry.h"

enum ast_type {
	AST_NAME,    /* text: a (dotted) name: a field, or a literal where it is no field */
	AST_LITERAL, /* value */
	AST_STRING,  /* text, text_len: quoted, escapes resolved; a literal of the other side's kind
	              */
	AST_UNARY,   /* op, kid[0]: AST_OP_NOT, AST_OP_NEG */
	AST_BINARY,  /* op, kid[0], kid[1] */
	AST_IN,      /* kid[0] in (kid[1] … ) or in SUBNET: kids 1.. are the list */
	AST_CALL,    /* text(kids…) */
};

enum ast_op {
	AST_OP_OR,
	AST_OP_AND,
	AST_OP_NOT,
	AST_OP_EQ,
	AST_OP_NE,
	AST_OP_LT,
	AST_OP_LE,
	AST_OP_GT,
	AST_OP_GE,
	AST_OP_LIKE,  /* SQL pattern, % and _ */
	AST_OP_MATCH, /* ~ regular expression (PCRE2) */
	AST_OP_ADD,
	AST_OP_SUB,
	AST_OP_MUL,
	AST_OP_DIV,
	AST_OP_MOD,
	AST_OP_NEG,
};

struct ast {
	enum ast_type type;
	enum ast_op op;
	uint32_t pos, len;
	const char
	        *text; /* AST_NAME, AST_STRING, AST_CALL; AST_LITERAL, and arguments: as written */
	uint32_t text_len;
	struct weir_value value; /* AST_LITERAL: u64 i64 f64 duration ip subnet mac time bool */
	const char *as;          /* "… as NAME" behind it, or NULL */
	uint32_t depth;          /* levels of nodes, this one included; at most NEST_MAX */
	uint32_t nkids;
	struct ast **kids;
};

struct ast_stage;

/* One argument of a stage, already matched with a row of the module's option table. */
struct ast_arg {
	const struct weir_option *option; /* NULL in a stage whose name is not known */
	uint32_t pos, len;                /* of the value; of the option word for a flag */
	uint32_t name_pos, name_len;      /* of "-f"; name_len 0: positional */
	const char *word; /* NAME STRING FILE(S) CHOICE U64 F64 SIZE DURATION rows */
	uint32_t word_len;
	struct ast *expr;        /* FIELD(S) EXPR ARGS rows */
	struct ast_stage *block; /* BLOCK rows: AST_BRANCHES */
};

enum ast_stage_type {
	AST_MODULE, /* module, args, where */
	AST_SOURCE, /* source, args, where */
	AST_REF,    /* name: a source of the mount, `packets`, `flows`, a definition; or unknown */
	AST_WHERE,  /* where */
	AST_BRANCHES, /* branches: to all, results united */
};

struct ast_stage {
	enum ast_stage_type type;
	uint32_t pos, len;           /* the whole stage */
	uint32_t name_pos, name_len; /* its name */
	const char *name;
	const struct weir_module *module;
	const struct weir_source *source;
	uint32_t nargs;
	struct ast_arg *args;
	struct ast *where; /* NULL: none */
	uint32_t nbranches;
	struct ast_pipe **branches;
	struct ast_stage *next;
};

/* Stages in their order; in a query or as a branch of a source "( a + b )" the first is a source.
 */
struct ast_pipe {
	uint32_t pos, len;
	struct ast_stage *first;
};

struct ast_setting {
	uint32_t pos, len, value_pos, value_len; /* pos, len: of the key */
	const char *key, *value;
	const char *size; /* of `spill`, whose value is a folder; else NULL */
	uint32_t size_pos, size_len;
	struct ast_setting *next;
};

struct ast_definition {
	uint32_t pos, len; /* of the name */
	const char *name;
	struct ast_pipe *pipe;
	struct ast_definition *next, *same; /* same: of those that ast_definition() looks through */
};

struct ast_spec {
	const char *text; /* the spec, terminated */
	uint32_t text_len;
	const char *name; /* or NULL */
	uint32_t name_pos, name_len;
	struct ast_setting *settings;
	struct ast_definition *definitions;
	struct ast_definition **buckets; /* the same by name, see ast_definition(); NULL: none */
	uint32_t ndefinitions;
	uint32_t nqueries;
	struct ast_pipe **queries;
};

#define SPEC_MAX (1u << 20) /* bytes */
#define NEST_MAX 200        /* parentheses and operators */
#define DEFINITIONS_MAX 10000

/* The definition of that name, or NULL. */
const struct ast_definition *ast_definition(
        const struct ast_spec *spec, const char *name, size_t len);

/* Parses the pipe language (and picks another front end by a first line "#!NAME"). 0 and *ret,
 * or -errno and *err with a place. */
int lang_parse(
        const char *text, size_t len, struct arena *a, struct ast_spec **ret, struct weir_err *err);

/* Whether the complete lines in text[0..len) are already certain to be wrong, whatever may
 * follow: -errno and *err then, else 0. For the write to queries/new. */
int lang_certain(const char *text, size_t len, struct weir_err *err);

/* Writes what weir_did_you_mean() finds for the name of a stage. */
void lang_stage_like(const struct ast_spec *spec, const char *name, char *hint, size_t size);

struct text;
/* "NAME: message\n  line of the spec\n      ^\n": what queries/errors shows. */
void lang_explain(struct text *to, const char *name, const char *spec, size_t len,
        const struct weir_err *err);

/* Whether s[0..len) can name a query, a source or a definition. */
bool lang_is_name(const char *s, size_t len);

#endif
