/* SPDX-License-Identifier: MIT */
/* parse.h: what the files of the pipe language's parser share.
 *
 * A re-entrant recursive descent over the text itself. There is no token stream: how a word is
 * read depends on where it stands (a file name, a field, a duration), and that depends on the
 * option table of the module whose argument it is.
 *
 * Invariants: text[len] == 0; at <= end <= len; every function below returns 0 or -errno with
 * *err filled, and leaves `at` behind what it read. Recursion is bounded by NEST_MAX.
 *
 * White space separates and means nothing else, but for two line rules: a string does not reach
 * over the end of its line, and a definition ends with its line unless the line is visibly
 * continued (see pipe.c). Comments: '#' to the end of the line wherever a token could begin (not
 * within a word or a string); '%' likewise, but only as the first thing on a line, for elsewhere
 * it is the modulo operator.
 */
#ifndef LANG_PARSE_H
#define LANG_PARSE_H

#include "engine/lang/ast.h"

enum lang_plus {
	PLUS_SUM,    /* '+' adds */
	PLUS_STAGE,  /* within "( a + b )": '+' before something that begins a stage ends the branch
	              */
	PLUS_BRANCH, /* the same, and nothing here can be added: '+' always ends the branch */
};

struct parse {
	const char *text;
	uint32_t at, end, len;
	uint32_t last;    /* end of the last token read */
	uint32_t skipped; /* where the last lex_blank() ended */
	uint32_t depth;   /* open parentheses and prefix operators */
	bool open;        /* the error is that the text ends: more text could heal it */
	bool dash;        /* " -x" is an option, not a subtraction */
	bool branch;      /* within "( a + b )" */
	enum lang_plus plus;
	struct arena *arena;
	struct weir_err *err;
	struct ast_spec *spec;
	struct ast_definition *last_definition;
	struct ast_setting **next_setting;
};

/* ---- lex.c ---- */

static inline unsigned char lex_peek(const struct parse *p, uint32_t k)
{
	return p->at + k < p->end ? (unsigned char)p->text[p->at + k] : 0;
}

static inline bool lex_is_blank(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool lex_is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static inline bool lex_is_letter(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static inline bool lex_is_hex(unsigned char c)
{
	return lex_is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

static inline bool lex_is_alnum(unsigned char c)
{
	return lex_is_digit(c) || lex_is_letter(c);
}

/* Skips white space and comments. */
void lex_blank(struct parse *p);
static inline bool lex_at_end(const struct parse *p)
{
	return p->at >= p->end;
}

/* Length of the name (letters, digits, '_', '-', '.') at p->at; of the dotted field name there
 * (no '-', parts begin with a letter or '_'); of the raw word there (up to white space or one of
 * | ; ( ) , and quotes). */
uint32_t lex_name(const struct parse *p);
uint32_t lex_field(const struct parse *p);
uint32_t lex_word(const struct parse *p);

/* Whether the keyword `word` stands at p->at (in any case of letters, and no longer word). */
bool lex_keyword(const struct parse *p, const char *word);
/* Whether one of the words that end a stage's arguments stands here: where from until having. */
bool lex_clause(const struct parse *p);
/* Whether s[0..len) is a word that no field, definition or query can have for its name. */
bool lex_reserved(const char *s, uint32_t len);

/* Reads the string at p->at, which is a quote. "…" resolves \n \r \t \0 \\ \" \' \xHH and leaves
 * other backslashes alone (regular expressions); '…' is taken as it stands. */
int lex_string(struct parse *p, const char **ret, uint32_t *ret_len);

/* A terminated copy of text[pos, pos + len); NULL and NO_MEMORY where there is no memory. */
const char *lex_copy(struct parse *p, uint32_t pos, uint32_t len);
/* Zeroed memory of the arena; NULL and NO_MEMORY. */
void *lex_alloc(struct parse *p, size_t size);
/* Room for one more in an array of n elements that only this function grows; NULL likewise. */
void *lex_more(struct parse *p, void *array, uint32_t n, size_t size);

/* Fails with `id` at text[pos, pos + len), whose (shortened) text is the first argument. */
int lex_fail_at(struct parse *p, enum weir_error_id id, uint32_t pos, uint32_t len);
/* Fails for what stands at p->at: BAD_CHARACTER, UNEXPECTED or UNEXPECTED_END. */
int lex_unexpected(struct parse *p, const char *expected);
/* Fails for a '(' at `pos` that is not closed where the text ends, else as lex_unexpected(). */
int lex_unclosed(struct parse *p, uint32_t pos, const char *expected);

/* One level deeper; TOO_DEEP at p->at. Every success is undone by p->depth--. */
int lex_deeper(struct parse *p);

/* ---- literal.c ---- */

/* Whether a literal (number, address, time) begins at p->at. */
bool literal_begins(const struct parse *p);
int literal_parse(struct parse *p, struct ast *to);

/* ---- expression.c ---- */

int expr_parse(struct parse *p, struct ast **ret);
/* An expression and its "as NAME". */
int expr_parse_as(struct parse *p, struct ast **ret);

/* ---- args.c ---- */

/* The arguments of a stage that is already named; reads "(args)" where `(` stands at once behind
 * the name, else words up to what ends a stage. `table` NULL: anything goes. */
int args_parse(struct parse *p, struct ast_stage *s, const struct weir_option *table);

/* ---- definition.c ---- */

/* Adds one to p->spec, whose name is new there. */
int definition_add(struct parse *p, struct ast_definition *d);

/* ---- pipe.c ---- */

/* Whether a '+' at p->at ends a branch of "( a + b )". */
bool pipe_plus_ends(const struct parse *p);
/* The "( a + b )" at p->at, as an AST_BRANCHES. */
int pipe_block(struct parse *p, struct ast_stage **ret);
int pipe_parse(struct parse *p);

/* ---- front ends ---- */

/* A language: what "#!NAME" on the first line picks. A file in engine/lang/ defines one and adds
 * itself to the table by LANG_FRONT_END, so that nothing else is touched. */
struct lang_front_end {
	const char *name;
	/* Whether text[from..) is unmistakably this language, without "#!NAME"; may be NULL. */
	bool (*claims)(const char *text, size_t len, size_t from);
	/* p->text, len, at (behind a byte order mark), arena, err and spec are set. */
	int (*parse)(struct parse *p);
};

/* The table is an array of pointers in a section of its own, which the linker collects. */
#define LANG_FRONT_END(id)                                                                         \
	static const struct lang_front_end *const lang_front_end_##id                              \
	        __attribute__((section("lang_front_ends"), used, aligned(sizeof(void *)))) =       \
	                &(const struct lang_front_end)

#endif
