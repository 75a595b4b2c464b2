/* SPDX-License-Identifier: MIT */
/* feed.c: one thread reads, many queries get it. */
#include "engine/core/feed_parts.h"

#include "engine/proto/column.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PRESSED_NS 5000000 /* how often a source is asked whether it is */
#define NAP_MS 200         /* where the source does not say what to wait for */
#define WAKE_BATCHES (FEED_QUEUE / 2)
#define WAKE_NS (5ll * 1000000)   /* that fewer wait at most while there is more to be read */
#define LINK_NS 50000ll           /* what waking one query up may cost */
#define HEADERS 2                 /* queries, from which on a packet's headers are decoded here */
#define TELL_NS (250ll * 1000000) /* that counts wait which come without a batch */

static int64_t last_time(struct weir_batch *b)
{
	uint32_t n = weir_batch_count(b), row = n ? weir_batch_row(b, n - 1) : 0;
	int f = weir_schema_find(b->schema, "ts", 2);
	const struct weir_col *c;

	if (n && feed_is_packets(b))
		return ((const struct weir_packets *)b->priv)->pk[row].ts;
	c = f < 0 ? NULL : weir_batch_col(b, (uint32_t)f);
	return n && c && weir_col_has(c, row) ? weir_col_i64(c)[row] : INT64_MAX;
}

/* What is no packet is filled here: its source may not be asked by others. Nothing that two threads
 * have is filled without a lock, see batch_share(). */
static int prepare(struct feed_item *i)
{
	struct weir_batch *b = i->batch;
	const struct weir_packets *p = b->priv;

	i->size = sizeof *i;
	i->newest = last_time(b);
	if (feed_is_packets(b)) {
		for (uint32_t k = 0; k < b->n; k++)
			i->size += p->pk[k].caplen + sizeof *p->pk;
		return 0;
	}
	for (uint32_t f = 0; f < b->schema->nfields; f++) {
		int r = weir_batch_fill(b, f);

		if (r < 0)
			return r;
		i->size += b->n * weir_kind_size(b->schema->fields[f].kind);
	}
	return 0;
}

/* ---- what the source is asked; with the lock held ---- */

static const struct weir_source *live(const struct feed *f)
{
	return f->reader && f->reader->source->want ? f->reader->source : NULL;
}

/* The queries are others now, or want something else. */
static void say_wanted(struct feed *f)
{
	const struct weir_source *s = live(f);

	f->headers = 0;
	for (const struct feed_link *l = f->links; l; l = l->next)
		f->headers += l->headers && !l->left && !l->paused;
	if (!s)
		return;
	f->wanted.n = 0;
	for (const struct feed_link *l = f->links; l; l = l->next)
		if (!l->left && !l->paused)
			prefilters_add(&f->wanted, l->prefilter);
	if (f->history.always || f->history.span) /* nobody knows what who comes will want of it */
		prefilters_add(&f->wanted, NULL);
	if (s->want(&f->reader->pub, f->wanted.text, f->wanted.n) < 0)
		prefilters_add(&f->wanted, NULL);
	text_clear(&f->wants);
	prefilters_text(&f->wanted, &f->wants);
}

static bool losses(const struct feed *f, struct weir_counts *ret)
{
	const struct weir_source *s = live(f);

	if (s && s->counts)
		s->counts(&f->reader->pub, ret);
	return s && s->counts;
}

bool feed_lost(struct feed_link *l, struct weir_counts *ret)
{
	struct feed *f = l->feed;
	bool has;

	pthread_mutex_lock(&f->lock);
	has = live(f) && live(f)->counts;
	if (has && l->joined && !l->left)
		losses(f, &l->lost);
	ret->packets = l->lost.packets - l->before.packets;
	ret->kernel = l->lost.kernel - l->before.kernel;
	ret->interface = l->lost.interface - l->before.interface;
	ret->own = l->lost.own - l->before.own;
	pthread_mutex_unlock(&f->lock);
	return has;
}

bool feed_losses(struct feed *f, struct weir_counts *ret)
{
	bool has;

	pthread_mutex_lock(&f->lock);
	has = losses(f, ret);
	pthread_mutex_unlock(&f->lock);
	return has;
}

/* ---- handing on ---- */

/* Both locks, in their order. */
static void lock(struct feed *f)
{
	pthread_mutex_lock(&f->trunk_lock);
	pthread_mutex_lock(&f->lock);
}

static void unlock(struct feed *f)
{
	pthread_mutex_unlock(&f->lock);
	pthread_mutex_unlock(&f->trunk_lock);
}

/* Whether somebody wants a batch, and all who do have room. */
static bool is_wanted(const struct feed *f)
{
	size_t more = f->next.batch ? f->next.size : 0;
	bool any = false, all = true, pressed = feed_is_pressed(f);

	for (struct feed_link *l = f->links; l; l = l->next) {
		bool full;

		if (l->paused || l->left)
			continue;
		full = feed_is_full(l, more);
		if (!(l->shed.mode ? feed_sheds(l, full, pressed) : !full))
			all = false;
		any = true;
	}
	/* with -o history it would go by unseen */
	return all && (any || (f->history.always && live(f)));
}

/* Until a query has room, or, if any goes without something, the source may be pressed. */
static void wait_for_room(struct feed *f)
{
	int64_t at = now_ns(CLOCK_MONOTONIC) + PRESSED_NS;
	struct timespec t = {at / 1000000000, at % 1000000000};
	bool sheds = false;

	for (const struct feed_link *l = f->links; l; l = l->next)
		sheds |= l->shed.mode != SHED_NONE;
	if (sheds)
		pthread_cond_timedwait(&f->room, &f->lock, &t);
	else
		pthread_cond_wait(&f->room, &f->lock);
}

static void wake(struct feed_link *l)
{
	l->sleeps = false;
	l->wake(l->arg);
}

/* How long batches may wait for more where the source has none just now: as long as it takes to
 * wake all queries up, so that a pipe in small pieces does not cost a hundred of them all the time.
 */
static int64_t patience(const struct feed *f)
{
	int64_t ns = 0;

	for (const struct feed_link *l = f->links; l; l = l->next)
		ns += LINK_NS;
	return ns < 1000000 ? 0 : ns < WAKE_NS ? ns : WAKE_NS;
}

/* Wakes up all that have had a batch, or counts, for so long. When to look again, ns from now; 0:
 * nobody else has any. */
static int64_t wake_all(struct feed *f, int64_t patience)
{
	int64_t now = now_ns(CLOCK_MONOTONIC), again = 0;

	for (struct feed_link *l = f->links; l; l = l->next) {
		bool has = __atomic_load_n(&l->n, __ATOMIC_RELAXED);
		int64_t left = l->since + (has ? patience : TELL_NS) - now;

		if (!l->sleeps || l->left)
			continue;
		if (left <= 0)
			wake(l);
		else if (!again || left < again)
			again = left;
	}
	return again;
}

/* The batch, or what the trunk has left of it, with the link's lock. What the query gives up it has
 * not had, at no stage. How many are in its queue now. */
static uint32_t queue_up(struct feed *f, struct feed_link *l)
{
	struct weir_batch *b = f->next.batch;
	uint32_t level = 0;

	if (feed_has_counts(l))
		b = trunk_out(f->trunk, &l->end, b, &level);
	if (b && l->shed.mode && feed_is_full(l, f->next.size)) {
		shed_count(&l->shed, weir_batch_count(f->next.batch));
		return l->n;
	}
	if (level) {
		trunk_count(&l->end, f->next.batch, level, feed_counts(l, FEED_QUEUE));
		l->owed = true;
		l->owed_newest = f->next.newest;
	}
	if (!b)
		return 0;
	return l->shed.mode == SHED_SAMPLE ? feed_put_sample(l) : feed_put(l, &f->next, b, level);
}

/* A query is woken up when some batches wait for it, or by and by: as often as for each batch would
 * cost more than most queries do for one. */
static void hand_to(struct feed *f, struct feed_link *l, int64_t now)
{
	uint32_t n;

	pthread_mutex_lock(&l->lock);
	n = queue_up(f, l);
	pthread_mutex_unlock(&l->lock);
	if (!l->sleeps) {
		l->sleeps = true;
		l->since = now;
	}
	if (n >= WAKE_BATCHES || now - l->since > (n ? WAKE_NS : TELL_NS))
		wake(l);
}

/* With both locks. */
static void hand_on(struct feed *f)
{
	struct feed_item *i = &f->next;
	uint32_t n = weir_batch_count(i->batch);
	int64_t now = now_ns(CLOCK_MONOTONIC);

	i->number = f->batches++;
	batch_share(i->batch);
	for (struct feed_link *l = f->links; l; l = l->next)
		if (l->paused && !l->left)
			__atomic_add_fetch(&l->skipped, n, __ATOMIC_RELAXED);
		else if (!l->left)
			hand_to(f, l, now);
	history_add(&f->history, i->batch, i->size);
	f->records += n;
	f->bytes = i->done;
	weir_batch_unref(i->batch);
	i->batch = NULL;
}

/* What is read goes on, the trunk's stages first; with the lock, given up meanwhile. False: it is
 * not wanted now. That is looked at with both locks, without which nobody comes, goes on or leaves:
 * a query that goes on may be one whose queue is full. */
static bool work(struct feed *f)
{
	bool wanted;

	pthread_mutex_unlock(&f->lock);
	lock(f);
	wanted = is_wanted(f);
	if (wanted) {
		pthread_mutex_unlock(&f->lock);
		/* once for all, while they are in the cache; without memory each does it */
		if (f->headers >= HEADERS && feed_is_packets(f->next.batch))
			decode(f->next.batch);
		trunk_run(f->trunk, f->next.batch);
		pthread_mutex_lock(&f->lock);
		hand_on(f);
		trunk_rest(f->trunk);
	}
	pthread_mutex_unlock(&f->trunk_lock);
	return wanted;
}

/* ---- the thread ---- */

/* The source has nothing now. */
static void nap(const struct feed *f, int64_t again)
{
	const struct weir_reader *r = &f->reader->pub;
	struct pollfd p[2] = {
	        {.fd = f->event, .events = POLLIN}, {.fd = r->wake_fd, .events = POLLIN}};
	int64_t ms = r->wake_fd >= 0 ? -1 : NAP_MS;

	if (r->wake) {
		ms = (r->wake - now_ns(CLOCK_MONOTONIC)) / 1000000 + 1;
		ms = ms < 0 ? 0 : ms > 3600000 ? 3600000 : ms;
	}
	if (again && (ms < 0 || ms > again / 1000000 + 1))
		ms = again / 1000000 + 1;
	poll(p, 2, (int)ms);
}

/* Faults that came with the last read go to all who wait for what comes behind them; with
 * the lock. */
static void tell_faults(struct feed *f)
{
	struct faults *from = &f->faults;

	if (from->count == f->told)
		return;
	for (struct feed_link *l = f->links; l; l = l->next) {
		for (uint64_t i = f->told; i < from->count && i < FAULTS_MAX; i++)
			faults_add(l->faults, from->fault[i].file, from->fault[i].offset,
			        from->fault[i].text);
		if (from->count > FAULTS_MAX) {
			uint64_t first = f->told > FAULTS_MAX ? f->told : FAULTS_MAX;

			pthread_mutex_lock(&l->faults->lock);
			l->faults->count += from->count - first;
			pthread_mutex_unlock(&l->faults->lock);
		}
	}
	f->told = from->count;
}

static void rest(struct feed *f)
{
	int64_t again;

	pthread_mutex_lock(&f->lock);
	tell_faults(f);
	again = wake_all(f, patience(f));
	pthread_mutex_unlock(&f->lock);
	nap(f, again);
}

static void finish(struct feed *f, int error)
{
	f->error = error;
	f->bytes = f->reader->pub.bytes_done;
	__atomic_store_n(&f->ended, true, __ATOMIC_RELEASE); /* pairs with read_link() */
	for (struct feed_link *l = f->links; l; l = l->next)
		if (!l->left)
			l->wake(l->arg);
}

static void *run(void *arg)
{
	struct feed *f = arg;
	struct weir_reader *pub = &f->reader->pub;
	struct feed_item i = {0};

	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		bool has = f->next.batch;
		uint64_t settled;
		int r;

		if (!(has ? work(f) : is_wanted(f))) {
			wake_all(f, 0);
			/* pairs with take() and tell_room() */
			__atomic_store_n(&f->waiting, true, __ATOMIC_SEQ_CST);
			if (!f->stop && !is_wanted(f))
				wait_for_room(f);
			__atomic_store_n(&f->waiting, false, __ATOMIC_RELAXED);
			continue;
		}
		if (has)
			continue;
		feed_settle(f);
		settled = f->settled;
		pthread_mutex_unlock(&f->lock);
		feed_tell_settled(f, settled);
		i.batch = NULL;
		r = f->reader->source->read(pub, &i.batch, &f->err);
		if (r == -EAGAIN)
			rest(f);
		if (r > 0) {
			i.done = pub->bytes_done;
			r = prepare(&i) < 0 ? -ENOMEM : 1;
		}
		pthread_mutex_lock(&f->lock);
		tell_faults(f);
		if (r > 0) {
			f->next = i;
		} else if (r != -EAGAIN) {
			weir_batch_unref(i.batch);
			finish(f, r);
			break;
		}
	}
	if (!f->reader->pub.once) { /* who is told what was taken is there till feed_free() */
		struct reader *r = f->reader;

		f->reader = NULL;
		pthread_mutex_unlock(&f->lock);
		reader_close(r);
		return NULL;
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

struct feed *feed_new(struct reader *r, uint64_t history)
{
	struct feed *f = calloc(1, sizeof *f);
	pthread_condattr_t attr;

	if (!f)
		return NULL;
	f->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->event < 0) {
		free(f);
		return NULL;
	}
	f->reader = r;
	f->history.always = history;
	f->history.most = history ? history : HISTORY_BYTES;
	say_wanted(f);
	f->schema = weir_schema_ref(r->pub.schema);
	f->total = r->pub.bytes_total;
	f->pace = r->pub.pace;
	f->err = (struct weir_err)WEIR_ERR_INIT;
	f->trunk = trunk_new(r->pub.mem);
	if (!f->trunk) {
		close(f->event);
		free(f);
		return NULL;
	}
	f->remembers = r->pub.remembers && r->source->taken;
	faults_init(&f->faults);
	r->faults = &f->faults;
	for (uint64_t i = 0; r->of && i < r->of->faults.count && i < FAULTS_MAX; i++) {
		const struct fault *was = &r->of->faults.fault[i]; /* when it was opened */

		faults_add(&f->faults, was->file, was->offset, was->text);
	}
	pthread_mutex_init(&f->trunk_lock, NULL);
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->room, &attr);
	pthread_condattr_destroy(&attr);
	return f;
}

bool feed_remembers(const struct feed *f)
{
	return f->remembers;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->room);
	pthread_mutex_unlock(&f->lock);
	if (f->started) {
		while (eventfd_write(f->event, 1) < 0 && errno == EINTR)
			;
		pthread_join(f->thread, NULL);
	}
	if (f->reader)
		feed_tell_settled(f, f->settled);
	weir_batch_unref(f->next.batch);
	reader_close(f->reader);
	weir_schema_unref(f->schema);
	faults_release(&f->faults);
	text_release(&f->wants);
	history_release(&f->history);
	close(f->event);
	pthread_cond_destroy(&f->room);
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->trunk_lock);
	trunk_free(f->trunk);
	free(f);
}

/* How much of the past those want that run. */
static void find_span(struct feed *f)
{
	f->history.span = 0;
	for (const struct feed_link *l = f->links; l; l = l->next)
		if (!l->left && l->history > f->history.span)
			f->history.span = l->history;
	history_trim(&f->history);
}

int feed_join(struct feed_link *l)
{
	struct feed *f = l->feed;
	int r = 0;

	lock(f);
	if (!f->started && !f->stop) {
		r = -pthread_create(&f->thread, NULL, run, f);
		f->started = r == 0;
	}
	if (r == 0 && !l->joined && !f->ended)
		r = trunk_add(f->trunk, &l->end);
	if (r == 0 && !l->joined) {
		l->begins = f->records + 1;
		if (l->history)
			l->begins -= history_begin(&f->history, l->history, &l->past);
		l->offset = f->bytes;
		l->ended = f->ended;
		l->joined = true;
		l->left = l->works = l->sleeps = false;
		l->next = f->links;
		f->links = l;
		find_span(f);
		losses(f, &l->before);
		l->lost = l->before;
		say_wanted(f);
		pthread_cond_signal(&f->room);
	}
	unlock(f);
	return r;
}

void feed_leave(struct feed_link *l)
{
	struct feed *f = l->feed;
	bool works;

	lock(f);
	trunk_remove(f->trunk, &l->end);
	if (l->joined && !l->left) {
		pthread_mutex_lock(&l->lock);
		l->low = l->n ? l->item[l->at].number : f->batches;
		__atomic_store_n(&l->left, true, __ATOMIC_RELAXED);
		losses(f, &l->lost);
		find_span(f);
		say_wanted(f);
		for (uint32_t n = l->n; n; n--) {
			feed_drop(l, &l->item[l->at]);
			l->at = (l->at + 1) % FEED_QUEUE;
		}
		__atomic_store_n(&l->n, 0, __ATOMIC_RELAXED); /* a link's own thread may look */
		__atomic_store_n(&l->bytes, 0, __ATOMIC_RELAXED);
		works = l->works;
		pthread_mutex_unlock(&l->lock);
		if (!works)
			feed_unlist(l);
		pthread_cond_signal(&f->room);
	}
	unlock(f);
}

void feed_link_release(struct feed_link *l)
{
	past_release(&l->past);
	free(l->counts);
	pthread_mutex_destroy(&l->lock);
}

void feed_pause(struct feed_link *l, bool pause)
{
	lock(l->feed);
	l->paused = l->end.passed_over = pause;
	if (l->joined && !l->left)
		say_wanted(l->feed);
	pthread_cond_signal(&l->feed->room);
	unlock(l->feed);
}

void feed_stats(struct feed *f, void (*line)(void *arg, const char *key, uint64_t value), void *arg)
{
	pthread_mutex_lock(&f->lock);
	if (f->reader && f->reader->source->stats)
		f->reader->source->stats(&f->reader->pub, line, arg);
	pthread_mutex_unlock(&f->lock);
}

void feed_count(struct feed *f, uint64_t *ret_records, uint64_t *ret_bytes)
{
	pthread_mutex_lock(&f->lock);
	*ret_records = f->records;
	*ret_bytes = f->bytes;
	pthread_mutex_unlock(&f->lock);
}

void feed_wants(struct feed *f, struct text *to)
{
	pthread_mutex_lock(&f->lock);
	text_puts(to, f->wants.p ? f->wants.p : "");
	pthread_mutex_unlock(&f->lock);
}

static void info_line(void *arg, const char *key, const char *value)
{
	text_printf(arg, "%s: %s\n", key, value);
}

void feed_text(struct feed *f, const struct text *about, struct text *to)
{
	const struct weir_source *s;
	unsigned n = 0;

	lock(f);
	s = live(f);
	if (s && s->info)
		s->info(&f->reader->pub, info_line, to, NULL);
	else
		text_add(to, about->p ? about->p : "", about->len);
	for (const struct feed_link *l = f->links; l; l = l->next)
		n += !l->left;
	text_printf(to, "state: %s\nqueries: %u\n",
	        f->ended           ? "ended"
	        : !n || f->waiting ? "waits for queries"
	                           : "reading",
	        n);
	trunk_text(f->trunk, to);
	if (f->history.always || f->history.span || f->history.bytes)
		text_printf(to, "history: %llu records, %llu of %llu bytes\n",
		        (unsigned long long)f->history.records,
		        (unsigned long long)f->history.bytes, (unsigned long long)f->history.most);
	unlock(f);
}
