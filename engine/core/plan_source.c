/* SPDX-License-Identifier: MIT */
/* plan_source.c: where a pipe begins: a source of the mount, all of a sort, or one named in the
 * query. */
#include "engine/core/planner.h"

static int add_source(struct planner *pl, const struct weir_source *source, void *config, bool own,
        const struct weir_schema *schema, struct mounted *mounted, const struct ast_stage *st)
{
	struct plan_node *n;
	int r;

	for (uint32_t i = 0; i < pl->g->n; i++)
		if (pl->g->nodes[i]->source == source && pl->g->nodes[i]->config == config)
			return (int)i;
	n = planner_node(pl, st->name, st->pos, st->len, 0);
	if (!n) {
		weir_schema_unref(schema);
		return pl->err && pl->err->no ? -pl->err->no : -ENOMEM;
	}
	r = planner_schema(pl, schema);
	if (r < 0)
		return r;
	n->source = source;
	n->config = config;
	n->own = own;
	n->mounted = mounted;
	n->reader = pl->p->nsources++;
	n->out = n->outside = schema;
	n->needs = planner_bits(pl, schema);
	return n->needs ? (int)(pl->g->n - 1) : -ENOMEM;
}

/* Opens the source to learn its schema. */
static int learn(struct planner *pl, const struct weir_source *source, void *config, bool own,
        const struct ast_stage *st, const struct weir_schema **ret)
{
	struct rights all = {.all = true};
	struct weir_mem mem = {.limit = 256u << 20};
	struct weir_err err = WEIR_ERR_INIT;
	struct reader *reader;
	int r = reader_open(
	        source, config, own ? &pl->rights : &all, pl->e, &mem, NULL, &reader, &err);

	if (r < 0 && err.id) {
		uint32_t pos, len;

		planner_blame(st, err.text, &pos, &len);
		return weir_fail_no(pl->err, err.no, WEIR_E_BAD_TRACE, pos, len, err.text);
	}
	if (r < 0)
		return r;
	*ret = weir_schema_ref(reader->pub.schema);
	reader_close(reader);
	return 0;
}

int planner_mounted(struct planner *pl, struct mounted *m, const struct ast_stage *st)
{
	const struct weir_schema *s;

	/* who samples is told what each record stands for */
	if (pl->p->set.shed == SHED_SAMPLE && m->feed && m->source->pressed)
		s = shed_schema(m->schema);
	else
		s = weir_schema_ref(m->schema);
	return s ? add_source(pl, m->source, m->config, false, s, m, st) : -ENOMEM;
}

/* All sources of the mount with this flag, each by itself, as one stream. */
static int unite_all(struct planner *pl, uint32_t flag, const struct ast_stage *st)
{
	int ins[SOURCES_MAX], r = 0;
	uint32_t n = 0;

	for (size_t i = 0; i < pl->e->nmounted && r >= 0; i++) {
		if (!(pl->e->mounted[i]->source->flags & flag))
			continue;
		r = planner_mounted(pl, pl->e->mounted[i], st);
		ins[n++] = r;
	}
	return r < 0 ? r : planner_union(pl, ins, n, st);
}

/* `packets`, `flows`: every source of the mount with this flag, in time order; of live ones in that
 * in which they come. */
int planner_all(struct planner *pl, uint32_t flag, const struct ast_stage *st)
{
	const char *specs[SOURCES_MAX];
	const struct weir_schema *schema = NULL;
	struct mounted *first = NULL;
	uint32_t n = 0;
	void *config;
	int r;

	for (size_t i = 0; i < pl->e->nmounted; i++) {
		struct mounted *m = pl->e->mounted[i];

		if (!(m->source->flags & flag))
			continue;
		if (first && (first->source != m->source || first->feed || m->feed))
			return unite_all(pl, flag, st);
		if (!first)
			first = m;
		specs[n++] = m->spec;
	}
	if (!first)
		return weir_fail(pl->err, WEIR_E_UNKNOWN_SOURCE, st->name_pos, st->name_len,
		        st->name, ": there is no such source here");
	if (n == 1)
		return planner_mounted(pl, first, st);
	if (pl->all_config[flag & 1]) {
		config = pl->all_config[flag & 1];
	} else {
		r = source_config(pl->e, first->source, specs, n, &pl->p->arena, &config, pl->err);
		if (r < 0)
			return r;
		pl->all_config[flag & 1] = config;
	}
	r = learn(pl, first->source, config, false, st, &schema);
	return r < 0 ? r : add_source(pl, first->source, config, false, schema, NULL, st);
}

static bool names_input(const struct ast_stage *st)
{
	return st->nargs == 0 ||
	       (st->nargs == 1 && st->args[0].word && strcmp(st->args[0].word, "-") == 0);
}

/* '-' among the files, beside options: the mount's own sources stand for it, with the mount's
 * rights. Standard input was opened with the options of the command line. */
static int name_input(struct planner *pl, const struct ast_stage *st, void *config, bool *ret_own)
{
	const struct weir_option *row = st->source->options;
	struct weir_words *files;
	const char **specs;
	uint32_t at = 0, n = 0;
	const char *option = "-";
	bool once = false;

	while (row->type != WEIR_OPT_END && row->type != WEIR_OPT_FILES)
		row++;
	files = row->type == WEIR_OPT_FILES ? (void *)((char *)config + row->offset) : NULL;
	while (files && at < files->n && strcmp(files->word[at], "-") != 0)
		at++;
	if (!files || at == files->n)
		return 0;
	if (files->n > 1)
		return weir_fail(pl->err, WEIR_E_BAD_VALUE, st->pos, st->len, "-", row->name,
		        "it alone, or files");
	specs = arena_alloc(&pl->p->arena, (pl->e->nmounted + 1) * sizeof *specs);
	if (!specs)
		return -ENOMEM;
	for (uint32_t i = 0; i < st->nargs; i++)
		if (st->args[i].option != row)
			option = st->args[i].option->name;
	for (size_t i = 0; i < pl->e->nmounted; i++) {
		const struct mounted *m = pl->e->mounted[i];

		if (m->source == st->source && !m->feed)
			specs[n++] = m->spec;
		once |= m->feed != NULL;
	}
	if (once || !n)
		return weir_fail(pl->err, WEIR_E_OPTION_CONFLICT, st->pos, st->len, option,
		        "standard input");
	*files = (struct weir_words){.n = n, .word = specs};
	*ret_own = false;
	return 0;
}

int planner_source(struct planner *pl, const struct ast_stage *st)
{
	bool own = true;
	struct option_scope scope = {st->name, st->pos, st->len, NULL, &pl->p->arena,
	        planner_no_use, planner_no_keep, NULL};
	const struct weir_schema *schema = NULL;
	void *config;
	int r;

	if (names_input(st) && (st->source->flags & WEIR_SOURCE_PACKETS)) {
		if (!pl->e->nmounted && pl->e->input >= 0) {
			r = engine_add_source(pl->e, "stdin", "-", pl->err);
			if (r < 0)
				return r;
		}
		return planner_all(pl, WEIR_SOURCE_PACKETS, st);
	}
	config = arena_alloc(&pl->p->arena, st->source->config_size + 1);
	if (!config)
		return -ENOMEM;
	r = options_bind(st->source->options, st->args, st->nargs, &scope, config, pl->err);
	if (r == 0)
		r = planner_files(pl, st->args, st->nargs);
	if (r == 0)
		r = name_input(pl, st, config, &own);
	if (r == 0)
		r = learn(pl, st->source, config, own, st, &schema);
	return r < 0 ? r : add_source(pl, st->source, config, own, schema, NULL, st);
}
