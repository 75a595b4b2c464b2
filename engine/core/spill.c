/* SPDX-License-Identifier: MIT */
/* spill.c: who spills, and tables by key. */
#include "engine/core/spill.h"

#include <string.h>

#include "engine/core/grow.h"
#include "engine/core/options.h"
#include "engine/core/planner.h"
#include "engine/core/pool.h"
#include "engine/core/runs.h"
#include "engine/core/spill_merge.h"

#define SHARE_MIN ((size_t)64 << 10)
#define BUFFER_MIN ((size_t)1 << 10)
#define BUFFER_MAX ((size_t)64 << 10)

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

/* Whether its state grows with its input: by key, or without a bound on the rows. */
static bool grows(const struct plan_node *n)
{
	const struct weir_module *m = n->module;
	const struct weir_option *limit = options_find(m->options, "limit");
	const struct weir_fields *keys = (const void *)((const char *)n->config + m->keys_offset);

	if (n->flags & WEIR_KEYED)
		return keys->n > 0;
	if (limit && limit->type == WEIR_OPT_U64) {
		uint64_t rows = *(const uint64_t *)((const char *)n->config + limit->offset);

		return !rows || rows > RUNS_LIMIT;
	}
	return true;
}

/* ordered: rows from here are put into the order of their records again (branches that unite), so
 * none must come later than its turn. */
static void mark(struct plan *p, struct plan_graph *g, bool ordered)
{
	ordered |= g->settles;
	for (uint32_t i = 0; i < g->n; i++) {
		struct plan_node *n = g->nodes[i];

		n->spills = n->module && (n->flags & WEIR_SPILLS) && grows(n) &&
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

/* Fields of the input that the module, or somebody behind it, reads, and of the output that
 * somebody does. */
static void lay_out(struct spill *s, const struct plan_node *p)
{
	uint32_t n = 0;

	s->in = (struct spill_layout){p->in, s->fields, 0};
	for (uint32_t f = 0; f < p->in->nfields; f++) {
		bool read = bit_get(p->uses, f);

		for (uint32_t o = 0; o < p->out->nfields && !read; o++)
			read = p->origin[o] == (int32_t)f && bit_get(p->needs, o);
		if (read)
			s->fields[n++] = f;
	}
	s->in.nfields = n;
	s->out = (struct spill_layout){p->out, s->fields + n, 0};
	for (uint32_t f = 0; f < p->out->nfields; f++)
		if (bit_get(p->needs, f))
			s->fields[n++] = f;
	s->out.nfields = n - s->in.nfields;
}

int spill_open(struct node *n)
{
	const struct plan_node *p = n->plan;
	struct run_context *run = n->graph->run;
	struct spill *s = weir_calloc(run->mem, sizeof *s);

	if (!s)
		return -ENOMEM;
	n->spill = s;
	s->mem.parent = s->part_mem.parent = run->mem;
	s->parts = s->part;
	s->fields_size = (p->in->nfields + p->out->nfields + 1) * sizeof *s->fields;
	s->fields = weir_calloc(run->mem, s->fields_size);
	if (!s->fields)
		return -ENOMEM;
	lay_out(s, p);
	s->share = run->plan->set.memory / (2 * ((size_t)run->plan->nspills + 1));
	if (!run->plan->set.memory)
		s->share = SIZE_MAX;
	else if (s->share < SHARE_MIN)
		s->share = SHARE_MIN;
	n->pub.mem = &s->mem;
	if (p->flags & WEIR_KEYED) {
		const struct weir_fields *key =
		        (const void *)((const char *)n->pub.config + p->module->keys_offset);

		return split_init(&s->split, run->mem, p->in, key->index, key->n, SPILL_PARTS);
	}
	return 0;
}

static void free_parts(struct spill_file **part)
{
	for (uint32_t i = 0; i < SPILL_PARTS; i++) {
		spill_file_free(part[i]);
		part[i] = NULL;
	}
}

void spill_close(struct node *n)
{
	struct weir_mem *mem = n->graph->run->mem;
	struct spill *s = n->spill;

	if (!s)
		return;
	free_parts(s->part);
	spill_file_free(s->rows);
	split_release(&s->split);
	grow_free(mem, s->first, s->first_size);
	weir_free(mem, s->fields, s->fields_size);
	weir_free(mem, s, sizeof *s);
	n->spill = NULL;
	n->pub.mem = mem;
}

/* Of a file, while all parts are written or merged: an eighth of what there is. */
static size_t buffer(const struct run_context *run)
{
	size_t used = __atomic_load_n(&run->mem->used, __ATOMIC_RELAXED);
	size_t limit = run->plan->set.memory;
	size_t room = !limit ? SIZE_MAX : limit > used ? (limit - used) / (8 * SPILL_PARTS) : 0;

	return room < BUFFER_MIN ? BUFFER_MIN : room > BUFFER_MAX ? BUFFER_MAX : room;
}

bool spill_is_full(const struct weir_node *n, size_t more)
{
	const struct run_context *run = ((const struct node *)n)->graph->run;
	size_t used = __atomic_load_n(&run->mem->used, __ATOMIC_RELAXED);
	size_t limit = run->plan->set.memory;
	const struct spill *s = of(n);

	if (!s || !limit)
		return false;
	return n->mem->used + more >= s->share || used + more > limit - limit / 4;
}

/* ---- tables by key ---- */

static const struct spill_file *any(struct spill_file *const *part)
{
	for (uint32_t i = 0; i < SPILL_PARTS; i++)
		if (part[i])
			return part[i];
	return NULL;
}

/* The rows that a table missed, to their parts. */
static int put_missed(struct node *n, struct weir_batch *b, const uint16_t *rows, uint32_t count)
{
	struct spill *s = n->spill;
	uint16_t dealt[WEIR_BATCH_ROWS], start[SPILL_PARTS + 1];
	uint64_t place[WEIR_BATCH_ROWS];
	int r = split_rows(&s->split, b, rows, count, s->level * SPILL_PARTS_BITS, dealt, start);

	for (uint32_t k = 0; k < count && r == 0; k++)
		place[k] = s->place ? s->place[dealt[k]] : s->batch + dealt[k];
	for (uint32_t i = 0; i < SPILL_PARTS && r == 0; i++) {
		uint32_t at = start[i], m = (uint32_t)(start[i + 1] - at);

		if (m && !s->parts[i])
			r = spill_file_new(
			        n, &s->in, buffer(n->graph->run), any(s->parts), &s->parts[i]);
		if (m && r == 0)
			r = spill_file_write(s->parts[i], b, dealt + at, place + at, m, m);
	}
	return r;
}

int spill_map(struct weir_node *n, struct keytab *t, struct weir_batch *b, struct keytab_rows *ret)
{
	struct spill *s = of(n);
	int r;

	if (!s)
		return keytab_map(t, b, ret);
	t->apart = true;
	if (!t->frozen && t->n && s->level < SPILL_LEVELS && spill_is_full(n, keytab_growth(t))) {
		t->frozen = true;
		keymemo_release(t);
		s->keeps |= !(node_of(n)->plan->flags & WEIR_BLOCKING);
	}
	if (!s->place)
		s->batch += WEIR_BATCH_ROWS;
	r = keytab_map(t, b, ret);
	return r < 0 || !ret->nmissed ? r : put_missed(node_of(n), b, ret->missed, ret->nmissed);
}

int spill_fresh(struct node *n, const uint16_t *row, const uint16_t *fresh, uint32_t nfresh)
{
	struct spill *s = n->spill;
	uint64_t *first;

	if (!s->level || !nfresh)
		return 0;
	first = grow(&s->part_mem, s->first, &s->first_size,
	        ((size_t)s->nfirst + nfresh) * sizeof *first);
	if (!first)
		return -ENOMEM;
	s->first = first;
	for (uint32_t i = 0; i < nfresh; i++)
		first[s->nfirst++] = s->place[row[fresh[i]]];
	return 0;
}

int spill_keep(struct node *n, struct weir_batch *b)
{
	bool answers = n->plan->flags & WEIR_BLOCKING;
	uint32_t count = weir_batch_count(b), m = 0;
	struct spill *s = n->spill;
	uint16_t rows[WEIR_BATCH_ROWS];
	uint64_t place[WEIR_BATCH_ROWS];
	int r = 0;

	for (uint32_t k = 0; k < count; k++) {
		uint32_t row = weir_batch_row(b, k);

		rows[m] = (uint16_t)row;
		place[m] = answers    ? s->first[s->nanswered++]
		           : s->place ? s->place[row]
		                      : s->batch + row;
		m += place[m] >= s->gone;
	}
	if (m && !s->rows)
		r = spill_file_new(n, &s->out, BUFFER_MAX / 4, NULL, &s->rows);
	if (m && r == 0)
		r = spill_file_write(s->rows, b, rows, place, m, SPILL_BLOCK);
	weir_batch_unref(b);
	return r;
}

int spill_append(struct weir_node *n, struct spill_file **to, struct weir_batch *b,
        const uint16_t *rows, uint32_t count)
{
	int r = 0;

	if (count && !*to)
		r = spill_file_new(node_of(n), &of(n)->in, BUFFER_MAX / 4, NULL, to);
	return count && r == 0 ? spill_file_write(*to, b, rows, NULL, count, count) : r;
}

/* place: where those of a batch's rows are. */
static int read_all(struct weir_node *n, struct spill_file *f,
        int (*each)(struct weir_node *n, struct weir_batch *b), uint64_t *place)
{
	struct weir_batch *b = NULL;
	struct spill_reader reader = {0};
	int r = spill_file_settle(f);

	if (r == 0) {
		struct spill_range all = spill_range_all(f);

		r = spill_reader_open(&reader, &all, BUFFER_MAX / 4);
	}
	while (r >= 0 && (r = spill_reader_next(&reader, WEIR_BATCH_ROWS, &b, place)) > 0) {
		r = each(n, b);
		weir_batch_unref(b);
	}
	spill_reader_close(&reader);
	return r < 0 ? r : 0;
}

int spill_each(struct weir_node *n, struct spill_file *f,
        int (*each)(struct weir_node *n, struct weir_batch *b))
{
	uint64_t place[WEIR_BATCH_ROWS];

	return read_all(n, f, each, place);
}

/* ---- parts ---- */

static int process(struct weir_node *n, struct weir_batch *b)
{
	return node_of(n)->plan->module->process(n, 0, b);
}

/* Runs a part's records through the state at hand. */
static int replay(struct node *n, struct spill_file *part)
{
	uint64_t place[WEIR_BATCH_ROWS];
	int r;

	n->spill->place = place;
	r = read_all(&n->pub, part, process, place);
	n->spill->place = NULL;
	return r;
}

/* A part's records through a state of their own, in the node's place. Its rows go to s->rows, what
 * it misses to s->parts. */
static int run_state(struct node *n, struct spill_file *part)
{
	const struct weir_module *m = n->plan->module;
	struct run_context *run = n->graph->run;
	struct spill *s = n->spill;
	void *state = weir_calloc(run->mem, m->state_size);
	int r;

	if (!state)
		return -ENOMEM;
	pool_trim(n->graph->pool);
	s->share = SIZE_MAX; /* all that is there: who stands behind gets rows when it is gone */
	n->pub.state = state;
	s->nfirst = s->nanswered = 0;
	r = m->open(&n->pub, &run->err);
	if (r >= 0)
		r = replay(n, part);
	if (r >= 0 && m->begin)
		r = node_answer(&n->pub, WEIR_END);
	m->close(&n->pub);
	weir_free(run->mem, state, m->state_size);
	grow_free(&s->part_mem, s->first, s->first_size);
	s->first = NULL;
	s->first_size = 0;
	return r < 0 ? r : 0;
}

/* Where the rows of a part begin and end, once they are all there. */
static int begin_range(struct spill_file *f, struct spill_range *ret)
{
	int r = spill_file_settle(f);

	*ret = (struct spill_range){f, f->size, f->size};
	return r;
}

static int end_range(struct spill_range *range)
{
	int r = spill_file_settle(range->file);

	range->to = range->file->size;
	return r;
}

static int run_parts(struct node *n, struct spill_file **part, uint32_t level,
        const struct spill_range *first, struct spill_file *to);

/* The rows of one part, to the end of a file. */
static int run_part(struct node *n, struct spill_file *part, uint32_t level, struct spill_file *to,
        struct spill_range *ret)
{
	struct spill_file *own[SPILL_PARTS] = {NULL};
	struct spill *s = n->spill;
	int r = begin_range(to, ret);

	s->level = level;
	s->keeps = true;
	s->parts = own;
	s->rows = to;
	if (r == 0)
		r = run_state(n, part);
	if (r == 0)
		r = end_range(ret);
	if (r == 0 && any(own)) {
		struct spill_range first = *ret;

		r = begin_range(to, ret);
		if (r == 0)
			r = run_parts(n, own, level + 1, &first, to);
		if (r == 0)
			r = end_range(ret);
	}
	free_parts(own);
	return r;
}

/* Runs all parts, and merges their rows with those of `first` (NULL: none), to a file or (NULL)
 * emitted. Parts that
 * do not come again are given up on the way. */
static int run_parts(struct node *n, struct spill_file **part, uint32_t level,
        const struct spill_range *first, struct spill_file *to)
{
	struct spill_range range[SPILL_PARTS + 1];
	struct spill_file *rows = NULL;
	uint32_t nranges = 0;
	int r = spill_file_new(n, &n->spill->out, BUFFER_MAX / 4, NULL, &rows);

	if (first)
		range[nranges++] = *first;
	for (uint32_t i = 0; i < SPILL_PARTS && r == 0; i++)
		if (part[i])
			r = spill_file_settle(part[i]);
	for (uint32_t i = 0; i < SPILL_PARTS && r == 0 && !n->done; i++) {
		if (!part[i])
			continue;
		r = run_part(n, part[i], level, rows, &range[nranges]);
		nranges += range[nranges].to > range[nranges].from;
		if (level > 1 || n->spill->ends) {
			spill_file_free(part[i]);
			part[i] = NULL;
		}
	}
	n->spill->keeps = false;
	if (r == 0 && !n->done)
		r = spill_merge(n, range, nranges, buffer(n->graph->run), to);
	spill_file_free(rows);
	return r;
}

/* The first state is not needed any more: its memory is the parts'. */
static int empty(struct node *n)
{
	const struct weir_module *m = n->plan->module;

	m->close(&n->pub);
	memset(n->pub.state, 0, m->state_size);
	return m->open(&n->pub, &n->graph->run->err);
}

/* All that the first state missed, and the rows that it kept. */
static int due(struct node *n)
{
	struct spill *s = n->spill;
	struct spill_range range, *first = NULL;
	struct spill_file *rows = s->rows;
	struct weir_mem *mem = n->pub.mem;
	void *state = n->pub.state;
	size_t share = s->share;
	bool keeps = s->keeps;
	int r = 0;

	if (rows) {
		r = spill_file_settle(rows);
		range = spill_range_all(rows);
		first = &range;
	}
	n->pub.mem = &s->part_mem;
	if (r == 0)
		r = run_parts(n, s->part, 1, first, NULL);
	spill_file_free(rows);
	s->rows = NULL;
	s->parts = s->part;
	s->level = 0;
	s->keeps = keeps;
	s->share = share;
	n->pub.mem = mem;
	n->pub.state = state;
	return r;
}

int spill_flush(struct node *n, enum weir_mark mark)
{
	bool answers = n->plan->flags & WEIR_BLOCKING;
	uint64_t counters[NODE_COUNTERS];
	struct spill *s = n->spill;
	int r = 0;

	if (!(n->plan->flags & WEIR_KEYED) || (!any(s->part) && !s->rows))
		return 0;
	memcpy(counters, n->pub.counters, sizeof counters);
	s->ends = mark == WEIR_END;
	if (s->ends)
		r = empty(n);
	if (r == 0)
		r = due(n);
	if (mark == WEIR_REFRESH) /* the parts come again */
		memcpy(n->pub.counters, counters, sizeof counters);
	if (!answers)
		s->gone = s->batch + WEIR_BATCH_ROWS;
	return r;
}
