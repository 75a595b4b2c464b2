/* SPDX-License-Identifier: MIT */
/* stages.c: the way of a token through the stretches of a flow; see flow.h. */
#include <stdlib.h>

#include "engine/core/engine.h"
#include "engine/core/flow.h"
#include "engine/core/fold.h"
#include "engine/core/intake.h"
#include "engine/core/recombine.h"

#define SHOW 16 /* tokens between two looks at the lanes' times */

static void advance(struct hand *w, struct slot *s);

/* ---- batches, counters, failures ---- */

int batches_add(struct batches *to, struct weir_batch *b)
{
	if (to->n == to->room) {
		uint32_t room = to->room ? 2 * to->room : 4;
		void *p = realloc(to->batch, room * sizeof *to->batch);

		if (!p) {
			weir_batch_unref(b);
			return -ENOMEM;
		}
		to->batch = p;
		to->room = room;
	}
	to->batch[to->n++] = b;
	return 0;
}

void batches_drop(struct batches *b)
{
	for (uint32_t i = 0; i < b->n; i++)
		weir_batch_unref(b->batch[i]);
	b->n = 0;
}

/* Makes room for n batches, none there. */
static int batches_room(struct batches *b, uint32_t n)
{
	void *p = n > b->room ? realloc(b->batch, n * sizeof *b->batch) : b->batch;

	if (n > b->room) {
		if (!p)
			return -ENOMEM;
		b->batch = p;
		b->room = n;
	}
	b->n = n;
	if (n)
		memset(b->batch, 0, n * sizeof *b->batch);
	return 0;
}

void stats_add(struct node_stats *to, const struct node_stats *from)
{
	stat_add(&to->batches_in, from->batches_in);
	stat_add(&to->batches_out, from->batches_out);
	stat_add(&to->records_in, from->records_in);
	stat_add(&to->records_out, from->records_out);
	stat_add(&to->ns, from->ns);
	for (int i = 0; i < NODE_COUNTERS; i++)
		if (from->counters[i] + from->counting[i])
			stat_add(&to->counters[i], from->counters[i] + from->counting[i]);
}

void flow_fail(struct flow *f, const struct run_context *from, int error)
{
	pthread_mutex_lock(&f->lock);
	if (!f->error) {
		if (from) {
			f->run->err = from->err;
			f->run->failed = from->failed;
		}
		__atomic_store_n(&f->error, error, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&f->lock);
}

static void clear(struct weir_batch **b)
{
	weir_batch_unref(*b);
	*b = NULL;
}

/* ---- parallel stretches ---- */

/* The nodes of a graph count in cells[id], or in cells[place in the graph]. */
static void count_in(struct graph *g, struct node_stats *cells, bool by_id)
{
	for (uint32_t i = 0; i < g->n; i++)
		g->node[i].pub.counters = cells[by_id ? g->node[i].plan->id : i].counting;
}

static void run_parallel(struct hand *w, struct stage *st, struct slot *s)
{
	struct instance *in = &st->instance[w->id];
	struct batches was;

	count_in(in->graph, s->stats, true);
	for (uint32_t k = 0; k < s->in.n; k++) {
		struct weir_batch *b = s->in.batch[k];
		int r;

		s->in.batch[k] = NULL;
		if (flow_error(st->flow)) {
			weir_batch_unref(b);
			continue;
		}
		r = graph_push(in->graph, 0, b);
		if (r < 0)
			flow_fail(st->flow, &in->run, r);
	}
	was = s->in;
	was.n = 0;
	s->in = in->out;
	in->out = was;
}

/* ---- into lanes ---- */

/* Whether its source packs keys: then the split's own needs no columns. */
static bool packs(const struct weir_batch *b)
{
	while (b->parent)
		b = b->parent;
	return b->ops && b->ops->pack;
}

/* Fills what anybody behind reads. */
static int fill(const struct stage *st, struct weir_batch *b)
{
	const uint64_t *needs = stretch_entry(st->plan)->needs;

	if (st->plan->fill && packs(b))
		needs = st->plan->fill;
	for (uint32_t f = 0; f < b->schema->nfields; f++)
		if (bit_get(needs, f) && !weir_batch_col(b, f))
			return -ENOMEM;
	return 0;
}

/* Makes a token ready to enter: its batches filled and dealt. */
static int prepare(struct hand *w, struct stage *st, struct slot *s)
{
	bool keyed = st->plan->kind == STRETCH_KEYED;
	uint32_t nodes = st->plan->graph.n;
	int r = keyed ? batches_room(&s->cut, s->in.n * st->nlanes) : 0;

	if (keyed)
		memset(s->part, 0, st->nlanes * nodes * sizeof *s->part);
	for (uint32_t k = 0; k < s->in.n && r == 0; k++) {
		if (st->folds) { /* nobody else will look at it */
			s->cut.batch[k * st->nlanes + w->id % st->nlanes] =
			        weir_batch_ref(s->in.batch[k]);
			continue;
		}
		r = fill(st, s->in.batch[k]);
		if (!keyed || r < 0)
			continue;
		r = split_batch(&st->split, st->flow->pool[w->id], s->in.batch[k],
		        s->cut.batch + k * st->nlanes);
		batch_share(s->in.batch[k]);
	}
	return r;
}

static void lane_put(struct hand *w, struct lane *l, struct slot *s)
{
	uint32_t window = l->stage->flow->window;
	bool wake;

	pthread_mutex_lock(&l->lock);
	l->queue[(l->at + l->n++) % window] = s;
	wake = !l->scheduled;
	l->scheduled = true;
	pthread_mutex_unlock(&l->lock);
	if (wake)
		hand_put(&l->stage->flow->crew.hand[l->number % l->stage->flow->crew.n], &l->task);
}

static bool has_part(const struct slot *s, const struct stage *st, uint32_t lane)
{
	for (uint32_t k = 0; k < s->in.n && s->cut.n; k++)
		if (s->cut.batch[k * st->nlanes + lane])
			return true;
	return false;
}

/* Puts a token into the lanes; true: it is through already. With the gate. */
static bool enter_lanes(struct hand *w, struct stage *st, struct slot *s)
{
	uint32_t work = 0;
	uint64_t lanes[CREW_MAX / 64] = {0};

	for (uint32_t k = 0; k < s->in.n && s->cut.n; k++, st->entered++)
		for (uint32_t l = 0; l < st->nlanes; l++)
			if (s->cut.batch[k * st->nlanes + l])
				s->cut.batch[k * st->nlanes + l]->token = st->entered;
	for (uint32_t l = 0; l < st->nlanes; l++)
		if (has_part(s, st, l)) {
			bit_set(lanes, l);
			work++;
		}
	if (!work)
		return true;
	__atomic_store_n(&s->pending, work, __ATOMIC_RELEASE);
	for (uint32_t l = 0; l < st->nlanes && work; l++)
		if (bit_get(lanes, l)) {
			lane_put(w, &st->lane[l],
			        s); /* the last one may end it: s is not looked at */
			work--;
		}
	return false;
}

static void leave_lanes(struct hand *w, struct stage *st, struct slot *s);
static void leave_run(struct hand *w, struct task *t);

/* A token is ready for its stage: it enters when it is next, and so do those behind it. */
static void enter(struct hand *w, struct stage *st, struct slot *s)
{
	uint32_t window = st->flow->window;
	struct slot *through = NULL, **end = &through;

	pthread_mutex_lock(&st->gate);
	st->waiting[s->token % window] = s;
	while ((s = st->waiting[st->next % window])) {
		st->waiting[st->next++ % window] = NULL;
		if (st->plan->kind == STRETCH_SERIAL) {
			lane_put(w, &st->lane[0], s);
		} else if (enter_lanes(w, st, s)) {
			s->next = NULL;
			*end = s;
			end = &s->next;
		}
	}
	pthread_mutex_unlock(&st->gate);
	while ((s = through)) {
		through = s->next;
		leave_lanes(w, st, s);
	}
}

/* ---- in lanes ---- */

static bool is_view_of(const struct weir_batch *b, const struct weir_batch *of)
{
	while (b && b != of)
		b = b->parent;
	return b != NULL;
}

/* One batch of a lane; *at is its part, and then what it leaves of it, if anything. */
static int lane_push(struct lane *l, struct weir_batch **at)
{
	struct instance *in = l->instance;
	struct weir_batch *b = *at;
	int r;

	*at = NULL;
	weir_batch_ref(b);
	r = graph_push(in->graph, 0, b);
	if (r >= 0 && in->out.n) {
		*at = in->out.batch[--in->out.n];
		if (in->out.n || !is_view_of(*at, b)) {
			in->run.failed = stretch_last(l->stage->plan)->name;
			r = weir_fail_no(&in->run.err, EPROTO, WEIR_E_SYSTEM, WEIR_NOPOS, 0,
			        in->run.failed, "WEIR_VIEWS, and emits no view");
			clear(at);
		}
	}
	batches_drop(&in->out);
	weir_batch_unref(b);
	return r < 0 ? r : 0;
}

static void run_lane(struct hand *w, struct lane *l, struct slot *s)
{
	struct stage *st = l->stage;
	int r = 0;

	count_in(l->instance->graph, s->part + l->number * st->plan->graph.n, false);
	for (uint32_t k = 0; k < s->in.n; k++) {
		struct weir_batch **at = &s->cut.batch[k * st->nlanes + l->number];

		if (*at && !flow_error(st->flow))
			r = lane_push(l, at);
		else if (*at)
			clear(at);
		if (r < 0)
			flow_fail(st->flow, &l->instance->run, r);
	}
	if (st->folds)
		fold_count(l);
	if (__atomic_sub_fetch(&s->pending, 1, __ATOMIC_ACQ_REL))
		return;
	if (st->plan->blocking) {
		leave_lanes(w, st, s);
	} else {
		/* the lane goes on meanwhile */
		s->task.run = leave_run;
		hand_put(w, &s->task);
	}
}

/* What lanes counted, as one would have counted it: a batch that several got parts of is one. */
static void fold(struct stage *st, struct slot *s)
{
	uint32_t nodes = st->plan->graph.n;

	for (uint32_t i = 1; i < nodes; i++) {
		struct node_stats sum = {0};
		uint64_t in = 0, out = 0;

		for (uint32_t l = 0; l < st->nlanes; l++) {
			const struct node_stats *p = &s->part[l * nodes + i];

			stats_add(&sum, p);
			in = p->batches_in > in ? p->batches_in : in;
			out = p->batches_out > out ? p->batches_out : out;
		}
		sum.batches_in = in;
		sum.batches_out = out;
		stats_add(&s->stats[st->plan->graph.nodes[i]->id], &sum);
	}
}

/* The lanes have done with a token: what they left becomes what the next stage gets. */
static void leave_lanes(struct hand *w, struct stage *st, struct slot *s)
{
	const struct plan_node *last = stretch_last(st->plan);
	int64_t start = now_ns(CLOCK_MONOTONIC);
	uint32_t n = 0;
	int r = 0;

	fold(st, s);
	for (uint32_t k = 0; k < s->in.n; k++) {
		struct weir_batch *b = s->in.batch[k], *out = NULL;
		struct weir_batch **left = s->cut.n ? s->cut.batch + k * st->nlanes : NULL;

		if (!st->plan->blocking && left && r == 0)
			r = recombine(st->flow->pool[w->id], b, left, st->nlanes, last->out,
			        st->plan->map, last->needs, &out);
		else
			for (uint32_t l = 0; l < st->nlanes && left; l++)
				weir_batch_unref(left[l]);
		weir_batch_unref(b);
		if (out)
			s->in.batch[n++] = out;
	}
	s->in.n = n;
	s->cut.n = 0;
	if (r < 0)
		flow_fail(st->flow, NULL, r);
	s->ns += now_ns(CLOCK_MONOTONIC) - start;
	s->stage++;
	advance(w, s);
}

static void leave_run(struct hand *w, struct task *t)
{
	struct slot *s = (struct slot *)t;

	leave_lanes(w, &s->flow->stage[s->stage], s);
}

/* ---- the last lane ---- */

/* What the query's status says of the lanes. */
static void show(struct flow *f)
{
	uint64_t longest = 0, stolen = 0;

	for (uint32_t i = 0; i < f->nstages - 1; i++)
		for (uint32_t l = 0; l < f->stage[i].nlanes; l++) {
			uint64_t ns = stat_get(&f->stage[i].lane[l].ns);

			longest = ns > longest ? ns : longest;
		}
	for (uint32_t i = 0; i < f->crew.n; i++)
		stolen += stat_get(&f->crew.hand[i].stolen);
	__atomic_store_n(&f->run->lane_ns, longest, __ATOMIC_RELAXED);
	__atomic_store_n(&f->run->stolen, stolen, __ATOMIC_RELAXED);
}

/* With `error`, and behind the token that nothing was wanted after, a token leaves no trace. */
static void run_last(struct hand *w, struct lane *l, struct slot *s)
{
	struct flow *f = l->stage->flow;
	struct graph *g = l->instance->graph;
	int r = 0;

	if (!flow_error(f) && !f->done) {
		for (uint32_t k = 0; k < s->in.n && r == 0; k++) {
			r = graph_put(g, 0, s->in.batch[k]);
			s->in.batch[k] = NULL;
		}
		if (r >= 0)
			r = graph_settle(g);
		for (uint32_t i = 0; i < f->run->plan->nnodes; i++)
			stats_add(&f->run->stats[i], &s->stats[i]);
		if (r < 0)
			flow_fail(f, &l->instance->run, r);
		else if (!graph_wants(g, 0))
			__atomic_store_n(&f->done, true, __ATOMIC_RELEASE);
	}
	batches_drop(&s->in);
	stat_add(&f->run->deal_ns, (uint64_t)s->ns);
	if (s->token % SHOW == 0)
		show(f);
	__atomic_store_n(&f->left, s->token + 1, __ATOMIC_SEQ_CST);
	crew_notify(&f->crew);
	if (f->intake)
		intake_room(w, f->intake);
}

/* ---- tasks ---- */

void lane_run(struct hand *w, struct task *t)
{
	struct lane *l = (struct lane *)t;
	uint32_t window = l->stage->flow->window;
	int64_t start = now_ns(CLOCK_MONOTONIC);

	for (;;) {
		struct slot *s = NULL;
		int64_t now;

		pthread_mutex_lock(&l->lock);
		l->scheduled = l->n > 0;
		if (l->n) {
			s = l->queue[l->at];
			l->at = (l->at + 1) % window;
			l->n--;
		}
		pthread_mutex_unlock(&l->lock);
		if (!s)
			return;
		if (l->stage->plan->kind == STRETCH_SERIAL)
			run_last(w, l, s);
		else
			run_lane(w, l, s);
		now = now_ns(CLOCK_MONOTONIC);
		stat_add(&l->ns, (uint64_t)(now - start));
		start = now;
	}
}

static void advance(struct hand *w, struct slot *s)
{
	struct flow *f = s->flow;
	struct stage *st = &f->stage[s->stage];

	for (; st->plan->kind == STRETCH_PARALLEL; st = &f->stage[++s->stage])
		run_parallel(w, st, s);
	if (flow_error(f)) {
		batches_drop(&s->in);
		s->cut.n = 0;
	} else {
		int64_t start = now_ns(CLOCK_MONOTONIC);
		int r = prepare(w, st, s);

		s->ns += now_ns(CLOCK_MONOTONIC) - start;
		if (r < 0)
			flow_fail(f, NULL, r);
	}
	enter(w, st, s);
}

static uint32_t source_id(const struct plan *p)
{
	uint32_t i = 0;

	while (!p->root.nodes[i]->source)
		i++;
	return p->root.nodes[i]->id;
}

void slot_begin(struct slot *s, uint64_t number)
{
	const struct plan *p = s->flow->run->plan;
	struct node_stats *stats;

	memset(s->stats, 0, p->nnodes * sizeof *s->stats);
	stats = &s->stats[source_id(p)];
	stats->batches_out = 1;
	stats->records_out = weir_batch_count(s->in.batch[0]);
	s->task.run = slot_run;
	s->token = number;
	s->stage = 0;
	s->ns = 0;
}

void slot_run(struct hand *w, struct task *t)
{
	advance(w, (struct slot *)t);
}
