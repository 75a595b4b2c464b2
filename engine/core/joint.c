/* SPDX-License-Identifier: MIT */
/* joint.c: who takes part in which joint pass, and the reader of a query that does; see joint.h. */
#include "engine/core/joint_parts.h"

#include <sched.h>
#include <stdlib.h>

#include "engine/core/run.h"

static struct reader *of(struct weir_reader *pub)
{
	return (struct reader *)pub; /* pub is the first member */
}

/* ---- who takes part; all with the lock of all ---- */

static bool same_trace(const struct member *a, const struct member *b)
{
	return a->of->source == b->of->source && a->of->config == b->of->config &&
	       cache_files_same(&a->reader->files, &b->reader->files);
}

static bool reads_from(const struct joint *j, const struct member *m)
{
	return j->of->source == m->of->source && j->of->config == m->of->config &&
	       cache_files_same(&j->reader->files, &m->reader->files);
}

static struct joint *find_open(const struct member *m)
{
	struct joint *j = m->all->passes;

	while (j && !(reads_from(j, m) && pass_is_open(j)))
		j = j->next;
	return j;
}

static uint32_t threads_of(const struct member *m)
{
	const struct run_context *run = &m->run->context;

	return run->scheduler == &scheduler_workers ? run->threads : 1;
}

static void enter(struct joint *j, struct member *m)
{
	pass_enter(j, m);
	j->threads += threads_of(m);
	m->all->joined++;
	__atomic_sub_fetch(&m->of->passes, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&m->of->joined, 1, __ATOMIC_RELAXED);
}

static void stay_alone(struct member *m)
{
	m->alone = true;
	m->next = m->all->alone;
	m->all->alone = m;
}

static void unlist(struct member *m)
{
	struct member **p;

	if (!m->alone)
		return;
	for (p = &m->all->alone; *p != m; p = &(*p)->next)
		;
	*p = m->next;
	m->alone = false;
}

static bool is_near(const struct member *o, const struct member *m)
{
	return same_trace(o, m) && !__atomic_load_n(&o->rests, __ATOMIC_RELAXED) &&
	       __atomic_load_n(&o->packets, __ATOMIC_RELAXED) <= JOINT_NEAR;
}

/* Whether to begin a pass: there are more threads than CPUs, and somebody would come along. */
static bool is_crowd(const struct member *m)
{
	uint32_t threads = threads_of(m), near = 0;

	for (const struct member *o = m->all->alone; o; o = o->next) {
		threads += threads_of(o);
		near += is_near(o, m);
	}
	for (const struct joint *j = m->all->passes; j; j = j->next)
		threads += j->threads;
	return near && threads > m->all->cpus;
}

static struct joint *begin_pass(struct member *m)
{
	struct joints *js = m->all;
	struct joint *j;

	if (pass_open(m, &j) < 0)
		return NULL;
	j->next = js->passes;
	js->passes = j;
	js->begun++;
	__atomic_add_fetch(&m->of->passes, 1, __ATOMIC_RELAXED);
	for (struct member *o = js->alone; o; o = o->next)
		if (is_near(o, m))
			__atomic_store_n(&o->invited, true, __ATOMIC_RELEASE);
	return j;
}

/* Before the first batch. */
static void begin(struct member *m)
{
	struct joint *j;

	m->begun = true;
	pthread_mutex_lock(&m->all->lock);
	j = find_open(m);
	if (!j && is_crowd(m))
		j = begin_pass(m);
	if (j)
		enter(j, m);
	else
		stay_alone(m);
	pthread_mutex_unlock(&m->all->lock);
}

/* A pass has begun that the query, which has had some packets, may go on with. */
static void follow_invitation(struct member *m)
{
	struct joint *j;

	pthread_mutex_lock(&m->all->lock);
	__atomic_store_n(&m->invited, false, __ATOMIC_RELAXED);
	j = m->alone && m->packets <= JOINT_NEAR ? find_open(m) : NULL;
	if (j) {
		unlist(m);
		enter(j, m);
	}
	pthread_mutex_unlock(&m->all->lock);
}

/* Out of whatever list it is in. */
static void quit(struct member *m)
{
	struct joint *j = m->joint, **p;

	pthread_mutex_lock(&m->all->lock);
	unlist(m);
	if (j)
		j->threads -= threads_of(m);
	if (j && pass_quit(j, m)) {
		for (p = &m->all->passes; *p != j; p = &(*p)->next)
			;
		*p = j->next;
	} else {
		j = NULL;
	}
	pthread_mutex_unlock(&m->all->lock);
	pass_free(j);
}

/* It goes on by itself: that is another pass. */
static void leave(struct member *m)
{
	__atomic_store_n(&m->run->left_at, m->packets + 1, __ATOMIC_RELAXED);
	quit(m);
	__atomic_add_fetch(&m->all->left, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&m->of->passes, 1, __ATOMIC_RELAXED);
}

/* ---- a member's reader ---- */

/* From its own reader, which may have to catch up. */
static int read_own(struct member *m, struct weir_batch **ret, struct weir_err *err)
{
	for (;;) {
		int r = m->source->read(&m->reader->pub, ret, err);
		uint64_t at = m->own, skip;

		if (r != 1)
			return r;
		m->own += (*ret)->n;
		if (m->own > m->packets) {
			skip = m->packets - at;
			__atomic_store_n(&m->packets, m->own, __ATOMIC_RELAXED);
			if (!skip || batch_cut(*ret, (uint32_t)skip) == 0)
				return 1;
		}
		weir_batch_unref(*ret);
		*ret = NULL;
		if (m->own > m->packets)
			return -ENOMEM;
	}
}

static int over(struct member *m)
{
	struct faults *from = &m->joint->faults;

	for (uint64_t i = 0; i < from->count && i < FAULTS_MAX; i++)
		faults_add(m->reader->faults, from->fault[i].file, from->fault[i].offset,
		        from->fault[i].text);
	__atomic_store_n(
	        &m->reader->pub.bytes_done, m->joint->reader->pub.bytes_done, __ATOMIC_RELAXED);
	cache_pass_ended(m->reader, m->packets);
	return 0;
}

/* From the pass; JOINT_LEFT: no more. */
static int read_joint(struct member *m, struct weir_batch **ret)
{
	for (;;) {
		struct chunk *c = m->chunk;
		int r;

		while (c && m->at < c->n) {
			const struct chunk_batch *from = &c->batch[m->at++];

			if (from->end <= m->packets)
				continue;
			*ret = chunk_serve(c, from, &m->reader->pub, m->packets);
			if (!*ret)
				return -ENOMEM;
			__atomic_store_n(&m->packets, from->end, __ATOMIC_RELAXED);
			__atomic_store_n(&m->reader->pub.bytes_done, from->done, __ATOMIC_RELAXED);
			return 1;
		}
		r = pass_next(m->joint, m);
		if (r != 1)
			return r == 0 ? over(m) : r;
	}
}

static int read_member(struct weir_reader *pub, struct weir_batch **ret, struct weir_err *err)
{
	struct member *m = of(pub)->member;
	int r;

	if (__atomic_load_n(&m->rests, __ATOMIC_RELAXED))
		__atomic_store_n(&m->rests, false, __ATOMIC_RELAXED);
	if (!m->begun)
		begin(m);
	else if (__atomic_load_n(&m->invited, __ATOMIC_ACQUIRE))
		follow_invitation(m);
	if (m->joint) {
		r = read_joint(m, ret);
		if (r != JOINT_LEFT)
			return r;
		leave(m);
	}
	return read_own(m, ret, err);
}

/* One that takes part from the beginning has no pieces of its own. */
static int pieces_member(struct weir_reader *pub, uint32_t ahead, uint32_t workers)
{
	struct member *m = of(pub)->member;

	if (!m->begun)
		begin(m);
	return m->joint || !m->source->pieces ? 0 : m->source->pieces(pub, ahead, workers);
}

static int fetch_member(struct weir_reader *pub, uint64_t number, uint32_t worker)
{
	return of(pub)->member->source->fetch(pub, number, worker);
}

/* Back to the reader's own source. */
static void close_member(struct weir_reader *pub)
{
	struct reader *r = of(pub);
	struct member *m = r->member;

	quit(m);
	r->source = m->source;
	r->member = NULL;
	if (r->source->close)
		r->source->close(pub);
	free(m);
}

static const struct weir_source member = {
        .abi = WEIR_ABI,
        .name = "joint",
        .summary = "a pass that others may take part in",
        .read = read_member,
        .pieces = pieces_member,
        .fetch = fetch_member,
        .close = close_member,
};

void joint_attach(struct run *run, struct reader *r, const struct plan_node *n)
{
	struct joints *js = run->e->joints;
	struct member *m;

	if (!js || !n->mounted || n->own || run->plan->nsources != 1 || !r->pub.steady ||
	        r->pub.bytes_total < js->bytes || !cache_files_known(&r->files) ||
	        !compact_covers(r->pub.schema, n->needs) || !compact_decodes(n->needs))
		return;
	m = malloc(sizeof *m);
	if (!m)
		return;
	*m = (struct member){
	        .source = r->source, .all = js, .run = run, .reader = r, .of = n->mounted};
	r->member = m;
	r->source = &member;
}

void joint_rest(struct reader *r)
{
	struct member *m = r ? r->member : NULL;

	if (!m)
		return;
	__atomic_store_n(&m->rests, true, __ATOMIC_RELAXED);
	pthread_mutex_lock(&m->all->lock);
	if (m->joint)
		pass_put_out(m->joint, m);
	pthread_mutex_unlock(&m->all->lock);
}

/* ---- all ---- */

static uint32_t cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : (uint32_t)CPU_COUNT(&set);
}

struct joints *joints_new(void)
{
	struct joints *js = calloc(1, sizeof *js);

	if (!js)
		return NULL;
	js->mem = mem_new(JOINT_MEMORY);
	if (!js->mem) {
		free(js);
		return NULL;
	}
	js->cpus = cpus();
	js->bytes = JOINT_BYTES;
	pthread_mutex_init(&js->lock, NULL);
	pthread_mutex_init(&js->chunk_lock, NULL);
	return js;
}

void joints_set(struct joints *js, uint32_t n, uint64_t bytes, size_t memory)
{
	js->cpus = n;
	js->bytes = bytes;
	js->mem->limit = memory;
}

void joints_free(struct joints *js)
{
	if (!js)
		return;
	pthread_mutex_destroy(&js->chunk_lock);
	pthread_mutex_destroy(&js->lock);
	mem_unref(js->mem);
	free(js);
}

void joints_text(struct joints *js, struct text *to)
{
	if (!js)
		return;
	pthread_mutex_lock(&js->lock);
	text_printf(to,
	        "joint_passes: %llu\njoint_queries: %llu\njoint_left: %llu\njoint_bytes: %zu\n",
	        (unsigned long long)js->begun, (unsigned long long)js->joined,
	        (unsigned long long)__atomic_load_n(&js->left, __ATOMIC_RELAXED),
	        __atomic_load_n(&js->mem->used, __ATOMIC_RELAXED));
	pthread_mutex_unlock(&js->lock);
}
