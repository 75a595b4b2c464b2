/* SPDX-License-Identifier: MIT */
/* options.c: option tables at work. Fields that are conversions ("ts.sql") were made columns of the
 * input by the planner before this runs, so a field is always a plain look-up. */
#include "engine/core/options.h"

#include <stdio.h>

#include "engine/expr/bind.h"

#define ROWS_MAX 32 /* rows of a table */

const struct weir_option *options_find(const struct weir_option *rows, const char *name)
{
	for (; rows && rows->type != WEIR_OPT_END; rows++)
		if (strcmp(rows->name, name) == 0)
			return rows;
	return NULL;
}

static void *slot(const struct weir_option *row, void *config)
{
	return (char *)config + row->offset;
}

static const char *row_name(const struct weir_option *row, char *buf, size_t size)
{
	if (row->flags & WEIR_OPT_POSITIONAL)
		snprintf(buf, size, "%s", row->name);
	else if (row->letter)
		snprintf(buf, size, "-%c", row->letter);
	else
		snprintf(buf, size, "--%s", row->name);
	return buf;
}

static int out_of_range(const struct weir_option *row, const char *word, uint32_t pos, uint32_t len,
        struct weir_err *err)
{
	char range[96], what[96], name[40];

	if (row->min == 0 && row->max == 0)
		snprintf(range, sizeof range, "%s",
		        row->type == WEIR_OPT_DURATION ? "at most 292 years" : "64 bits");
	else
		snprintf(range, sizeof range, "%.15g to %.15g%s", row->min, row->max,
		        row->type == WEIR_OPT_DURATION ? " s" : "");
	snprintf(what, sizeof what, "'%.40s' for '%s'", word, row_name(row, name, sizeof name));
	return weir_fail(err, WEIR_E_OUT_OF_RANGE, pos, len, what, range);
}

static bool in_range(const struct weir_option *row, double v)
{
	return (row->min == 0 && row->max == 0) || (v >= row->min && v <= row->max);
}

static int bind_number(const struct weir_option *row, const char *word, size_t n, uint32_t pos,
        uint32_t len, void *config, struct weir_err *err)
{
	static const struct {
		enum weir_kind kind;
		const char *what;
	} kinds[] = {
	        [WEIR_OPT_U64] = {WEIR_U64, "a whole number"},
	        [WEIR_OPT_F64] = {WEIR_F64, "a number"},
	        [WEIR_OPT_SIZE] = {WEIR_U64, "a size such as 64MB"},
	        [WEIR_OPT_DURATION] = {WEIR_DURATION, "a duration such as 10s"},
	};
	union weir_datum d;
	char name[40];
	int r = weir_kind_parse(kinds[row->type].kind, word, n, &d);

	if (r == -ERANGE)
		return out_of_range(row, word, pos, len, err);
	if (r < 0)
		return weir_fail(err, WEIR_E_BAD_VALUE, pos, len, word,
		        row_name(row, name, sizeof name), kinds[row->type].what);
	if (!in_range(row, row->type == WEIR_OPT_F64        ? d.f
	                   : row->type == WEIR_OPT_DURATION ? (double)d.i / 1e9
	                                                    : (double)d.u))
		return out_of_range(row, word, pos, len, err);
	if (row->type == WEIR_OPT_F64)
		*(double *)slot(row, config) = d.f;
	else if (row->type == WEIR_OPT_DURATION)
		*(int64_t *)slot(row, config) = d.i;
	else
		*(uint64_t *)slot(row, config) = d.u;
	return 0;
}

static int bind_choice(const struct weir_option *row, const char *word, size_t n, uint32_t pos,
        uint32_t len, void *config, struct weir_err *err)
{
	char list[160] = "";
	char name[40];

	for (uint32_t i = 0; row->choices[i]; i++) {
		size_t at = strlen(list);

		if (strlen(row->choices[i]) == n && memcmp(row->choices[i], word, n) == 0) {
			*(uint32_t *)slot(row, config) = i;
			return 0;
		}
		snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", row->choices[i]);
	}
	return weir_fail(
	        err, WEIR_E_BAD_VALUE, pos, len, word, row_name(row, name, sizeof name), list);
}

static int bind_word(const struct weir_option *row, const char *word, size_t n, uint32_t pos,
        uint32_t len, const struct option_scope *s, void *config, struct weir_err *err)
{
	char name[40];

	switch (row->type) {
	case WEIR_OPT_U64:
	case WEIR_OPT_F64:
	case WEIR_OPT_SIZE:
	case WEIR_OPT_DURATION:
		return bind_number(row, word, n, pos, len, config, err);
	case WEIR_OPT_CHOICE:
		return bind_choice(row, word, n, pos, len, config, err);
	case WEIR_OPT_NAME:
		if (!lang_is_name(word, n))
			return weir_fail(err, WEIR_E_BAD_NAME, pos, len, word);
		break;
	case WEIR_OPT_STRING:
	case WEIR_OPT_FILE:
		if (memchr(word, 0, n))
			return weir_fail(err, WEIR_E_BAD_VALUE, pos, len, word,
			        row_name(row, name, sizeof name), "text without NUL");
		break;
	default:
		return weir_fail(err, WEIR_E_BAD_VALUE, pos, len, word,
		        row_name(row, name, sizeof name), "an expression");
	}
	*(const char **)slot(row, config) = arena_copy(s->arena, word, n);
	return *(const char **)slot(row, config) ? 0 : -ENOMEM;
}

static int bind_field(const struct ast *a, const struct option_scope *s, struct weir_err *err)
{
	const char *name = a->as ? a->as : a->text;
	int f;

	if (a->type != AST_NAME && !a->as)
		return weir_fail(err, WEIR_E_BAD_VALUE, a->pos, a->len, a->text ? a->text : "",
		        s->name, "a field");
	f = weir_schema_find(s->in, name, strlen(name));
	if (f < 0)
		return expr_unknown_field(s->in, name, a->pos, a->len, err);
	s->use(s->arg, (uint32_t)f);
	return f;
}

static int bind_expr(const struct ast *a, const struct weir_option *row,
        const struct option_scope *s, struct weir_expr **ret, struct weir_err *err)
{
	enum weir_kind want = row->flags & WEIR_OPT_CONDITION ? WEIR_BOOL : WEIR_NONE;
	int r = expr_bind(a, s->in, want, s->arena, s->use, s->arg, ret, err);

	if (r == 0)
		s->keep(s->arg, *ret);
	return r;
}

static int bind_arg(const struct ast *a, const struct weir_option *row,
        const struct option_scope *s, struct weir_arg *to, struct weir_err *err)
{
	int r;

	*to = (struct weir_arg){
	        .pos = a->pos, .len = a->len, .text = a->text, .as = a->as, .field = -1};
	if (row->flags & WEIR_OPT_CONDITION)
		return bind_expr(a, row, s, &to->expr, err);
	if (a->type == AST_CALL && !expr_is_function(a->text, a->text_len)) {
		to->call = a->text;
		to->nargs = a->nkids;
		to->args = arena_alloc(s->arena, (a->nkids + 1) * sizeof *to->args);
		if (!to->args)
			return -ENOMEM;
		for (uint32_t i = 0; i < a->nkids; i++) {
			r = bind_arg(a->kids[i], row, s, &to->args[i], err);
			if (r < 0)
				return r;
		}
		return 0;
	}
	if (a->type == AST_NAME && weir_schema_find(s->in, a->text, a->text_len) < 0) {
		struct weir_err conversion = WEIR_ERR_INIT;
		enum weir_kind kind;

		r = expr_conversion(s->in, a->text, a->text_len, a->pos, &kind, &conversion);
		if (r < 0 && conversion.id == WEIR_E_UNKNOWN_FIELD) {
			to->word = a->text;
			return 0;
		}
	}
	r = bind_expr(a, row, s, &to->expr, err);
	if (r == 0)
		to->field = expr_field(to->expr);
	return r;
}

/* The values given for a list row, collected before they are stored. */
struct list {
	uint32_t n;
	const struct ast_arg **arg;
};

static int bind_list(const struct weir_option *row, const struct list *l,
        const struct option_scope *s, void *config, struct weir_err *err)
{
	if (row->type == WEIR_OPT_FILES) {
		const char **word = arena_alloc(s->arena, (l->n + 1) * sizeof *word);

		if (!word)
			return -ENOMEM;
		for (uint32_t i = 0; i < l->n; i++)
			word[i] = l->arg[i]->word;
		*(struct weir_words *)slot(row, config) = (struct weir_words){l->n, word};
		return 0;
	}
	if (row->type == WEIR_OPT_BLOCK) {
		((struct weir_blocks *)slot(row, config))->n = l->n;
		return 0;
	}
	if (row->type == WEIR_OPT_FIELDS) {
		uint32_t *index = arena_alloc(s->arena, (l->n + 1) * sizeof *index);

		if (!index)
			return -ENOMEM;
		for (uint32_t i = 0; i < l->n; i++) {
			int f = bind_field(l->arg[i]->expr, s, err);

			if (f < 0)
				return f;
			index[i] = (uint32_t)f;
		}
		*(struct weir_fields *)slot(row, config) = (struct weir_fields){l->n, index};
		return 0;
	}
	struct weir_arg *arg = arena_alloc(s->arena, (l->n + 1) * sizeof *arg);

	if (!arg)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n; i++) {
		int r = bind_arg(l->arg[i]->expr, row, s, &arg[i], err);

		if (r < 0)
			return r;
	}
	*(struct weir_args *)slot(row, config) = (struct weir_args){l->n, arg};
	return 0;
}

static bool is_list(const struct weir_option *row)
{
	return row->type == WEIR_OPT_FIELDS || row->type == WEIR_OPT_FILES ||
	       row->type == WEIR_OPT_ARGS || row->type == WEIR_OPT_BLOCK;
}

static int bind_one(const struct weir_option *row, const struct ast_arg *a,
        const struct option_scope *s, void *config, struct weir_err *err)
{
	int r;

	switch (row->type) {
	case WEIR_OPT_FLAG:
		*(bool *)slot(row, config) = true;
		return 0;
	case WEIR_OPT_FIELD:
		r = bind_field(a->expr, s, err);
		if (r < 0)
			return r;
		*(uint32_t *)slot(row, config) = (uint32_t)r;
		return 0;
	case WEIR_OPT_EXPR:
		return bind_expr(a->expr, row, s, slot(row, config), err);
	default:
		return bind_word(row, a->word, a->word_len, a->pos, a->len, s, config, err);
	}
}

int options_set(const struct weir_option *rows, const char *name, const char *value, uint32_t pos,
        const struct option_scope *scope, void *config, struct weir_err *err)
{
	const struct weir_option *row = options_find(rows, name);

	char buf[40];

	if (!row)
		return -ENOENT;
	if (row->type == WEIR_OPT_FLAG && !value) {
		*(bool *)slot(row, config) = true;
		return 0;
	}
	if (!value)
		return weir_fail(
		        err, WEIR_E_OPTION_NEEDS_VALUE, pos, 0, row_name(row, buf, sizeof buf));
	return bind_word(
	        row, value, strlen(value), pos, (uint32_t)strlen(value), scope, config, err);
}

static void preset_field(const struct weir_option *row, const struct option_scope *s, void *config)
{
	int f = row->preset ? weir_schema_find(s->in, row->preset, strlen(row->preset)) : -1;

	*(uint32_t *)slot(row, config) = f < 0 ? UINT32_MAX : (uint32_t)f;
	if (f >= 0)
		s->use(s->arg, (uint32_t)f);
}

int options_bind(const struct weir_option *rows, const struct ast_arg *args, uint32_t nargs,
        const struct option_scope *scope, void *config, struct weir_err *err)
{
	uint32_t given[ROWS_MAX] = {0};
	const struct ast_arg **list = arena_alloc(scope->arena, (nargs + 1) * sizeof *list);
	uint32_t blocks = 1;
	char name[40];
	int r;

	if (!list)
		return -ENOMEM;
	for (const struct weir_option *row = rows; row && row->type != WEIR_OPT_END; row++)
		if (row->type == WEIR_OPT_FIELD) {
			preset_field(row, scope, config);
		} else if (row->preset) {
			r = bind_word(row, row->preset, strlen(row->preset), WEIR_NOPOS, 0, scope,
			        config, err);
			if (r < 0)
				return r;
		}
	for (uint32_t i = 0; i < nargs; i++) {
		const struct weir_option *row = args[i].option;
		uint32_t k = (uint32_t)(row - rows);

		if (is_list(row)) {
			given[k]++;
			continue;
		}
		if (given[k]++)
			return weir_fail(err, WEIR_E_OPTION_TWICE,
			        args[i].name_len ? args[i].name_pos : args[i].pos,
			        args[i].name_len ? args[i].name_len : args[i].len,
			        row_name(row, name, sizeof name));
		r = bind_one(row, &args[i], scope, config, err);
		if (r < 0)
			return r;
	}
	for (const struct weir_option *row = rows; row && row->type != WEIR_OPT_END; row++) {
		uint32_t k = (uint32_t)(row - rows);
		struct list l = {.arg = list};

		if ((row->flags & WEIR_OPT_REQUIRED) && !given[k]) {
			char what[80];

			snprintf(what, sizeof what, "%s", row_name(row, name, sizeof name));
			return weir_fail(err, WEIR_E_MISSING_ARGUMENT, scope->pos, scope->len,
			        scope->name, what);
		}
		if (!is_list(row))
			continue;
		for (uint32_t i = 0; i < nargs; i++)
			if (args[i].option == row)
				list[l.n++] = &args[i];
		r = bind_list(row, &l, scope, config, err);
		if (r < 0)
			return r;
		if (row->type == WEIR_OPT_BLOCK) {
			((struct weir_blocks *)slot(row, config))->first = blocks;
			blocks += l.n;
		}
	}
	return 0;
}
