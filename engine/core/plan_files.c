/* SPDX-License-Identifier: MIT */
/* plan_files.c: the files that a query names, looked at before it runs: what would certainly fail
 * is refused with its place, while whoever writes the query can still be told. */
#include <limits.h>
#include <stdio.h>

#include "engine/core/planner.h"

static bool names_file(const struct weir_option *o)
{
	return o && (o->type == WEIR_OPT_FILE || o->type == WEIR_OPT_FILES);
}

int planner_rooted(struct planner *pl, const char *path, uint32_t pos, uint32_t len)
{
	if (!pl->e->options.rooted || path[0] == '/' || strcmp(path, "-") == 0)
		return 0;
	return weir_fail_no(pl->err, EINVAL, WEIR_E_CANNOT_OPEN, pos, len, path,
	        "under a mount paths begin with '/'");
}

int planner_files(struct planner *pl, const struct ast_arg *args, uint32_t nargs)
{
	for (uint32_t i = 0; i < nargs; i++) {
		const struct ast_arg *a = &args[i];
		int r;

		if (!names_file(a->option) || !a->word)
			continue;
		r = planner_rooted(pl, a->word, a->pos, a->len);
		if (r < 0)
			return r;
		if (!(a->option->flags & WEIR_OPT_CREATE))
			continue;
		r = rights_may_create(&pl->rights, a->word);
		if (r < 0)
			return weir_fail_no(pl->err, -r, WEIR_E_CANNOT_OPEN, a->pos, a->len,
			        a->word, strerror(-r));
	}
	return 0;
}

void planner_blame(const struct ast_stage *st, const char *text, uint32_t *pos, uint32_t *len)
{
	char quoted[PATH_MAX + 3];
	const struct ast_arg *found = NULL;
	uint32_t files = 0;

	for (uint32_t i = 0; i < st->nargs; i++)
		files += names_file(st->args[i].option);
	for (uint32_t i = 0; i < st->nargs && !found; i++) {
		const struct ast_arg *a = &st->args[i];

		if (!names_file(a->option) || !a->word)
			continue;
		snprintf(quoted, sizeof quoted, "'%s'", a->word);
		if (files == 1 || strstr(text, quoted))
			found = a;
	}
	*pos = found ? found->pos : st->pos;
	*len = found ? found->len : st->len;
}
