/* SPDX-License-Identifier: MIT */
/* trunk.c: see trunk.h. */
#include "engine/core/trunk.h"

#include <stdlib.h>

struct trunk_stage {
	uint32_t refs; /* atomic: the tree's, and of batches that it left */
	struct plan *plan;
	struct weir_mem *mem;
	struct run_context run;
	struct node_stats stats[2];
	struct plan_node node[2], *nodes[2];
	struct plan_target target;
	struct plan_edge edge;
	struct plan_graph shape;
	struct graph *graph;
	struct weir_batch *out; /* of this turn */
};

struct trunk_node {
	struct trunk_node *up, *next, *down;
	const struct weir_module *module;
	char *text;
	uint32_t members;          /* queries that go through it */
	bool broken;               /* it has failed: each runs it alone, and meets that */
	uint64_t wanted, done;     /* the last turns in which it was wanted, and in which it ran */
	struct trunk_stage *stage; /* NULL: it does not run */
	struct node_stats counts;  /* of this turn */
};

struct trunk {
	struct weir_mem *mem;
	struct trunk_node *first;
	struct trunk_end *ends;
	uint64_t turn;
};

static const struct plan_node *lead(const struct plan *p, uint32_t i)
{
	return p->root.nodes[p->lead[i]];
}

/* ---- a stage at work ---- */

static int keep_out(void *arg, struct weir_batch *b)
{
	struct trunk_stage *s = arg;

	weir_batch_unref(s->out); /* WEIR_VIEWS: there is none */
	s->out = weir_batch_ref(b);
	return 0;
}

void trunk_stage_unref(struct trunk_stage *s)
{
	if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
		return;
	free((uint64_t *)s->node[1].needs);
	plan_unref(s->plan);
	free(s);
}

/* Ends its work; batches of it may be there still. */
static void stage_end(struct trunk_stage *s)
{
	if (!s)
		return;
	weir_batch_unref(s->out);
	graph_free(s->graph);
	pool_unref(s->run.pool);
	trunk_stage_unref(s);
}

/* A graph of the one node, behind an entry as a body has it. All that it could add is asked for:
 * others may need more than this query. NULL: out of memory. */
static struct trunk_stage *stage_new(struct plan *p, uint32_t i, struct weir_mem *mem)
{
	struct trunk_stage *s = calloc(1, sizeof *s);
	const struct plan_node *n = lead(p, i);
	size_t words = n->out->nfields / 64 + 1;
	uint64_t *all = malloc(words * sizeof *all);

	if (!s || !all) {
		free(s);
		free(all);
		return NULL;
	}
	memset(all, 0xff, words * sizeof *all);
	s->refs = 1;
	s->plan = plan_ref(p);
	s->target = (struct plan_target){.node = 1};
	s->node[0] = (struct plan_node){.name = "entry",
	        .in = n->in,
	        .out = n->in,
	        .outside = n->in,
	        .needs = all,
	        .ntargets = 1,
	        .targets = &s->target};
	s->node[1] = *n;
	s->node[1].id = 1;
	s->node[1].ins = &s->edge;
	s->node[1].ntargets = 0;
	s->node[1].needs = all;
	s->nodes[0] = &s->node[0];
	s->nodes[1] = &s->node[1];
	s->shape = (struct plan_graph){.n = 2, .cap = 2, .nodes = s->nodes, .last = 1};
	s->run = (struct run_context){.plan = p,
	        .scheduler = &scheduler_depth,
	        .mem = mem,
	        .pool = pool_new(mem),
	        .rights = {.all = true},
	        .stats = s->stats,
	        .rows = keep_out,
	        .arg = s,
	        .err = WEIR_ERR_INIT};
	if (!s->run.pool || graph_new(&s->run, &s->shape, NULL, 0, &s->graph) < 0) {
		stage_end(s);
		return NULL;
	}
	return s;
}

static void add_counts(struct node_stats *to, const struct node_stats *from)
{
	to->batches_in += from->batches_in;
	to->records_in += from->records_in;
	to->batches_out += from->batches_out;
	to->records_out += from->records_out;
	to->ns += from->ns;
	for (int i = 0; i < NODE_COUNTERS; i++)
		to->counters[i] += from->counters[i];
}

/* ---- the tree ---- */

struct trunk *trunk_new(struct weir_mem *mem)
{
	struct trunk *t = calloc(1, sizeof *t);

	if (t)
		t->mem = mem;
	return t;
}

void trunk_free(struct trunk *t)
{
	free(t);
}

/* Stages that are for one query only, or have failed, cease to run, and so do those behind. */
static void settle(struct trunk_node *n)
{
	for (; n; n = n->next) {
		bool runs = n->members > 1 && !n->broken && (!n->up || n->up->stage);

		if (!runs) {
			stage_end(n->stage);
			n->stage = NULL;
		}
		settle(n->down);
	}
}

static void find_levels(struct trunk *t)
{
	for (struct trunk_end *e = t->ends; e; e = e->next) {
		e->level = 0;
		while (e->level < e->n && e->node[e->level]->stage) {
			uint32_t n = e->node[e->level]->members;

			if (n > e->together[e->level])
				__atomic_store_n(&e->together[e->level], n, __ATOMIC_RELAXED);
			e->level++;
		}
	}
}

/* The child of `up` (NULL: of the root) for stage i of p, a new one where there is none. */
static struct trunk_node *child(
        struct trunk *t, struct trunk_node *up, const struct plan *p, uint32_t i, bool *ret_none)
{
	const struct plan_node *stage = lead(p, i);
	struct trunk_node **list = up ? &up->down : &t->first, *n;
	char *text;

	*ret_none = !stage->said;
	if (!stage->said)
		return NULL;
	for (n = *list; n; n = n->next)
		if (n->module == stage->module && strcmp(n->text, stage->said) == 0)
			return n;
	n = calloc(1, sizeof *n);
	text = strdup(stage->said);
	if (!n || !text) {
		free(n);
		free(text);
		return NULL;
	}
	n->up = up;
	n->module = stage->module;
	n->text = text;
	n->next = *list;
	*list = n;
	return n;
}

static void drop_empty(struct trunk *t, struct trunk_end *e)
{
	while (e->n) {
		struct trunk_node *n = e->node[--e->n], **p;

		if (--n->members)
			continue;
		stage_end(n->stage);
		for (p = n->up ? &n->up->down : &t->first; *p != n; p = &(*p)->next)
			;
		*p = n->next;
		free(n->text);
		free(n);
	}
}

int trunk_add(struct trunk *t, struct trunk_end *e)
{
	struct trunk_node *up = NULL;
	bool none = false;

	if (!e->plan || e->is_in)
		return 0;
	e->is_in = true;
	e->next = t->ends;
	t->ends = e;
	while (e->n < e->plan->nlead && e->n < TRUNK_STAGES) {
		struct trunk_node *n = child(t, up, e->plan, e->n, &none);

		if (!n)
			break;
		n->members++;
		e->node[e->n++] = up = n;
	}
	if (!none && e->n < e->plan->nlead && e->n < TRUNK_STAGES) {
		trunk_remove(t, e);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < e->n && e->node[i]->members > 1 && !e->node[i]->broken; i++) {
		if (!e->node[i]->stage)
			e->node[i]->stage = stage_new(e->plan, i, t->mem);
		if (!e->node[i]->stage)
			break;
	}
	find_levels(t);
	return 0;
}

void trunk_remove(struct trunk *t, struct trunk_end *e)
{
	struct trunk_end **p;

	if (!e->is_in)
		return;
	for (p = &t->ends; *p != e; p = &(*p)->next)
		;
	*p = e->next;
	e->is_in = false;
	e->level = 0;
	drop_empty(t, e);
	settle(t->first);
	find_levels(t);
}

/* ---- a batch ---- */

static void run(struct trunk *t, struct trunk_node *n, struct weir_batch *b)
{
	struct trunk_stage *s = n->stage;
	struct node_stats before = s->stats[1], *now = &s->stats[1], *to = &n->counts;
	int r = b ? graph_push(s->graph, 0, weir_batch_ref(b)) : 0;

	if (r < 0) {
		n->broken = true;
		return;
	}
	*to = (struct node_stats){.batches_in = now->batches_in - before.batches_in,
	        .records_in = now->records_in - before.records_in,
	        .batches_out = now->batches_out - before.batches_out,
	        .records_out = now->records_out - before.records_out,
	        .ns = now->ns - before.ns};
	for (int i = 0; i < NODE_COUNTERS; i++)
		to->counters[i] = now->counters[i] - before.counters[i];
	n->done = t->turn;
	for (struct trunk_node *d = n->down; d; d = d->next)
		if (d->stage && d->wanted == t->turn)
			run(t, d, s->out);
}

void trunk_run(struct trunk *t, struct weir_batch *b)
{
	t->turn++;
	for (struct trunk_end *e = t->ends; e; e = e->next)
		for (uint32_t i = 0; i < e->level && !e->passed_over; i++)
			e->node[i]->wanted = t->turn;
	for (struct trunk_node *n = t->first; n; n = n->next)
		if (n->stage && n->wanted == t->turn)
			run(t, n, b);
}

/* Lets go what the turn has left; true: a stage has failed. */
static bool forget(struct trunk_node *n)
{
	bool broken = false;

	for (; n; n = n->next) {
		if (!n->stage)
			continue;
		broken |= n->broken;
		weir_batch_unref(n->stage->out);
		n->stage->out = NULL;
		broken |= forget(n->down);
	}
	return broken;
}

void trunk_rest(struct trunk *t)
{
	if (!forget(t->first))
		return;
	settle(t->first);
	find_levels(t);
}

struct weir_batch *trunk_out(
        const struct trunk *t, const struct trunk_end *e, struct weir_batch *b, uint32_t *ret_level)
{
	uint32_t i = 0;

	while (i < e->level && e->node[i]->done == t->turn)
		b = e->node[i++]->stage->out;
	*ret_level = i;
	return b;
}

void trunk_count(const struct trunk_end *e, const struct weir_batch *b, uint32_t level,
        struct node_stats *to)
{
	to[0].batches_out++;
	to[0].records_out += weir_batch_count(b);
	for (uint32_t i = 0; i < level; i++) {
		struct node_stats c = e->node[i]->counts;

		if (i + 1 == level)
			c.batches_out = c.records_out = 0;
		add_counts(&to[i + 1], &c);
	}
}

static void give(struct node_stats *to, struct node_stats *from)
{
	stat_add(&to->batches_in, from->batches_in);
	stat_add(&to->records_in, from->records_in);
	stat_add(&to->batches_out, from->batches_out);
	stat_add(&to->records_out, from->records_out);
	stat_add(&to->ns, from->ns);
	for (int i = 0; i < NODE_COUNTERS; i++)
		stat_add(&to->counters[i], from->counters[i]);
	*from = (struct node_stats){0};
}

uint64_t trunk_take(const struct trunk_end *e, struct node_stats *from)
{
	uint64_t records = from[0].records_out;

	give(&e->stats[e->plan->root.nodes[e->plan->source]->id], &from[0]);
	for (uint32_t i = 0; i < e->plan->nlead && i < TRUNK_STAGES; i++)
		give(&e->stats[lead(e->plan, i)->id], &from[i + 1]);
	return records;
}

struct trunk_stage *trunk_stage_ref(const struct trunk_end *e, uint32_t level)
{
	struct trunk_stage *s = level ? e->node[level - 1]->stage : NULL;

	if (s)
		__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

static void stage_line(const struct trunk_node *n, const char *before, struct text *to)
{
	for (; n; n = n->next) {
		struct text line = TEXT_INIT;

		if (!n->stage)
			continue;
		text_printf(&line, "%s%s%s", before, *before ? " | " : "", n->text);
		if (line.p) {
			text_printf(to, "shared: %u queries: %s\n", n->members, line.p);
			stage_line(n->down, line.p, to);
		}
		text_release(&line);
	}
}

void trunk_text(const struct trunk *t, struct text *to)
{
	stage_line(t->first, "", to);
}
