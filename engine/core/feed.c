/* SPDX-License-Identifier: MIT */
/* feed.c: one thread reads, many queries get it. */
#include "engine/core/feed.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/core/engine.h"

#define NAP_MS 200 /* where the source does not say what to wait for */

struct feed {
	struct reader *reader; /* of the thread, once it runs; NULL after the end */
	struct weir_schema *schema;
	uint64_t total;        /* bytes of the source, 0: unknown */
	double pace;           /* of the reader */
	struct faults faults;  /* of the source, in the order they came */
	uint64_t told;         /* how many of them the links have got */
	struct feed_item next; /* read, and not handed on yet */
	int event;             /* readable: wake up from poll(2), it ends */
	pthread_t thread;

	pthread_mutex_t lock; /* protects what follows, and the links */
	pthread_cond_t room;  /* a link came, went, or took something */
	struct feed_link *links;
	bool started, waiting, stop, ended;
	int error; /* ended: 0 or -errno with err */
	struct weir_err err;
	struct prefilters wanted; /* of a live source; texts of the links */
	struct text wants;        /* the same, to be read */
	uint64_t records, bytes;  /* handed on */
	uint64_t batches;         /* the same */
	uint64_t settled;         /* of them, see settle() */
	uint64_t said;            /* of those, by the thread: the source knows */
};

/* ---- a batch of the query's own ---- */

/* What such a batch keeps of the feed's, in its own memory. */
struct hold {
	struct weir_batch *from;
	struct weir_mem *mem;
	size_t charged;
};

static void let_go(const struct hold *h)
{
	weir_batch_unref(h->from);
	mem_give(h->mem, h->charged);
}

static void release_packets(struct weir_batch *b)
{
	struct weir_packets *p = b->priv;

	if (p->owner)
		let_go(p->owner);
}

static const struct weir_batch_ops packets = {
        .fill = weir_packet_fill, .pack = weir_packet_pack, .release = release_packets};

/* The descriptors are copied, the packets stay where they are. */
static struct weir_batch *share_packets(struct reader *r, const struct hold *h)
{
	const struct weir_packets *from = h->from->priv;
	struct weir_batch *b = weir_source_packets(&r->pub, &packets);
	struct weir_packets *p = b ? b->priv : NULL;
	struct hold *own = b ? weir_batch_alloc(b, sizeof *own) : NULL;

	if (!own) {
		weir_batch_unref(b);
		return NULL;
	}
	*own = *h;
	p->owner = own;
	memcpy(p->pk, from->pk, h->from->n * sizeof *p->pk);
	b->n = h->from->n;
	b->sel = h->from->sel;
	b->nsel = h->from->nsel;
	b->token = h->from->token;
	return b;
}

static void release_columns(struct weir_batch *b)
{
	if (b->priv)
		let_go(b->priv);
}

static const struct weir_batch_ops columns = {.release = release_columns};

/* Any other batch: every column was filled by the feed (fill_columns()), a view borrows them. */
static struct weir_batch *share_columns(struct reader *r, const struct hold *h, const int32_t *map)
{
	struct weir_batch *b = pool_view(r->pool, h->from, h->from->schema, map);
	struct hold *own = b ? weir_batch_alloc(b, sizeof *own) : NULL;

	if (!own) {
		weir_batch_unref(b);
		return NULL;
	}
	*own = *h;
	b->priv = own;
	b->ops = &columns;
	return b;
}

static bool is_packets(const struct weir_batch *b)
{
	return b->ops && b->ops->fill == weir_packet_fill;
}

static int fill_columns(struct feed_item *i)
{
	struct weir_batch *b = i->batch;
	uint32_t n = b->schema->nfields;
	int32_t *map = weir_batch_alloc(b, n * sizeof *map);

	if (!map)
		return -ENOMEM;
	for (uint32_t f = 0; f < n; f++) {
		int r = weir_batch_fill(b, f);

		if (r < 0)
			return r;
		map[f] = (int32_t)f;
		i->size += b->n * weir_kind_size(b->schema->fields[f].kind);
	}
	i->map = map;
	return 0;
}

/* Makes what was read ready for others. */
static int prepare(struct feed_item *i)
{
	const struct weir_packets *p = i->batch->priv;

	i->size = sizeof *i;
	i->map = NULL;
	if (!is_packets(i->batch))
		return fill_columns(i);
	for (uint32_t k = 0; k < i->batch->n; k++)
		i->size += p->pk[k].caplen + sizeof *p->pk;
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

	if (!s)
		return;
	f->wanted.n = 0;
	for (const struct feed_link *l = f->links; l; l = l->next)
		if (!l->left && !l->paused)
			prefilters_add(&f->wanted, l->prefilter);
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

/* ---- the queues ---- */

/* A queue grows only while half of the query's memory is left to what works on the records. */
static bool is_tight(const struct weir_mem *m, size_t more)
{
	size_t limit = __atomic_load_n(&m->limit, __ATOMIC_RELAXED);

	return limit && __atomic_load_n(&m->used, __ATOMIC_RELAXED) + more > limit / 2;
}

/* One batch goes to an empty queue whatever its size: who has no memory for it says so then. */
static bool is_full(const struct feed_link *l, size_t more)
{
	return l->n == FEED_QUEUE ||
	       (l->n && (l->bytes + more > FEED_BYTES || is_tight(l->mem, more)));
}

/* Whether somebody wants a batch, and all who do have room. */
static bool is_wanted(const struct feed *f)
{
	size_t more = f->next.batch ? f->next.size : 0;
	bool any = false;

	for (const struct feed_link *l = f->links; l; l = l->next) {
		if (l->paused || l->left)
			continue;
		if (is_full(l, more))
			return false;
		any = true;
	}
	return any;
}

static void hand_on(struct feed *f)
{
	struct feed_item *i = &f->next;
	uint32_t n = weir_batch_count(i->batch);

	i->number = f->batches++;
	for (struct feed_link *l = f->links; l; l = l->next) {
		struct feed_item *to = &l->item[(l->at + l->n) % FEED_QUEUE];

		if (l->left)
			continue;
		if (l->paused) {
			__atomic_add_fetch(&l->skipped, n, __ATOMIC_RELAXED);
			continue;
		}
		*to = *i;
		weir_batch_ref(to->batch);
		to->charged = mem_take(l->mem, i->size) ? i->size : 0;
		l->bytes += i->size;
		if (l->n++ == 0)
			l->wake(l->arg);
	}
	f->records += n;
	f->bytes = i->done;
	weir_batch_unref(i->batch);
	i->batch = NULL;
}

static struct feed_item take(struct feed_link *l)
{
	struct feed_item i = l->item[l->at];

	l->at = (l->at + 1) % FEED_QUEUE;
	l->n--;
	l->bytes -= i.size;
	/* not for each batch: a thread that is woken up finds some room */
	if (l->feed->waiting && l->n <= FEED_QUEUE / 2)
		pthread_cond_signal(&l->feed->room);
	return i;
}

/* The first batch that the query has not worked off. */
static uint64_t low(const struct feed_link *l)
{
	if (l->works)
		return l->on;
	if (l->left)
		return l->low;
	return l->n ? l->item[l->at].number : l->feed->batches;
}

static void settle(struct feed *f)
{
	uint64_t least = UINT64_MAX;

	for (const struct feed_link *l = f->links; l; l = l->next)
		if (low(l) < least)
			least = low(l);
	if (least != UINT64_MAX && least > f->settled)
		f->settled = least;
}

static void unlist(struct feed_link *l)
{
	struct feed_link **p;

	settle(l->feed);
	for (p = &l->feed->links; *p != l; p = &(*p)->next)
		;
	*p = l->next;
	l->joined = l->left = false;
}

/* ---- the thread ---- */

/* The source may forget what all have had. Without the lock, which protects `settled`. */
static void tell_settled(struct feed *f, uint64_t settled)
{
	const struct weir_source *s = f->reader->source;

	if (s->taken && settled > f->said)
		s->taken(&f->reader->pub, settled);
	f->said = settled;
}

/* The source has nothing now. */
static void nap(const struct feed *f)
{
	const struct weir_reader *r = &f->reader->pub;
	struct pollfd p[2] = {
	        {.fd = f->event, .events = POLLIN}, {.fd = r->wake_fd, .events = POLLIN}};
	int64_t ms = r->wake_fd >= 0 ? -1 : NAP_MS;

	if (r->wake) {
		ms = (r->wake - now_ns(CLOCK_MONOTONIC)) / 1000000 + 1;
		ms = ms < 0 ? 0 : ms > 3600000 ? 3600000 : ms;
	}
	poll(p, 2, (int)ms);
}

/* Faults that came with the last read go to all who wait for what comes behind them. */
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

static void finish(struct feed *f, int error)
{
	f->ended = true;
	f->error = error;
	f->bytes = f->reader->pub.bytes_done;
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
		uint64_t settled;
		int r;

		if (!is_wanted(f)) {
			f->waiting = true;
			pthread_cond_wait(&f->room, &f->lock);
			f->waiting = false;
			continue;
		}
		if (f->next.batch) {
			hand_on(f);
			continue;
		}
		settle(f);
		settled = f->settled;
		pthread_mutex_unlock(&f->lock);
		tell_settled(f, settled);
		i.batch = NULL;
		r = f->reader->source->read(pub, &i.batch, &f->err);
		if (r == -EAGAIN)
			nap(f);
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

struct feed *feed_new(struct reader *r)
{
	struct feed *f = calloc(1, sizeof *f);

	if (!f)
		return NULL;
	f->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->event < 0) {
		free(f);
		return NULL;
	}
	f->reader = r;
	say_wanted(f);
	f->schema = weir_schema_ref(r->pub.schema);
	f->total = r->pub.bytes_total;
	f->pace = r->pub.pace;
	f->err = (struct weir_err)WEIR_ERR_INIT;
	faults_init(&f->faults);
	r->faults = &f->faults;
	for (uint64_t i = 0; r->of && i < r->of->faults.count && i < FAULTS_MAX; i++) {
		const struct fault *was = &r->of->faults.fault[i]; /* when it was opened */

		faults_add(&f->faults, was->file, was->offset, was->text);
	}
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->room, NULL);
	return f;
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
		tell_settled(f, f->settled);
	weir_batch_unref(f->next.batch);
	reader_close(f->reader);
	weir_schema_unref(f->schema);
	faults_release(&f->faults);
	text_release(&f->wants);
	close(f->event);
	pthread_cond_destroy(&f->room);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* ---- a query's reader ---- */

struct state {
	struct feed_link *link;
};

static int open_link(struct weir_reader *r, struct weir_err *err)
{
	struct state *s = r->state;
	const struct feed_link *l = r->config;

	s->link = (struct feed_link *)l;
	r->schema = weir_schema_ref(l->feed->schema);
	r->pace = l->feed->pace;
	return 0;
}

/* With the lock. */
static void worked_off(struct feed_link *l)
{
	l->works = false;
	if (l->left)
		unlist(l);
}

void feed_took(struct feed_link *l)
{
	pthread_mutex_lock(&l->feed->lock);
	worked_off(l);
	pthread_mutex_unlock(&l->feed->lock);
}

static int read_link(struct weir_reader *pub, struct weir_batch **ret, struct weir_err *err)
{
	struct feed_link *l = ((struct state *)pub->state)->link;
	struct feed *f = l->feed;
	struct feed_item i = {0};
	struct hold h;
	int r = -EAGAIN;

	pthread_mutex_lock(&f->lock);
	worked_off(l);
	if (l->n) {
		i = take(l);
		l->works = true;
		l->on = i.number;
	} else if (l->joined && f->ended) {
		r = f->error;
		if (r < 0 && err)
			*err = f->err;
	}
	pthread_mutex_unlock(&f->lock);
	if (!i.batch)
		return r;
	h = (struct hold){i.batch, l->mem, i.charged};
	*ret = i.map ? share_columns((struct reader *)pub, &h, i.map)
	             : share_packets((struct reader *)pub, &h);
	if (!*ret) {
		let_go(&h);
		return -ENOMEM;
	}
	pub->bytes_done = i.done - l->offset;
	pub->bytes_total = f->total > l->offset ? f->total - l->offset : 0;
	return 1;
}

static void close_link(struct weir_reader *r)
{
	struct feed_link *l = ((struct state *)r->state)->link;

	if (!l)
		return;
	feed_leave(l);
	pthread_mutex_lock(&l->feed->lock);
	if (l->left)
		unlist(l);
	pthread_mutex_unlock(&l->feed->lock);
}

static const struct weir_source source = {
        .abi = WEIR_ABI,
        .name = "feed",
        .summary = "what a feed hands on",
        .reader_size = sizeof(struct state),
        .open = open_link,
        .read = read_link,
        .close = close_link,
};

int feed_open(struct feed_link *l, struct engine *e, struct reader **ret, struct weir_err *err)
{
	struct rights all = {.all = true};

	return reader_open(&source, l, &all, e, l->mem, l->faults, ret, err);
}

int feed_join(struct feed_link *l)
{
	struct feed *f = l->feed;
	int r = 0;

	pthread_mutex_lock(&f->lock);
	if (!f->started && !f->stop) {
		r = pthread_create(&f->thread, NULL, run, f);
		f->started = r == 0;
	}
	if (r == 0 && !l->joined) {
		l->begins = f->records + 1;
		l->offset = f->bytes;
		l->ended = f->ended;
		l->joined = true;
		l->left = l->works = false;
		l->next = f->links;
		f->links = l;
		losses(f, &l->before);
		l->lost = l->before;
		say_wanted(f);
		pthread_cond_signal(&f->room);
	}
	pthread_mutex_unlock(&f->lock);
	return -r;
}

void feed_leave(struct feed_link *l)
{
	struct feed *f = l->feed;

	pthread_mutex_lock(&f->lock);
	if (l->joined && !l->left) {
		l->low = l->n ? l->item[l->at].number : f->batches;
		l->left = true;
		losses(f, &l->lost);
		say_wanted(f);
		if (!l->works)
			unlist(l);
		while (l->n) {
			struct feed_item i = take(l);

			let_go(&(struct hold){i.batch, l->mem, i.charged});
		}
		pthread_cond_signal(&f->room);
	}
	pthread_mutex_unlock(&f->lock);
}

void feed_pause(struct feed_link *l, bool pause)
{
	pthread_mutex_lock(&l->feed->lock);
	l->paused = pause;
	if (l->joined && !l->left)
		say_wanted(l->feed);
	pthread_cond_signal(&l->feed->room);
	pthread_mutex_unlock(&l->feed->lock);
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

	pthread_mutex_lock(&f->lock);
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
	pthread_mutex_unlock(&f->lock);
}
