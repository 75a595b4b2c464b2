/* SPDX-License-Identifier: MIT */
/* args.c: a stage's arguments, read as the option table of its module says.
 *
 * Rows for words (numbers, names, files …) read a raw word or a string; rows for fields and
 * expressions read expressions, side by side or separated by commas. "-x", "--long value" and
 * "--long=value" stand anywhere among them, but not inside parentheses: a blank, a comma or the
 * call's '(' is before the dash, and a letter or a second dash directly behind it.
 *
 * An optional positional number or choice that is followed by other positional rows is passed
 * over where the word there cannot be one ("derivative ts" of "derivative [PERIOD] FIELD").
 *
 * A '(' that stands where an argument could, outside a call, begins a block of stages if the module
 * takes one by place; "--else ( … )" one of an option. Behind a call's ')' only blocks follow.
 */
#include "engine/lang/parse.h"

#include <stdio.h>

struct args {
	struct parse *p;
	struct ast_stage *s;
	const struct weir_option *table; /* NULL: anything goes */
	const struct weir_option *next;  /* the next positional row */
	bool call;                       /* within "(…)" */
	bool comma;                      /* the last thing read was a comma */
};

static const struct weir_option *positional(const struct weir_option *o)
{
	while (o && o->type != WEIR_OPT_END &&
	        (!(o->flags & WEIR_OPT_POSITIONAL) || o->type == WEIR_OPT_BLOCK))
		o++;
	return o && o->type != WEIR_OPT_END ? o : NULL;
}

static bool is_list(enum weir_option_type t)
{
	return t == WEIR_OPT_FILES || t == WEIR_OPT_FIELDS || t == WEIR_OPT_ARGS;
}

static bool is_expression(enum weir_option_type t)
{
	return t == WEIR_OPT_FIELD || t == WEIR_OPT_FIELDS || t == WEIR_OPT_EXPR ||
	       t == WEIR_OPT_ARGS;
}

static bool dash_begins(const struct parse *p)
{
	return lex_peek(p, 0) == '-' &&
	       (lex_is_letter(lex_peek(p, 1)) ||
	               (lex_peek(p, 1) == '-' && lex_is_letter(lex_peek(p, 2))));
}

static bool at_end(const struct args *a)
{
	const struct parse *p = a->p;
	unsigned char c = lex_peek(p, 0);

	if (lex_at_end(p) || c == '|' || c == ';' || c == ')')
		return true;
	if (a->call)
		return false;
	return (c == '+' && p->branch) || lex_clause(p);
}

static struct ast_arg *add(struct args *a, const struct weir_option *o)
{
	struct ast_stage *s = a->s;
	struct ast_arg *args = lex_more(a->p, s->args, s->nargs, sizeof *args);

	if (!args)
		return NULL;
	s->args = args;
	memset(&args[s->nargs], 0, sizeof *args);
	args[s->nargs].option = o;
	args[s->nargs].pos = a->p->at;
	return &args[s->nargs++];
}

/* Length of the raw word at p->at; a lone '+' that parts branches is none. */
static uint32_t word(const struct parse *p)
{
	uint32_t n = lex_word(p);

	return n == 1 && p->branch && lex_peek(p, 0) == '+' ? 0 : n;
}

static int read_word(struct args *a, struct ast_arg *arg)
{
	struct parse *p = a->p;
	unsigned char c = lex_peek(p, 0);
	uint32_t n = word(p);
	int rc = 0;

	arg->pos = p->at;
	if (c == '"' || c == '\'') {
		rc = lex_string(p, &arg->word, &arg->word_len);
		if (rc == 0 && memchr(arg->word, 0, arg->word_len))
			return weir_fail(
			        p->err, WEIR_E_BAD_CHARACTER, arg->pos, p->at - arg->pos, "\\0");
	} else if (n) {
		arg->word = lex_copy(p, p->at, n);
		arg->word_len = n;
		p->at += n;
		rc = arg->word ? 0 : -ENOMEM;
	} else {
		return lex_unexpected(p, "a word");
	}
	arg->len = p->at - arg->pos;
	return rc;
}

static int read_expression(struct args *a, struct ast_arg *arg)
{
	struct parse *p = a->p;
	enum weir_option_type t = arg->option->type;
	int rc;

	arg->pos = p->at;
	p->dash = true;
	if (a->call)
		p->plus = PLUS_SUM;
	else if (p->branch)
		p->plus = t == WEIR_OPT_FIELD || t == WEIR_OPT_FIELDS ? PLUS_BRANCH : PLUS_STAGE;
	rc = expr_parse_as(p, &arg->expr);
	p->dash = false;
	p->plus = p->branch ? PLUS_STAGE : PLUS_SUM;
	if (rc < 0)
		return rc;
	lex_blank(p);
	arg->len = p->last - arg->pos;
	return 0;
}

static int read_block(struct args *a, struct ast_arg *arg)
{
	struct parse *p = a->p;
	int rc;

	if (lex_peek(p, 0) != '(')
		return lex_unexpected(p, "'(' and stages");
	arg->pos = p->at;
	rc = pipe_block(p, &arg->block);
	arg->len = p->last - arg->pos;
	return rc;
}

static int read_value(struct args *a, struct ast_arg *arg)
{
	if (arg->option->type == WEIR_OPT_BLOCK)
		return read_block(a, arg);
	return is_expression(arg->option->type) ? read_expression(a, arg) : read_word(a, arg);
}

/* ---- "-x" and "--long" ---- */

static const char *option_name(void *arg, size_t i)
{
	const struct args *a = arg;

	for (const struct weir_option *o = a->table; o->type != WEIR_OPT_END; o++)
		if (!(o->flags & WEIR_OPT_POSITIONAL) && i-- == 0)
			return arena_printf(a->p->arena, "--%s", o->name);
	return NULL;
}

/* The row of the option word of `n` bytes at p->at. */
static const struct weir_option *find(const struct args *a, uint32_t n)
{
	const char *w = a->p->text + a->p->at;
	const struct weir_option *o;

	for (o = a->table; o->type != WEIR_OPT_END; o++) {
		if (o->flags & WEIR_OPT_POSITIONAL)
			continue;
		if (w[1] == '-' ? strlen(o->name) == n - 2 && memcmp(o->name, w + 2, n - 2) == 0
		        : n > 2 ? strlen(o->name) == n - 1 && memcmp(o->name, w + 1, n - 1) == 0
		                : o->letter == w[1])
			return o;
	}
	return NULL;
}

static int check_twice(struct args *a, const struct weir_option *o, uint32_t n)
{
	for (uint32_t i = 0; i < a->s->nargs; i++)
		if (a->s->args[i].option == o)
			return lex_fail_at(a->p, WEIR_E_OPTION_TWICE, a->p->at, n);
	return 0;
}

static int unknown_option(struct args *a, uint32_t n)
{
	struct parse *p = a->p;
	char hint[120];
	const char *w = lex_copy(p, p->at, n < 64 ? n : 64);

	if (!w)
		return -ENOMEM;
	if (n > 2)
		weir_did_you_mean(w, strlen(w), option_name, a, hint, sizeof hint);
	else
		hint[0] = 0;
	return weir_fail(p->err, WEIR_E_UNKNOWN_OPTION, p->at, n, a->s->name, w, hint);
}

static int needs_value(struct args *a, uint32_t pos, uint32_t n)
{
	a->p->open = lex_at_end(a->p);
	return lex_fail_at(a->p, WEIR_E_OPTION_NEEDS_VALUE, pos, n);
}

/* The values of an option whose row is a list: separated by commas, no blanks needed. */
static int read_values(struct args *a, const struct weir_option *o, uint32_t name_pos, uint32_t n)
{
	struct parse *p = a->p;

	for (;;) {
		struct ast_arg *arg = add(a, o);
		int rc;

		if (!arg)
			return -ENOMEM;
		arg->name_pos = name_pos;
		arg->name_len = n;
		rc = read_value(a, arg);
		if (rc < 0)
			return rc;
		if (!is_list(o->type) || lex_peek(p, 0) != ',' || lex_is_blank(lex_peek(p, 1)))
			return 0;
		p->at++;
	}
}

static uint32_t option_len(const struct parse *p)
{
	uint32_t n = 1;

	while (lex_is_alnum(lex_peek(p, n)) || lex_peek(p, n) == '-')
		n++;
	return n;
}

static int read_option(struct args *a)
{
	struct parse *p = a->p;
	const struct weir_option *o;
	uint32_t n = option_len(p), pos = p->at;
	struct ast_arg *arg;
	int rc;

	o = a->table ? find(a, n) : NULL;
	if (a->table && !o)
		return unknown_option(a, n);
	if (o && (rc = check_twice(a, o, n)) < 0)
		return rc;
	p->at += n;
	if (!o || o->type == WEIR_OPT_FLAG) {
		arg = add(a, o);
		if (!arg)
			return -ENOMEM;
		arg->pos = arg->name_pos = pos;
		arg->len = arg->name_len = n;
		if (lex_peek(p, 0) != '=')
			return 0;
		if (o)
			return lex_unexpected(p, "no value, it is a flag");
		p->at++;
		return 0; /* what follows is an argument like any other */
	}
	if (lex_peek(p, 0) == '=')
		p->at++;
	else
		lex_blank(p);
	if (at_end(a) || lex_peek(p, 0) == ',' || (!is_expression(o->type) && dash_begins(p)))
		return needs_value(a, pos, n);
	return read_values(a, o, pos, n);
}

/* ---- by place ---- */

static bool could_be(const struct parse *p, const struct weir_option *o)
{
	unsigned char c = lex_peek(p, 0);
	uint32_t n = lex_word(p);

	switch (o->type) {
	case WEIR_OPT_U64:
	case WEIR_OPT_F64:
	case WEIR_OPT_SIZE:
	case WEIR_OPT_DURATION:
		return lex_is_digit(c) || c == '"' || c == '\'' ||
		       ((c == '-' || c == '.') && lex_is_digit(lex_peek(p, 1)));
	case WEIR_OPT_CHOICE:
		for (const char *const *w = o->choices; *w; w++)
			if (strlen(*w) == n && memcmp(*w, p->text + p->at, n) == 0)
				return true;
		return false;
	default:
		return true;
	}
}

static int too_many(struct args *a)
{
	struct parse *p = a->p;
	uint32_t most = 0, n = lex_word(p);
	char takes[48];

	for (const struct weir_option *o = a->table; (o = positional(o)); o++)
		most++;
	if (most == 0)
		snprintf(takes, sizeof takes, "no arguments");
	else
		snprintf(takes, sizeof takes, "at most %u argument%s", most, most == 1 ? "" : "s");
	return weir_fail(p->err, WEIR_E_TOO_MANY_ARGUMENTS, p->at, n ? n : 1, a->s->name, takes);
}

static int read_positional(struct args *a)
{
	const struct weir_option *o = a->next;
	struct ast_arg *arg;

	while (o && !(o->flags & WEIR_OPT_REQUIRED) && positional(o + 1) && !could_be(a->p, o))
		o = positional(o + 1);
	if (!o) {
		unsigned char c = lex_peek(a->p, 0);

		if (lex_is_alnum(c) || c >= 0x80 || strchr("\"'-./~:", c))
			return too_many(a);
		return lex_unexpected(a->p, "'|' or the end of the query");
	}
	a->next = is_list(o->type) ? o : positional(o + 1);
	arg = add(a, o);
	return arg ? read_value(a, arg) : -ENOMEM;
}

/* The row of blocks that stand by place, or NULL. */
static const struct weir_option *block_row(const struct args *a)
{
	for (const struct weir_option *o = a->table; o && o->type != WEIR_OPT_END; o++)
		if (o->type == WEIR_OPT_BLOCK && (o->flags & WEIR_OPT_POSITIONAL))
			return o;
	return NULL;
}

static int read_placed_block(struct args *a, const struct weir_option *o)
{
	uint32_t given = 0, most = o->max > 1 ? (uint32_t)o->max : 1;
	struct ast_arg *arg;
	char takes[32];

	for (uint32_t i = 0; i < a->s->nargs; i++)
		given += a->s->args[i].option == o;
	if (given == most) {
		snprintf(takes, sizeof takes, "at most %u ( … )", most);
		return weir_fail(
		        a->p->err, WEIR_E_TOO_MANY_ARGUMENTS, a->p->at, 1, a->s->name, takes);
	}
	arg = add(a, o);
	return arg ? read_value(a, arg) : -ENOMEM;
}

/* What may follow a call's ')'. */
static int read_blocks(struct args *a)
{
	struct parse *p = a->p;
	int rc = 0;

	while (rc == 0) {
		lex_blank(p);
		if (lex_peek(p, 0) == '(' && block_row(a)) {
			rc = read_placed_block(a, block_row(a));
		} else if (dash_begins(p)) {
			const struct weir_option *o;
			uint32_t n = option_len(p);

			o = find(a, n);
			if (!o || o->type != WEIR_OPT_BLOCK)
				return 0;
			rc = read_option(a);
		} else {
			return 0;
		}
	}
	return rc;
}

/* In a stage whose name is not known: a word, a string, or all up to the matching ')'. Other
 * operator characters are words too. */
static int read_anything(struct args *a)
{
	struct parse *p = a->p;
	struct ast_arg *arg;
	uint32_t open = p->at;
	int rc;

	if (lex_peek(p, 0) != '(') {
		arg = add(a, NULL);
		return arg ? read_word(a, arg) : -ENOMEM;
	}
	rc = lex_deeper(p);
	if (rc < 0)
		return rc;
	p->at++;
	for (;;) {
		lex_blank(p);
		if (lex_peek(p, 0) == ')')
			break;
		if (lex_at_end(p))
			return lex_unclosed(p, open, "')'");
		if (strchr("|;,", lex_peek(p, 0)))
			p->at++;
		else if ((rc = read_anything(a)) < 0)
			return rc;
	}
	p->at++;
	p->depth--;
	return 0;
}

static int read_all(struct args *a)
{
	struct parse *p = a->p;
	int rc = 0;

	while (rc == 0) {
		lex_blank(p);
		if (at_end(a)) {
			if (a->comma && a->table)
				return lex_unexpected(p, "an argument behind ','");
			return 0;
		}
		if (lex_peek(p, 0) == ',') {
			if ((a->comma || a->s->nargs == 0) && a->table)
				return lex_unexpected(p, "an argument");
			a->comma = true;
			p->at++;
			continue;
		}
		if (dash_begins(p))
			rc = read_option(a);
		else if (!a->call && lex_peek(p, 0) == '(' && block_row(a))
			rc = read_placed_block(a, block_row(a));
		else
			rc = a->table ? read_positional(a) : read_anything(a);
		a->comma = false;
	}
	return rc;
}

int args_parse(struct parse *p, struct ast_stage *s, const struct weir_option *table)
{
	static const struct weir_option none[] = {WEIR_OPTIONS_END};
	struct args a = {.p = p, .s = s, .table = table, .next = positional(table)};
	uint32_t open = p->at;
	bool branch = p->branch;
	int rc;

	if (!table && (s->module || s->source))
		a.table = none;
	if (lex_peek(p, 0) != '(')
		return read_all(&a);
	a.call = true;
	rc = lex_deeper(p);
	if (rc < 0)
		return rc;
	p->at++;
	p->branch = false;
	rc = read_all(&a);
	p->branch = branch;
	if (rc < 0)
		return rc;
	if (lex_peek(p, 0) != ')')
		return lex_unclosed(p, open, "',' or ')'");
	p->at++;
	p->depth--;
	a.call = false;
	return a.table ? read_blocks(&a) : 0;
}
