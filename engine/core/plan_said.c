/* SPDX-License-Identifier: MIT */
/* plan_said.c: what was said to a stage, in one way: stages with the same module, the same input
 * and the same said do the same.
 *
 * It is made of the options' names and values, expressions as they are written but for blanks that
 * make no difference. An expression that is not the same each time that it is bound (a time told
 * from now), or that might have a comment in it, is like no other.
 */
#include <ctype.h>

#include "engine/core/planner.h"

/* Blanks make no difference beside these. */
static bool is_mark(char c)
{
	return c && strchr("()=<>!,&|", c);
}

static bool has_word(const char *s, size_t len, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= len; i++)
		if (strncasecmp(s + i, word, n) == 0)
			return true;
	return false;
}

static bool may_differ(const char *s, size_t len)
{
	return has_word(s, len, "now") || has_word(s, len, "ago") || memchr(s, '#', len) ||
	       memchr(s, '%', len);
}

static void squeeze(const char *s, size_t len, struct text *to)
{
	char quote = 0, last = '(';
	bool blank = false;

	for (size_t i = 0; i < len; i++) {
		if (!quote && isspace((unsigned char)s[i])) {
			blank = true;
			continue;
		}
		if (blank && !is_mark(last) && !is_mark(s[i]))
			text_add(to, " ", 1);
		blank = false;
		text_add(to, &s[i], 1);
		last = s[i];
		if (quote && s[i] == '\\' && i + 1 < len)
			text_add(to, &s[++i], 1);
		else if (quote)
			quote = s[i] == quote ? 0 : quote;
		else if (s[i] == '"' || s[i] == '\'')
			quote = s[i];
	}
}

const char *planner_said(
        struct planner *pl, const char *name, const struct ast_arg *args, uint32_t nargs)
{
	struct text t = TEXT_INIT;
	const char *r = NULL;
	bool differs = false;

	text_puts(&t, name);
	for (uint32_t i = 0; i < nargs; i++) {
		const struct ast_arg *a = &args[i];
		const char *s = pl->spec->text + a->pos;

		if (!a->option || a->block || a->pos > pl->spec->text_len ||
		        a->len > pl->spec->text_len - a->pos) {
			differs = true;
			break;
		}
		text_puts(&t, " ");
		if (!(a->option->flags & WEIR_OPT_POSITIONAL))
			text_printf(&t, "--%s ", a->option->name);
		if (a->expr) {
			differs |= may_differ(s, a->len);
			squeeze(s, a->len, &t);
			if (a->expr->as)
				text_printf(&t, " as %s", a->expr->as);
		} else if (a->word) {
			text_printf(&t, "\"%.*s\"", (int)a->word_len, a->word);
		}
	}
	if (!differs && t.p && !t.failed)
		r = arena_copy(&pl->p->arena, t.p, t.len);
	text_release(&t);
	return r;
}
