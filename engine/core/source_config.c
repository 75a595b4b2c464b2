/* SPDX-License-Identifier: MIT */
/* source_config.c: the options of a source that is named on the command line: what it reads, and
 * the -o words that its table has a row for. */
#include "engine/core/engine.h"

#include "engine/core/options.h"
#include "engine/core/planner.h"

int source_config(struct engine *e, const struct weir_source *source, const char *const *specs,
        uint32_t n, struct arena *arena, void **ret, struct weir_err *err)
{
	const struct weir_option *row = source->options;
	struct option_scope scope = {
	        source->name, WEIR_NOPOS, 0, NULL, arena, planner_no_use, planner_no_keep, NULL};
	struct ast_arg *args = arena_alloc(arena, (n + 1) * sizeof *args);
	void *config = arena_alloc(arena, source->config_size + 1);
	int r;

	if (!args || !config)
		return -ENOMEM;
	while (row && row->type != WEIR_OPT_END && !(row->flags & WEIR_OPT_POSITIONAL))
		row++;
	if (!row || row->type == WEIR_OPT_END)
		n = 0;
	for (uint32_t i = 0; i < n; i++)
		args[i] = (struct ast_arg){.option = row,
		        .pos = WEIR_NOPOS,
		        .word = arena_copy(arena, specs[i], strlen(specs[i])),
		        .word_len = (uint32_t)strlen(specs[i])};
	r = options_bind(source->options, args, n, &scope, config, err);
	for (uint32_t i = 0; i < e->options.nsource && r == 0; i++) {
		const struct source_option *o = &e->options.source[i];

		r = options_set(
		        source->options, o->name, o->value, WEIR_NOPOS, &scope, config, err);
		if (r == 0)
			e->source_options_used |= 1ull << i;
		if (r == -ENOENT)
			r = 0;
	}
	if (r == 0)
		*ret = config;
	return r;
}

const struct weir_option *source_option_row(const char *name)
{
	for (size_t i = 0; registry_source_at(i); i++) {
		const struct weir_option *row = options_find(registry_source_at(i)->options, name);

		if (row && !(row->flags & WEIR_OPT_POSITIONAL))
			return row;
	}
	return NULL;
}

int engine_check_options(struct engine *e, struct weir_err *err)
{
	for (uint32_t i = 0; i < e->options.nsource; i++)
		if (e->nmounted && !(e->source_options_used >> i & 1))
			return weir_fail(err, WEIR_E_UNKNOWN_OPTION, WEIR_NOPOS, 0,
			        e->mounted[e->nmounted - 1]->source->name,
			        e->options.source[i].name, "");
	return 0;
}
