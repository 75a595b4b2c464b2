/* SPDX-License-Identifier: MIT */
/* flow.c: a flow made, fed, marked and ended; see flow.h. */
#include "engine/core/flow.h"

#include <stdlib.h>

#include "engine/core/engine.h"
#include "engine/core/fold.h"
#include "engine/core/intake.h"
#include "engine/core/recombine.h"

#define START 8 /* tokens that worker 0 works off alone before it gets company */

/* ---- instances ---- */

static int collect(void *arg, struct weir_batch *b)
{
	struct instance *in = arg;

	if (in->answer)
		return answer_part(in->answer, b);
	return batches_add(&in->out, weir_batch_ref(b));
}

/* Before there are other threads: they count in f->run. */
static int instance_open(struct flow *f, struct stage *st, struct instance *in)
{
	int r;

	in->run = *f->run;
	in->run.scheduler = &scheduler_depth;
	in->run.failed = NULL;
	if (st->plan->kind == STRETCH_SERIAL) {
		pool_ref(in->run.pool);
	} else {
		in->run.pool = pool_new(f->run->mem);
		in->run.rows = collect;
		in->run.arg = in;
	}
	if (!in->run.pool)
		return -ENOMEM;
	r = graph_new(&in->run, &st->plan->graph, NULL, 0, &in->graph);
	if (r < 0) {
		f->run->err = in->run.err;
		f->run->failed = in->run.failed;
	}
	return r;
}

/* A lane whose keys are numbered as they come, where there are others. */
static int lane_instance_open(struct stage *st, struct lane *l)
{
	int r = instance_open(st->flow, st, l->instance);

	if (r == 0 && st->plan->blocking && st->nlanes > 1)
		l->instance->graph->firsts = &l->firsts;
	return r;
}

void instance_close(struct instance *in)
{
	graph_free(in->graph);
	batches_drop(&in->out);
	free(in->out.batch);
	pool_unref(in->run.pool);
}

/* ---- stages ---- */

static int lane_open(struct stage *st, struct lane *l, uint32_t number)
{
	struct flow *f = st->flow;

	pthread_mutex_init(&l->lock, NULL);
	l->task.run = lane_run;
	l->stage = st;
	l->number = number;
	l->instance = &st->instance[number];
	l->firsts.mem = f->run->mem;
	l->queue = calloc(f->window, sizeof *l->queue);
	return l->queue ? 0 : -ENOMEM;
}

/* How many of its nodes are needed. */
static uint32_t instances(const struct flow *f, const struct stage *st)
{
	uint32_t n = f->crew.n;

	if (st->plan->kind == STRETCH_PARALLEL)
		return n;
	if (st->plan->kind == STRETCH_SERIAL || (st->plan->adds && !st->folds))
		return 1;
	if (st->plan->tables && n <= STRETCH_PAIR)
		return 1;
	return n * FLOW_LANES < CREW_MAX ? n * FLOW_LANES : CREW_MAX;
}

static int stage_open(struct flow *f, struct stage *st, const struct plan_stretch *plan)
{
	bool keyed = plan->kind == STRETCH_KEYED;
	int r = 0;

	pthread_mutex_init(&st->gate, NULL);
	st->flow = f;
	st->plan = plan;
	st->folds = plan->adds && f->crew.n > FLOW_FEW;
	st->ninstances = instances(f, st);
	st->nlanes = plan->kind == STRETCH_PARALLEL ? 0 : st->ninstances;
	st->waiting = calloc(f->window, sizeof *st->waiting);
	st->instance = calloc(st->ninstances, sizeof *st->instance);
	st->lane = calloc(st->nlanes + 1, sizeof *st->lane);
	if (!st->waiting || !st->instance || !st->lane)
		return -ENOMEM;
	if (keyed && !st->folds) {
		const struct weir_schema *in = stretch_entry(plan)->out;

		r = split_init(&st->split, f->run->mem, in, plan->key, plan->nkeys, st->nlanes);
		if (r == 0)
			r = split_lead(&st->split, in, plan->lead, plan->nlead, plan->lead_nulls);
	}
	for (uint32_t i = 0; i < st->nlanes; i++)
		if (lane_open(st, &st->lane[i], i) < 0)
			r = -ENOMEM;
	for (uint32_t i = 0; i < st->ninstances && r == 0; i++)
		r = st->nlanes ? lane_instance_open(st, &st->lane[i])
		               : instance_open(f, st, &st->instance[i]);
	if (st->folds && r == 0)
		r = instance_open(f, st, &st->whole);
	return r;
}

static void stage_close(struct stage *st)
{
	if (!st->flow)
		return;
	for (uint32_t i = 0; st->instance && i < st->ninstances; i++)
		instance_close(&st->instance[i]);
	instance_close(&st->whole);
	for (uint32_t i = 0; st->lane && i < st->nlanes; i++) {
		if (!st->lane[i].stage)
			continue;
		firsts_release(&st->lane[i].firsts);
		free(st->lane[i].queue);
		pthread_mutex_destroy(&st->lane[i].lock);
	}
	if (st->plan->kind == STRETCH_KEYED && !st->folds)
		split_release(&st->split);
	free(st->instance);
	free(st->lane);
	free(st->waiting);
	pthread_mutex_destroy(&st->gate);
}

/* ---- a flow ---- */

static int slots_open(struct flow *f)
{
	size_t parts = 1;

	for (uint32_t i = 0; i < f->nstages; i++)
		if (f->stage[i].plan->kind == STRETCH_KEYED &&
		        f->stage[i].nlanes * f->stage[i].plan->graph.n > parts)
			parts = f->stage[i].nlanes * f->stage[i].plan->graph.n;
	for (uint32_t i = 0; i < f->window; i++) {
		struct slot *s = &f->slot[i];

		s->flow = f;
		s->stats = calloc(f->run->plan->nnodes + 1, sizeof *s->stats);
		s->part = calloc(parts, sizeof *s->part);
		if (!s->stats || !s->part)
			return -ENOMEM;
	}
	return 0;
}

static bool zero_pages(void *arg)
{
	return tails_step(arg);
}

static int make(struct flow *f)
{
	const struct plan *p = f->run->plan;
	uint32_t lanes = 0;
	int r = 0;

	f->nstages = p->nstretches;
	f->stage = calloc(f->nstages, sizeof *f->stage);
	f->slot = calloc(f->window, sizeof *f->slot);
	f->pool = calloc(f->run->threads, sizeof *f->pool);
	if (!f->stage || !f->slot || !f->pool)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->nstages; i++)
		lanes += CREW_MAX;
	r = crew_init(&f->crew, f->run->threads, f->window + lanes + f->run->threads);
	if (r == 0)
		r = aid_init(&f->aid, f->run->mem, &f->crew);
	f->crew.spare_time = zero_pages;
	f->crew.spare_arg = &f->tails;
	for (uint32_t i = 0; i < f->run->threads && r == 0; i++) {
		f->pool[i] = pool_new(f->run->mem);
		r = f->pool[i] ? 0 : -ENOMEM;
	}
	for (uint32_t i = 0; i < f->nstages && r == 0; i++)
		r = stage_open(f, &f->stage[i], &p->stretch[i]);
	return r < 0 ? r : slots_open(f);
}

int flow_new(struct run_context *run, struct flow **ret)
{
	struct flow *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return -ENOMEM;
	f->run = run;
	f->window = run->tokens;
	pthread_mutex_init(&f->lock, NULL);
	tails_init(&f->tails, run->mem);
	r = make(f);
	if (r < 0) {
		flow_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

/* Nothing is in flight, and nothing comes. */
static bool is_empty(void *arg)
{
	const struct flow *f = arg;

	if (f->intake && !intake_rests(f->intake))
		return false;
	return __atomic_load_n(&f->left, __ATOMIC_SEQ_CST) ==
	       __atomic_load_n(&f->pushed, __ATOMIC_ACQUIRE);
}

static bool is_short(const struct weir_mem *m)
{
	size_t limit = m ? __atomic_load_n(&m->limit, __ATOMIC_RELAXED) : 0;

	return limit && __atomic_load_n(&m->used, __ATOMIC_RELAXED) > limit / 2;
}

static void trim(const struct flow *f)
{
	for (uint32_t i = 0; i < f->crew.n; i++)
		pool_trim(f->pool[i]);
	for (uint32_t i = 0; i < f->nstages; i++)
		for (uint32_t k = 0; k < f->stage[i].ninstances; k++)
			if (f->stage[i].instance[k].graph)
				pool_trim(f->stage[i].instance[k].run.pool);
}

bool flow_has_room(const struct flow *f)
{
	uint64_t n = __atomic_load_n(&f->pushed, __ATOMIC_RELAXED) -
	             __atomic_load_n(&f->left, __ATOMIC_SEQ_CST);

	if (!is_short(f->run->mem))
		return n < f->window;
	if (n == 0)
		trim(f);
	return n == 0;
}

static bool has_room(void *arg)
{
	return flow_has_room(arg);
}

void flow_free(struct flow *f)
{
	if (!f)
		return;
	if (f->intake)
		intake_stop(f->intake);
	if (f->intake || f->pushed) {
		flow_fail(f, NULL, -ECANCELED);
		crew_wait(&f->crew, is_empty, f);
	}
	crew_release(&f->crew);
	intake_close(f);
	for (uint32_t i = 0; f->stage && i < f->nstages; i++)
		stage_close(&f->stage[i]);
	for (uint32_t i = 0; f->slot && i < f->window; i++) {
		struct slot *s = &f->slot[i];

		free(s->in.batch);
		free(s->cut.batch);
		free(s->stats);
		free(s->part);
	}
	for (uint32_t i = 0; f->pool && i < f->run->threads; i++)
		pool_unref(f->pool[i]);
	free(f->stage);
	free(f->slot);
	free(f->pool);
	tails_release(&f->tails, f->run->mem);
	aid_release(&f->aid, f->run->mem);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

bool flow_wants(const struct flow *f)
{
	return !__atomic_load_n(&f->done, __ATOMIC_ACQUIRE);
}

/* Folds what is due; nothing may be pushed meanwhile. */
static void fold(struct flow *f)
{
	int r = 0;

	flow_hold(f, true);
	crew_wait(&f->crew, is_empty, f);
	for (uint32_t i = 0; i < f->nstages && r == 0 && !flow_error(f); i++)
		if (f->stage[i].folds)
			r = fold_stage(&f->stage[i], false);
	if (r < 0)
		flow_fail(f, f->run, r);
	flow_hold(f, false);
}

static int state(const struct flow *f)
{
	int error = flow_error(f);

	return error ? error : flow_wants(f) ? 0 : WEIR_DONE;
}

int flow_push(struct flow *f, struct weir_batch *b)
{
	struct crew *c = &f->crew;
	struct hand *w = &c->hand[0];
	struct slot *s;
	int r;

	if (fold_is_due(f, is_short(f->run->mem)))
		fold(f);
	crew_wait(c, has_room, f);
	s = &f->slot[f->pushed % f->window];
	r = state(f);
	if (r)
		weir_batch_unref(b);
	else
		r = batches_add(&s->in, b);
	if (r)
		return r;
	slot_begin(s, f->pushed);
	__atomic_store_n(&f->pushed, f->pushed + 1, __ATOMIC_RELEASE);
	hand_put(w, &s->task);
	if (f->pushed == START)
		crew_start(c);
	if (c->started == 1)
		crew_wait(c, is_empty, f);
	else /* there is enough for the others to steal: no need to read on right now */
		while (crew_queued(c) > c->n && hand_help(w))
			;
	return state(f);
}

/* ---- with an intake ---- */

bool flow_reads(struct flow *f, struct reader *r)
{
	int e = intake_open(f, r);

	if (e < 0)
		flow_fail(f, NULL, e);
	else if (f->intake)
		crew_start(&f->crew);
	return f->intake != NULL;
}

static bool has_ended(void *arg)
{
	struct flow *f = arg;

	return state(f) || (intake_ended(f->intake) && is_empty(f));
}

int flow_read(struct flow *f)
{
	int error;

	if (!has_ended(f)) {
		if (fold_is_due(f, is_short(f->run->mem)))
			fold(f);
		crew_step(&f->crew, has_ended, f);
		return 0;
	}
	if (state(f))
		return state(f);
	error = f->intake->error;
	if (error < 0)
		f->run->err = f->intake->err;
	return error < 0 ? error : WEIR_DONE;
}

void flow_hold(struct flow *f, bool hold)
{
	if (f->intake)
		intake_hold(f->intake, hold);
}

/* ---- marks ---- */

struct to_last {
	struct flow *f;
	int64_t ns; /* spent there */
};

static int push_last(void *arg, struct weir_batch *b)
{
	struct to_last *to = arg;
	int64_t start = now_ns(CLOCK_MONOTONIC);
	int r = graph_put(flow_last(to->f)->instance[0].graph, 0, b);

	to->ns += now_ns(CLOCK_MONOTONIC) - start;
	return r;
}

/* What the lanes of a stage answer, to the last stretch; counted as one node's. */
static int answer(struct flow *f, struct stage *st, enum weir_mark mark, bool goes_on)
{
	const struct plan_node *last = stretch_last(st->plan);
	uint32_t nodes = st->plan->graph.n, n = st->folds ? 1 : st->nlanes;
	struct node_stats *part = f->slot[0].part, *to = &f->run->stats[last->id], sum = {0};
	struct to_last out = {.f = f};
	struct answer a = {.nlanes = n,
	        .schema = last->out,
	        .needs = last->needs,
	        .pool = f->pool[0],
	        .emit = push_last,
	        .arg = &out};
	uint16_t *place = weir_alloc(f->run->mem, n * WEIR_BATCH_ROWS * sizeof *place);
	int64_t start = now_ns(CLOCK_MONOTONIC);
	int r = st->folds ? fold_stage(st, !goes_on) : 0;

	a.lane = weir_calloc(f->run->mem, n * sizeof *a.lane);
	memset(part, 0, n * nodes * sizeof *part);
	if (!a.lane || !place)
		r = -ENOMEM;
	for (uint32_t l = 0; r == 0 && l < n; l++) {
		struct instance *in = st->folds ? &st->whole : &st->instance[l];
		struct graph *g = in->graph;

		a.lane[l].node = &g->node[g->n - 1];
		a.lane[l].firsts = &st->lane[l].firsts;
		a.lane[l].place = place + l * WEIR_BATCH_ROWS;
		a.lane[l].node->pub.counters = part[l * nodes].counting;
		in->answer = &a;
	}
	if (r == 0)
		r = answer_merge(&a, mark);
	if (r < 0 && !f->run->failed)
		f->run->failed = last->name;
	for (uint32_t l = 0; l < n; l++) {
		(st->folds ? &st->whole : &st->instance[l])->answer = NULL;
		for (int i = 0; i < NODE_COUNTERS; i++)
			sum.counters[i] +=
			        part[l * nodes].counters[i] + part[l * nodes].counting[i];
	}
	sum.batches_out = a.batches;
	sum.records_out = a.records;
	sum.ns = (uint64_t)(now_ns(CLOCK_MONOTONIC) - start - out.ns);
	stats_add(to, &sum);
	weir_free(f->run->mem, place, n * WEIR_BATCH_ROWS * sizeof *place);
	weir_free(f->run->mem, a.lane, n * sizeof *a.lane);
	return r;
}

/* Says why the last stretch failed, if it did. */
static int failed(struct flow *f, int r)
{
	const struct instance *last = &flow_last(f)->instance[0];

	if (r < 0 && last->run.failed) {
		f->run->failed = last->run.failed;
		f->run->err = last->run.err;
	}
	return r;
}

/* Of all lanes, to the last stretch, which starts anew. */
static int answers(struct flow *f, enum weir_mark mark, bool goes_on)
{
	int r = graph_restart(flow_last(f)->instance[0].graph);

	for (uint32_t i = 0; i < f->nstages && r >= 0; i++)
		if (f->stage[i].plan->blocking)
			r = answer(f, &f->stage[i], mark, goes_on);
	return r;
}

int flow_mark(struct flow *f, bool end)
{
	int r;

	flow_hold(f, true);
	crew_wait(&f->crew, is_empty, f);
	if (end)
		tails_forget(&f->tails);
	r = flow_error(f);
	if (r < 0 && end)
		return r;
	r = answers(f, end ? WEIR_END : WEIR_REFRESH, !end);
	if (r >= 0)
		r = graph_mark(flow_last(f)->instance[0].graph, end);
	return failed(f, r);
}

static int stage_cut(struct stage *st)
{
	int r = st->whole.graph ? graph_cut(st->whole.graph, false) : 0;

	for (uint32_t i = 0; i < st->ninstances && r >= 0; i++)
		r = graph_cut(st->instance[i].graph, false);
	for (uint32_t i = 0; i < st->nlanes; i++)
		fold_clear(&st->lane[i]);
	return r;
}

int flow_cut(struct flow *f, bool answer)
{
	struct graph *last = flow_last(f)->instance[0].graph;
	int r;

	flow_hold(f, true);
	crew_wait(&f->crew, is_empty, f);
	r = flow_error(f);
	if (r >= 0 && !flow_wants(f)) /* it is at its end */
		return 0;
	if (r >= 0)
		r = answer ? answers(f, WEIR_END, true) : graph_restart(last);
	if (r >= 0)
		r = graph_anew(last, answer);
	for (uint32_t i = 0; i + 1 < f->nstages && r >= 0; i++)
		r = stage_cut(&f->stage[i]);
	return failed(f, r);
}

/* What ends by the clock stands in the last stretch. */
int flow_tick(struct flow *f, int64_t now, int64_t *ret_due)
{
	int r;

	crew_wait(&f->crew, is_empty, f);
	r = flow_error(f);
	return r < 0 ? r : failed(f, graph_tick(flow_last(f)->instance[0].graph, now, ret_due));
}
