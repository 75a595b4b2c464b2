/* SPDX-License-Identifier: MIT */
/* run.c: the loop that every query is. */
#include "engine/core/run.h"
#include "engine/core/spill_file.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/core/plugin.h"

#define WATCH_NS (120ll * 1000000000) /* a look keeps a table fresh for two minutes */
#define RESERVE (64ull << 20)         /* beyond the limit, to let a full query answer */
#define IDLE_NS (200ll * 1000000)     /* longest sleep where the source says nothing */
#define TICK_BATCHES 16               /* between two looks at the sink's clock */
#define SMALL (4ull << 20)            /* bytes of a source that one thread has read in no time */
#define TOKEN_BYTES (4ull << 20)      /* of the memory limit, for each batch in flight */
#define IDLE_FDS 16                   /* sources waited for at once; others wait for IDLE_NS */

static int rows_to_result(void *arg, struct weir_batch *b)
{
	struct run *r = arg;

	return result_add(r->result, b);
}

static int rows_to_sink(void *arg, struct weir_batch *b)
{
	struct run *r = arg;

	int ret;

	pthread_mutex_lock(&r->sink_lock);
	ret = r->sink.rows(r->sink.arg, b);
	pthread_mutex_unlock(&r->sink_lock);
	return ret;
}

static void tick(struct run *r, bool waits)
{
	pthread_mutex_lock(&r->sink_lock);
	r->sink.tick(r->sink.arg, waits);
	pthread_mutex_unlock(&r->sink_lock);
}

/* A source or a module may have put it in words of its own: the limit is what matters. */
static int at_limit(
        struct run *r, struct weir_err *err, uint32_t pos, uint32_t len, const char *where)
{
	char limit[32];
	uint64_t mb = r->mem->limit >> 20;

	if (mb)
		snprintf(limit, sizeof limit, "%llu MiB", (unsigned long long)mb);
	else
		snprintf(
		        limit, sizeof limit, "%llu KiB", (unsigned long long)(r->mem->limit >> 10));
	*err = (struct weir_err)WEIR_ERR_INIT;
	return weir_fail(err, WEIR_E_MEMORY_LIMIT, pos, len, limit, where);
}

/* Ends a sleep in idle(); with the lock held. */
static void nudge(struct run *r)
{
	pthread_cond_broadcast(&r->wake);
	if (r->event >= 0)
		(void)eventfd_write(r->event, 1);
}

/* A feed has something. */
static void wake(void *arg)
{
	struct run *r = arg;

	pthread_mutex_lock(&r->lock);
	r->more = true;
	nudge(r);
	pthread_mutex_unlock(&r->lock);
}

static void leave_feeds(struct run *r)
{
	for (uint32_t i = 0; r->links && i < r->plan->nsources; i++)
		if (r->links[i].feed)
			feed_leave(&r->links[i]);
}

/* A plug-in may read fields that it did not name: then only the file has them all. */
static bool has_plugins(const struct plan_graph *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];

		if (n->module && plugin_of(n->module))
			return true;
		for (uint32_t k = 0; k < n->nbodies; k++)
			if (has_plugins(&n->bodies[k]))
				return true;
	}
	return false;
}

static void attach(struct run *r, const struct plan_node *n)
{
	if (r->e->cache && !n->own)
		r->served +=
		        cache_attach(r, r->readers[n->reader], n, !has_plugins(&r->plan->root));
}

static int open_sources(struct run *r, struct weir_err *err)
{
	const struct plan_graph *g = &r->plan->root;

	r->readers = calloc(r->plan->nsources + 1, sizeof *r->readers);
	r->links = calloc(r->plan->nsources + 1, sizeof *r->links);
	if (!r->readers || !r->links)
		return -ENOMEM;
	for (uint32_t i = 0; i < g->n; i++) {
		const struct plan_node *n = g->nodes[i];
		struct rights all = {.all = true};
		struct weir_err why = WEIR_ERR_INIT;
		int ret = 0;

		if (!n->source)
			continue;
		if (n->mounted && n->mounted->feed) {
			struct feed_link *l = &r->links[n->reader];

			*l = (struct feed_link){.feed = n->mounted->feed,
			        .name = n->mounted->name,
			        .wake = wake,
			        .arg = r,
			        .mem = r->mem,
			        .faults = &r->faults};
			ret = feed_open(l, r->e, &r->readers[n->reader], err);
			if (ret < 0)
				return ret;
			continue;
		}
		if (n->mounted)
			__atomic_add_fetch(&n->mounted->passes, 1, __ATOMIC_RELAXED);
		ret = reader_open(n->source, n->config, n->own ? &r->rights : &all, r->e, r->mem,
		        &r->faults, &r->readers[n->reader], &why);
		if (ret == -ENOMEM && r->mem->denied && err)
			return at_limit(r, err, n->pos, n->len, n->name);
		if (ret < 0)
			return why.id ? weir_fail_no(err, why.no, WEIR_E_BAD_TRACE, n->pos, n->len,
			                        why.text)
			              : ret;
		attach(r, n);
	}
	return 0;
}

static void run_free(struct run *r)
{
	for (uint32_t i = 0; r->readers && i < r->plan->nsources; i++)
		reader_close(r->readers[i]);
	free(r->readers);
	free(r->links);
	if (r->event >= 0)
		close(r->event);
	result_unref(r->result);
	pool_unref(r->context.pool);
	free(r->context.stats);
	faults_release(&r->faults);
	mem_unref(r->mem);
	plan_free(r->plan);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->sink_lock);
	free(r);
}

/* Threads cost something to start, and batches in flight memory: for little work one thread does.
 */
static bool is_worth_threads(const struct run *r)
{
	uint64_t total = 0;

	if (r->plan->set.threads < 2 || !r->plan->nstretches || r->plan->nspills)
		return false;
	for (uint32_t i = 0; i < r->plan->nsources; i++)
		total += r->readers[i]->pub.bytes_total;
	return !total || total >= SMALL;
}

static void choose_scheduler(struct run *r)
{
	const struct settings *set = &r->plan->set;
	uint64_t tokens = set->tokens ? set->tokens : 4 * set->threads + 4;
	uint64_t most = set->memory / TOKEN_BYTES;
	bool many = (set->scheduler == PLAN_WORKERS && !r->plan->nspills) ||
	            (set->scheduler == PLAN_AUTO && is_worth_threads(r));

	if (set->memory && tokens > most)
		tokens = most;
	if (set->scheduler == PLAN_BREADTH)
		r->context.scheduler = &scheduler_breadth;
	else if (many && tokens > set->threads)
		r->context.scheduler = &scheduler_workers;
	r->context.threads = (uint32_t)set->threads;
	r->context.tokens = (uint32_t)tokens;
}

int run_new(struct engine *e, struct plan *plan, const struct rights *rights,
        const struct query_sink *sink, struct run **ret, struct weir_err *err)
{
	struct run *r = calloc(1, sizeof *r);
	pthread_condattr_t attr;
	int res;

	if (!r) {
		plan_free(plan);
		return -ENOMEM;
	}
	r->begun = r->refreshed = now_ns(CLOCK_MONOTONIC); /* others see it before it starts */
	r->refs = 1;
	r->event = -1;
	r->e = e;
	r->plan = plan;
	r->rights = *rights;
	r->mem = mem_new(plan->set.memory);
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->sink_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &attr);
	pthread_condattr_destroy(&attr);
	faults_init(&r->faults);
	r->err = (struct weir_err)WEIR_ERR_INIT;
	r->context = (struct run_context){.plan = plan,
	        .scheduler = &scheduler_depth,
	        .mem = r->mem,
	        .pool = pool_new(r->mem),
	        .rights = *rights,
	        .stats = calloc(plan->nnodes + 1, sizeof(struct node_stats)),
	        .rows = sink ? rows_to_sink : rows_to_result,
	        .arg = r,
	        .err = WEIR_ERR_INIT};
	if (sink)
		r->sink = *sink;
	else
		r->result = result_new(plan->out, !plan->table, plan->set.retain, r->mem);
	res = r->mem && r->context.pool && r->context.stats && (sink || r->result) ? 0 : -ENOMEM;
	if (res == 0 && plan->nspills)
		res = spill_try(plan, rights, err);
	if (res == 0)
		res = open_sources(r, err);
	if (res < 0) {
		run_free(r);
		return res;
	}
	choose_scheduler(r);
	*ret = r;
	return 0;
}

struct run *run_ref(struct run *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void run_unref(struct run *r)
{
	if (r && __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) == 0)
		run_free(r);
}

static void attend(struct run *r)
{
	__atomic_store_n(&r->attention, 1, __ATOMIC_RELEASE);
	nudge(r);
}

void run_stop(struct run *r)
{
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	attend(r);
	pthread_mutex_unlock(&r->lock);
	leave_feeds(r); /* whatever it works on still, nobody waits for it */
}

void run_pause(struct run *r, bool pause)
{
	pthread_mutex_lock(&r->lock);
	if (r->state == QUERY_RUNNING || r->state == QUERY_PAUSED) {
		r->pause = pause;
		attend(r);
	}
	pthread_mutex_unlock(&r->lock);
}

void run_refresh(struct run *r)
{
	pthread_mutex_lock(&r->lock);
	r->refresh = true;
	attend(r);
	pthread_mutex_unlock(&r->lock);
}

bool run_watch(struct run *r, int64_t now)
{
	bool fresh;

	pthread_mutex_lock(&r->lock);
	r->watched = now + WATCH_NS;
	fresh = r->state != QUERY_RUNNING;
	if (!fresh)
		attend(r);
	pthread_mutex_unlock(&r->lock);
	return fresh;
}

enum query_state run_state(struct run *r)
{
	enum query_state s;

	pthread_mutex_lock(&r->lock);
	s = r->state;
	pthread_mutex_unlock(&r->lock);
	return s;
}

/* ---- the thread ---- */

static int publish(struct run *r)
{
	int ret;

	if (!r->result)
		return rows_to_sink(r, NULL);
	if (result_is_log(r->result))
		return 0;
	ret = result_publish(r->result, now_ns(CLOCK_REALTIME));
	if (ret == 1)
		__atomic_add_fetch(&r->versions, 1, __ATOMIC_RELAXED);
	return ret < 0 ? ret : 0;
}

static int refresh(struct run *r, struct graph *g)
{
	int64_t start = now_ns(CLOCK_MONOTONIC);
	int ret;

	__atomic_store_n(&r->refreshed, start, __ATOMIC_RELAXED);
	if (!r->plan->table || !r->result)
		return 0;
	result_restart(r->result);
	ret = graph_refresh(g);
	if (ret == 0)
		ret = publish(r);
	if (stat_get(&r->context.spilled)) { /* reading the disk is a fifth of the work at most */
		int64_t end = now_ns(CLOCK_MONOTONIC);

		__atomic_store_n(&r->refreshed, end + 4 * (end - start), __ATOMIC_RELAXED);
	}
	r->changed(r->arg, r, false);
	return ret;
}

static int finish(struct run *r, struct graph *g)
{
	int ret;

	if (r->plan->table && r->result)
		result_restart(r->result);
	ret = graph_end(g);
	if (ret == 0 && r->result)
		result_end(r->result);
	return ret == 0 ? publish(r) : ret;
}

static void pause_feeds(struct run *r, bool pause)
{
	for (uint32_t i = 0; i < r->plan->nsources; i++)
		if (r->links[i].feed)
			feed_pause(&r->links[i], pause);
}

/* Waits while paused; with the lock held. */
static void rest(struct run *r)
{
	/* feeds wake with their lock held: not with this one */
	pthread_mutex_unlock(&r->lock);
	pause_feeds(r, true);
	pthread_mutex_lock(&r->lock);
	while (r->pause && !r->stop && !r->refresh) {
		r->state = QUERY_PAUSED;
		pthread_cond_wait(&r->wake, &r->lock);
	}
	if (r->pause && !r->stop) {
		__atomic_store_n(&r->attention, 1, __ATOMIC_RELAXED); /* it rests again */
		return;
	}
	pthread_mutex_unlock(&r->lock);
	pause_feeds(r, false);
	pthread_mutex_lock(&r->lock);
}

/* Waits while paused; whether to go on. *ret_refresh: somebody asked. */
static bool attention(struct run *r, bool *ret_refresh, bool *ret_watched)
{
	int64_t now = now_ns(CLOCK_MONOTONIC);
	bool go;

	pthread_mutex_lock(&r->lock);
	__atomic_store_n(&r->attention, 0, __ATOMIC_RELAXED);
	if (r->pause && !r->stop)
		rest(r);
	if (r->state == QUERY_PAUSED && !r->pause)
		r->state = QUERY_RUNNING;
	*ret_refresh = r->refresh;
	r->refresh = false;
	*ret_watched = r->watched > now;
	go = !r->stop;
	pthread_mutex_unlock(&r->lock);
	return go;
}

/* The next batch of a reader. The one that is behind in time goes first, so that several sources
 * run in step. */
struct head {
	struct weir_batch *batch;
	int64_t ts;
	bool end;
	bool waits; /* it has none yet */
	uint32_t node;
};

static bool is_nudged(const struct run *r)
{
	return r->more || __atomic_load_n(&r->attention, __ATOMIC_RELAXED);
}

/* Sleeps in poll(2) for sources that have descriptors: p[1..n]; p[0] is for the run's own. With
 * the lock held, given up meanwhile. */
static void idle_in_poll(struct run *r, struct pollfd *p, uint32_t n, int64_t ns)
{
	eventfd_t count;

	if (r->event < 0)
		r->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	else
		(void)eventfd_read(r->event, &count);
	if (is_nudged(r))
		return;
	p[0] = (struct pollfd){.fd = r->event, .events = POLLIN};
	pthread_mutex_unlock(&r->lock);
	poll(p, n + 1, (int)(ns / 1000000) + 1);
	pthread_mutex_lock(&r->lock);
}

/* Sleeps until a source has more, somebody wants something, or `until`. */
static void idle(struct run *r, const struct head *head, int64_t until)
{
	int64_t now = now_ns(CLOCK_MONOTONIC), at = now + IDLE_NS;
	struct pollfd p[1 + IDLE_FDS];
	struct timespec t;
	uint32_t n = 0;

	if (until && until < at)
		at = until;
	for (uint32_t i = 0; i < r->plan->nsources; i++) {
		const struct weir_reader *pub = &r->readers[i]->pub;

		if (!head[i].waits)
			continue;
		if (pub->wake && pub->wake < at)
			at = pub->wake;
		if (pub->wake_fd >= 0 && n < IDLE_FDS)
			p[++n] = (struct pollfd){.fd = pub->wake_fd, .events = POLLIN};
	}
	if (at <= now)
		return;
	t = (struct timespec){at / 1000000000, at % 1000000000};
	pthread_mutex_lock(&r->lock);
	if (n)
		idle_in_poll(r, p, n, at - now);
	while (!n && !is_nudged(r) && pthread_cond_timedwait(&r->wake, &r->lock, &t) == 0)
		;
	r->more = false;
	pthread_mutex_unlock(&r->lock);
}

static int fail(struct run *r, int ret)
{
	struct weir_err *err = &r->context.err;

	if (ret == -ENOMEM && r->mem->denied) {
		at_limit(r, err, WEIR_NOPOS, 0,
		        r->context.failed ? r->context.failed : "the source");
	} else if (err->id == WEIR_E_NONE) {
		weir_fail_no(err, -ret, WEIR_E_SYSTEM, WEIR_NOPOS, 0,
		        r->context.failed ? r->context.failed : "query", strerror(-ret));
	}
	return ret;
}

static int64_t first_time(struct weir_batch *b)
{
	int f = weir_schema_find(b->schema, "ts", 2);
	const struct weir_col *c = f < 0 ? NULL : weir_batch_col(b, (uint32_t)f);
	uint32_t row = weir_batch_count(b) ? weir_batch_row(b, 0) : 0;

	return c && weir_col_has(c, row) ? weir_col_i64(c)[row] : INT64_MIN;
}

static int next_batch(struct run *r, struct head *head, uint32_t n, uint32_t *ret)
{
	int best = -1, wait = -1;

	for (uint32_t i = 0; i < n; i++) {
		struct head *h = &head[i];
		struct reader *reader = r->readers[i];

		if (!h->batch && !h->end) {
			int got = reader->source->read(&reader->pub, &h->batch, &r->context.err);

			h->waits = got == -EAGAIN;
			if (h->waits) {
				wait = (int)i;
				continue;
			}
			if (got < 0)
				return got;
			h->end = got == 0;
			if (got > 0 && n > 1)
				h->ts = first_time(h->batch);
		}
		if (h->batch && (best < 0 || h->ts < head[best].ts))
			best = (int)i;
	}
	if (wait >= 0 && (best < 0 || n > 1)) {
		*ret = (uint32_t)wait;
		return -EAGAIN;
	}
	*ret = (uint32_t)best;
	return best >= 0;
}

/* The same, timed: reading is a lane of its own. */
static int read_batch(struct run *r, struct head *head, uint32_t *ret)
{
	int64_t start = now_ns(CLOCK_MONOTONIC);
	int got = next_batch(r, head, r->plan->nsources, ret);

	stat_add(&r->context.read_ns, (uint64_t)(now_ns(CLOCK_MONOTONIC) - start));
	return got;
}

/* Records that the query has had: with worker threads some were read that it no longer wanted. */
static uint64_t taken(const struct run *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->plan->root.n; i++)
		if (r->plan->root.nodes[i]->source)
			n += stat_get(&r->context.stats[r->plan->root.nodes[i]->id].records_out);
	return n;
}

/* How far it is: so many records have been read. */
static void progress(struct run *r, uint64_t records)
{
	uint64_t bytes = 0, total = 0;

	for (uint32_t i = 0; i < r->plan->nsources; i++) {
		bytes += __atomic_load_n(&r->readers[i]->pub.bytes_done, __ATOMIC_RELAXED);
		total += r->readers[i]->pub.bytes_total;
	}
	__atomic_store_n(&r->bytes, bytes, __ATOMIC_RELAXED);
	__atomic_store_n(&r->total, total, __ATOMIC_RELAXED);
	__atomic_store_n(&r->records, records, __ATOMIC_RELAXED);
}

static bool wanted(const struct run *r, const struct graph *g, const struct head *head)
{
	for (uint32_t i = 0; i < r->plan->nsources; i++)
		if (!head[i].end && graph_wants(g, head[i].node))
			return true;
	return false;
}

/* Between batches: 0 to go on, 1 to stop, -errno. *refreshed is set where a mark went through. */
static int look_up(struct run *r, struct graph *g, bool *watched, bool *refreshed)
{
	bool now = false;

	while (__atomic_load_n(&r->attention, __ATOMIC_ACQUIRE)) {
		int ret = 0;

		if (!attention(r, &now, watched))
			return 1;
		if (now)
			ret = refresh(r, g);
		*refreshed |= now;
		if (ret < 0)
			return ret;
	}
	if (*watched && r->plan->table &&
	        now_ns(CLOCK_MONOTONIC) >= r->refreshed + r->plan->set.refresh) {
		attention(r, &now, watched);
		*refreshed |= *watched;
		return *watched ? refresh(r, g) : 0;
	}
	return 0;
}

static int loop(struct run *r, struct graph *g, struct head *head, bool *ret_stopped)
{
	bool watched = false, refreshed;
	uint32_t i = 0, batches = 0;
	int ret;

	while (wanted(r, g, head)) {
		ret = look_up(r, g, &watched, &refreshed);
		if (ret) {
			*ret_stopped = ret > 0;
			return ret < 0 ? ret : 0;
		}
		ret = read_batch(r, head, &i);
		if (r->sink.tick && (ret == -EAGAIN || ++batches % TICK_BATCHES == 0))
			tick(r, ret == -EAGAIN);
		if (ret == -EAGAIN) {
			idle(r, head,
			        watched && r->plan->table ? r->refreshed + r->plan->set.refresh
			                                  : 0);
			continue;
		}
		if (ret <= 0)
			return ret;
		progress(r, r->records + weir_batch_count(head[i].batch));
		ret = graph_push(g, head[i].node, head[i].batch);
		head[i].batch = NULL;
		if (ret < 0)
			return ret;
		if (ret == WEIR_DONE) {
			head[i].end = true;
			if (r->links[i].feed)
				feed_leave(&r->links[i]);
		}
	}
	return 0;
}

/* The same where the graph reads by itself. While the run rests, so does that. */
static int loop_beside(struct run *r, struct graph *g, bool *ret_stopped)
{
	bool watched = false, held = false;
	uint32_t steps = 0;
	int ret;

	do {
		if (__atomic_load_n(&r->attention, __ATOMIC_ACQUIRE)) {
			graph_hold(g, true);
			held = true;
		}
		ret = look_up(r, g, &watched, &held);
		if (ret) {
			*ret_stopped = ret > 0;
			return ret < 0 ? ret : 0;
		}
		if (held)
			graph_hold(g, false);
		held = false;
		ret = graph_read(g);
		if (r->sink.tick && ++steps % TICK_BATCHES == 0)
			tick(r, false);
		progress(r, stat_get(&r->context.read));
	} while (ret == 0);
	return ret < 0 ? ret : 0;
}

static void count_sources(struct run *r)
{
	for (uint32_t i = 0; i < r->plan->root.n; i++) {
		const struct plan_node *n = r->plan->root.nodes[i];

		if (!n->mounted || n->mounted->feed)
			continue;
		__atomic_add_fetch(&n->mounted->records,
		        stat_get(&r->context.stats[n->id].records_out), __ATOMIC_RELAXED);
		__atomic_add_fetch(&n->mounted->bytes, r->readers[n->reader]->pub.bytes_done,
		        __ATOMIC_RELAXED);
	}
}

static enum query_state execute(struct run *r)
{
	struct head *head = calloc(r->plan->nsources + 1, sizeof *head);
	struct graph *g = NULL;
	bool stopped = false;
	int ret = head ? graph_new(&r->context, &r->plan->root, NULL, 0, &g) : -ENOMEM;

	for (uint32_t i = 0; ret == 0 && i < r->plan->root.n; i++)
		if (r->plan->root.nodes[i]->source)
			head[r->plan->root.nodes[i]->reader].node = i;
	if (ret == 0 && r->plan->nsources == 1 && graph_reads(g, r->readers[0]))
		ret = loop_beside(r, g, &stopped);
	else if (ret == 0)
		ret = loop(r, g, head, &stopped);
	leave_feeds(r);
	if (ret < 0) {
		fail(r, ret);
		/* what there is stays readable: a last version, with some memory to make it */
		__atomic_store_n(&r->mem->limit, r->mem->limit + RESERVE, __ATOMIC_RELAXED);
		if (g && r->result && r->plan->table)
			refresh(r, g);
		__atomic_store_n(&r->mem->limit, r->plan->set.memory, __ATOMIC_RELAXED);
	} else if (stopped) {
		if (r->result && r->plan->table)
			refresh(r, g);
	} else {
		ret = finish(r, g);
		if (ret < 0)
			fail(r, ret);
	}
	progress(r, taken(r));
	count_sources(r);
	for (uint32_t i = 0; head && i < r->plan->nsources; i++)
		weir_batch_unref(head[i].batch);
	free(head);
	graph_free(g);
	for (uint32_t i = 0; i < r->plan->nsources; i++) {
		reader_close(r->readers[i]);
		r->readers[i] = NULL;
	}
	return ret < 0 ? QUERY_FAILED : stopped ? QUERY_STOPPED : QUERY_DONE;
}

static void *thread(void *arg)
{
	struct run *r = arg;
	struct engine *e = r->e;
	enum query_state state;

	state = execute(r);
	pthread_mutex_lock(&r->lock);
	r->state = state;
	r->err = r->context.err;
	r->ended = now_ns(CLOCK_MONOTONIC);
	pthread_cond_broadcast(&r->wake);
	pthread_mutex_unlock(&r->lock);
	r->changed(r->arg, r, true);
	run_unref(r);
	pthread_mutex_lock(&e->lock);
	if (--e->nthreads == 0)
		pthread_cond_broadcast(&e->idle);
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

int run_join(struct run *r)
{
	int ret = 0;

	for (uint32_t i = 0; i < r->plan->nsources && ret == 0; i++)
		if (r->links[i].feed)
			ret = feed_join(&r->links[i]);
	return ret;
}

/* Counts the thread that will execute it. */
static void begin(struct run *r, void (*changed)(void *arg, struct run *r, bool ended), void *arg)
{
	r->started = true;
	r->changed = changed;
	r->arg = arg;
	pthread_mutex_lock(&r->e->lock);
	r->e->nthreads++;
	pthread_mutex_unlock(&r->e->lock);
	run_ref(r); /* the thread's */
}

void run_here(struct run *r, void (*changed)(void *arg, struct run *r, bool ended), void *arg)
{
	begin(r, changed, arg);
	thread(r);
}

int run_start(struct run *r, void (*changed)(void *arg, struct run *r, bool ended), void *arg)
{
	pthread_attr_t attr;
	pthread_t id;
	int ret;

	begin(r, changed, arg);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&id, &attr, thread, r);
	pthread_attr_destroy(&attr);
	if (ret) {
		pthread_mutex_lock(&r->e->lock);
		r->e->nthreads--;
		pthread_mutex_unlock(&r->e->lock);
		run_unref(r);
	}
	return -ret;
}
