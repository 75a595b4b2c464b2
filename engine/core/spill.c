/* SPDX-License-Identifier: MIT */
/* spill.c: who spills, and tables by key. */
#include "engine/core/spill.h"

#include <string.h>

#include "engine/core/planner.h"
#include "engine/core/pool.h"

#define SHARE_MIN ((size_t)64 << 10)

static struct spill *of(const struct weir_node *n)
{
	return ((const struct node *)n)->spill;
}

/* ---- the plan ---- */

static bool has_blocks(const struct plan_node *n)
{
	const struct weir_option *o = n->module ? n->module->options : NULL;

	for (; o && o->type != WEIR_OPT_END; o++)
		if (o->type == WEIR_OPT_BLOCK)
			return true;
	return false;
}

/* ordered: rows from here are put into the order of their records again (branches that unite), so
 * none must come later than its turn. */
static void mark(struct plan *p, struct plan_graph *g, bool ordered)
{
	ordered |= g->settles;
	for (uint32_t i = 0; i < g->n; i++) {
		struct plan_node *n = g->nodes[i];

		n->spills = n->module && (n->flags & WEIR_SPILLS) &&
		            (!ordered || n->table || n->in_table || (n->flags & WEIR_BLOCKING));
		p->nspills += n->spills;
		for (uint32_t k = 0; k < n->nbodies && !has_blocks(n); k++)
			mark(p, &n->bodies[k], ordered);
	}
}

void planner_spills(struct planner *pl)
{
	if (pl->p->set.spill)
		mark(pl->p, &pl->p->root, false);
}

/* ---- memory ---- */

int spill_open(struct node *n)
{
	const struct plan_node *p = n->plan;
	struct run_context *run = n->graph->run;
	struct spill *s = weir_calloc(run->mem, sizeof *s);

	if (!s)
		return -ENOMEM;
	n->spill = s;
	s->mem.parent = s->wave.parent = run->mem;
	s->fields_size = (p->in->nfields + 1) * sizeof *s->fields;
	s->fields = weir_calloc(run->mem, s->fields_size);
	if (!s->fields)
		return -ENOMEM;
	for (uint32_t f = 0; f < p->in->nfields; f++) {
		bool read = bit_get(p->uses, f);

		for (uint32_t o = 0; o < p->out->nfields && !read; o++)
			read = p->origin[o] == (int32_t)f && bit_get(p->needs, o);
		if (read)
			s->fields[s->nfields++] = f;
	}
	s->share = run->plan->set.memory / (2 * ((size_t)run->plan->nspills + 1));
	if (!run->plan->set.memory)
		s->share = SIZE_MAX;
	else if (s->share < SHARE_MIN)
		s->share = SHARE_MIN;
	n->pub.mem = &s->mem;
	return 0;
}

void spill_close(struct node *n)
{
	struct weir_mem *mem = n->graph->run->mem;
	struct spill *s = n->spill;

	if (!s)
		return;
	spill_file_free(s->missed);
	spill_file_free(s->next);
	spill_file_free(s->known);
	weir_free(mem, s->fields, s->fields_size);
	weir_free(mem, s, sizeof *s);
	n->spill = NULL;
	n->pub.mem = mem;
}

/* Room for a wave beside all that is there. */
static size_t wave_share(const struct run_context *run)
{
	size_t used = __atomic_load_n(&run->mem->used, __ATOMIC_RELAXED);
	size_t limit = run->plan->set.memory, room = limit > used ? (limit - used) / 2 : 0;

	return room > SHARE_MIN ? room : SHARE_MIN;
}

bool spill_is_full(const struct weir_node *n, size_t more)
{
	const struct run_context *run = ((const struct node *)n)->graph->run;
	size_t used = __atomic_load_n(&run->mem->used, __ATOMIC_RELAXED);
	size_t limit = run->plan->set.memory;
	const struct spill *s = of(n);

	if (!s || !limit)
		return false;
	return n->mem->used + more >= s->share || used + more > limit - limit / 5;
}

/* ---- tables by key ---- */

static int keep(struct weir_node *n, struct spill_file **to, struct weir_batch *b,
        const uint16_t *rows, uint32_t count, uint8_t mark)
{
	struct spill *s = of(n);
	int r = 0;

	if (!*to)
		r = spill_file_new(node_of(n), n->in, s->fields, s->nfields, to);
	return r < 0 ? r : spill_file_write(*to, b, rows, count, WEIR_BATCH_ROWS, mark);
}

int spill_map(struct weir_node *n, struct keytab *t, struct weir_batch *b, struct keytab_rows *ret)
{
	struct spill *s = of(n);
	int r;

	if (s && !t->frozen && t->n && spill_is_full(n, keytab_growth(t)))
		t->frozen = true;
	r = keytab_map(t, b, ret);
	if (r < 0 || !ret->nmissed)
		return r;
	return keep(n, s->in_wave ? &s->next : &s->missed, b, ret->missed, ret->nmissed, s->mark);
}

bool spill_is_known(const struct weir_node *n)
{
	return of(n) && of(n)->mark;
}

int spill_passed(struct weir_node *n, struct weir_batch *b, const uint16_t *rows, uint32_t count)
{
	struct spill *s = of(n);

	return s && s->in_wave && s->keeps ? keep(n, &s->known, b, rows, count, 1) : 0;
}

/* ---- waves ---- */

/* Runs a file's records, as it was when the wave began, through the state at hand. */
static int replay(struct node *n, struct spill_file *f)
{
	const struct weir_module *m = n->plan->module;
	struct weir_batch *b = NULL;
	struct spill_reader reader;
	int r = spill_reader_open(&reader, f, WEIR_BATCH_ROWS);

	while (r >= 0 && !n->done && (r = spill_reader_next(&reader, &b, &n->spill->mark)) > 0) {
		r = m->process(&n->pub, 0, b);
		weir_batch_unref(b);
	}
	n->spill->mark = 0;
	spill_reader_close(&reader);
	return r < 0 ? r : 0;
}

/* One wave: a state of its own in the node's place. */
static int wave(struct node *n, struct spill_file *known, struct spill_file *from)
{
	const struct weir_module *m = n->plan->module;
	struct run_context *run = n->graph->run;
	struct spill *s = n->spill;
	struct weir_mem *first_mem = n->pub.mem;
	void *first = n->pub.state;
	size_t share = s->share;
	int r;

	n->pub.state = weir_calloc(run->mem, m->state_size);
	if (!n->pub.state) {
		n->pub.state = first;
		return -ENOMEM;
	}
	pool_trim(n->graph->pool);
	n->pub.mem = &s->wave;
	s->share = wave_share(run);
	s->in_wave = true;
	r = m->open(&n->pub, &run->err);
	if (r >= 0 && known)
		r = replay(n, known);
	if (r >= 0)
		r = replay(n, from);
	if (r >= 0 && m->begin)
		r = node_answer(&n->pub, WEIR_END);
	m->close(&n->pub);
	weir_free(run->mem, n->pub.state, m->state_size);
	n->pub.state = first;
	n->pub.mem = first_mem;
	s->share = share;
	s->in_wave = false;
	return r < 0 ? r : 0;
}

static int waves(struct node *n)
{
	struct spill *s = n->spill;
	struct spill_file *from = s->missed, *known = s->known;
	int r = 0;

	while (from && r == 0 && !n->done) {
		s->next = NULL;
		r = wave(n, known, from);
		if (from != s->missed)
			spill_file_free(from);
		from = s->next;
		known = NULL;
	}
	if (from != s->missed)
		spill_file_free(from);
	s->next = NULL;
	return r;
}

/* The first state is not needed any more: its memory is the waves'. */
static int empty(struct node *n)
{
	const struct weir_module *m = n->plan->module;

	m->close(&n->pub);
	memset(n->pub.state, 0, m->state_size);
	return m->open(&n->pub, &n->graph->run->err);
}

int spill_flush(struct node *n, enum weir_mark mark)
{
	bool answers = n->plan->flags & WEIR_BLOCKING;
	uint64_t counters[NODE_COUNTERS];
	struct spill *s = n->spill;
	int r = 0;

	if (!s->missed)
		return 0;
	memcpy(counters, n->pub.counters, sizeof counters);
	s->keeps = mark == WEIR_REFRESH && !answers;
	if (mark == WEIR_END)
		r = empty(n);
	if (r == 0)
		r = waves(n);
	if (mark == WEIR_REFRESH && answers) {
		/* they come again */
		memcpy(n->pub.counters, counters, sizeof counters);
	} else {
		spill_file_free(s->missed);
		s->missed = NULL;
	}
	return r;
}
