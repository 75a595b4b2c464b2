/* SPDX-License-Identifier: MIT */
/* pcapfile.c: packets of capture files, plain or compressed, of one or of several merged by time.
 *
 * One file at full speed is parsed straight into the batch, from pieces that several threads have
 * fetched where the engine has some. Several files, or a replay in the trace's own time, go through
 * the merge, packet by packet. A batch keeps the blocks that its packets lie in; a new block is
 * entered at most once for each packet.
 *
 * A fault ends the file that it is in, not the pass: what came before counts.
 */
#include "sources/linktype.h"
#include "sources/merge.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define BLOCK (160u << 10)      /* three of them stay in a second-level cache */
#define BLOCK_SMALL (64u << 10) /* where many files are open at once */
#define HOLD 3       /* blocks of a batch of one file: it ends with the first packet in the last */
#define HOLD_ROOM 16 /* and in pieces, if they are cut otherwise */
#define PARTIAL_NS 50000000 /* a slow pipe's packets wait so long for a full batch */
#define NAP_NS 1000000      /* a replay does not wake more often */

struct config {
	struct weir_words files;
	double speed;
};

/* The blocks of a batch; lives in the batch's memory. */
struct hold {
	uint32_t n, room;
	struct block *block[];
};

struct state {
	struct merge merge;
	struct block_pool *pool;
	double speed;
	struct weir_batch *batch; /* being filled */
	uint64_t batches;
	uint32_t turns,
	        turn; /* of one file: blocks with packets of the batch; the last one of them */
	struct pieces *pieces; /* of one file; NULL: it is read as it is walked through */
	int64_t partial;       /* CLOCK_MONOTONIC ns at which it goes as it is; 0: not set */
	bool started;          /* the replay: `clock` (CLOCK_MONOTONIC) is the time `zero` */
	int64_t clock, zero;
};

static int64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* ---- batches ---- */

static void release(struct weir_batch *b)
{
	struct hold *h = ((struct weir_packets *)b->priv)->owner;

	for (uint32_t i = 0; h && i < h->n; i++)
		block_unref(h->block[i]);
}

static const struct weir_batch_ops ops = {
        .fill = weir_packet_fill, .pack = weir_packet_pack, .release = release};

static int begin(struct weir_reader *r, struct state *s, uint32_t room)
{
	struct weir_packets *p;
	struct hold *h;

	if (s->batch)
		return 0;
	s->batch = weir_source_packets(r, &ops);
	if (!s->batch)
		return -ENOMEM;
	s->batch->n = 0;
	s->partial = 0;
	s->turns = 0;
	s->batches++;
	p = s->batch->priv;
	p->owner = h = weir_batch_alloc(s->batch, sizeof *h + room * sizeof *h->block);
	if (!h)
		return -ENOMEM;
	h->n = 0;
	h->room = room;
	return 0;
}

static int hand_on(struct state *s, struct weir_batch **ret)
{
	s->batch->nsel = s->batch->n;
	*ret = s->batch;
	s->batch = NULL;
	return 1;
}

/* A pipe has nothing: what is in the batch waits a little, then goes. */
static int idle(struct weir_reader *r, struct state *s, int fd, struct weir_batch **ret)
{
	int64_t now = monotonic();

	r->wake_fd = fd;
	r->wake = 0;
	if (!s->batch || s->batch->n == 0)
		return -EAGAIN;
	if (!s->partial)
		s->partial = now + PARTIAL_NS;
	if (now >= s->partial)
		return hand_on(s, ret);
	r->wake = s->partial;
	return -EAGAIN;
}

/* ---- one file, at full speed ---- */

/* The batch has n more packets, in `block`; whether there is room for others. */
static bool took(struct state *s, const struct input *in, uint32_t n, struct block *block)
{
	struct hold *h = ((struct weir_packets *)s->batch->priv)->owner;

	s->batch->n += (uint16_t)n;
	if (!h->n || h->block[h->n - 1] != block)
		h->block[h->n++] = block_ref(block);
	if (!s->turns || s->turn != in->turns) {
		s->turn = in->turns;
		s->turns++;
	}
	return s->batch->n < WEIR_BATCH_ROWS && s->turns < HOLD && h->n < h->room;
}

static int read_one(struct weir_reader *r, struct state *s, struct weir_batch **ret)
{
	struct trace *t = &s->merge.file[0]->pass->trace;
	struct block *block;
	int n;

	if (!s->merge.nheap)
		return 0;
	if (begin(r, s, HOLD_ROOM) < 0)
		return -ENOMEM;
	do {
		struct weir_packets *p = s->batch->priv;

		n = trace_next(t, p->pk + s->batch->n, WEIR_BATCH_ROWS - s->batch->n, &block);
	} while (n > 0 && took(s, &t->in, (uint32_t)n, block));
	__atomic_store_n(&r->bytes_done, t->in.from.done, __ATOMIC_RELAXED);
	if (s->pieces)
		r->piece = pieces_taken(s->pieces);
	if (n == -EAGAIN)
		return s->pieces ? n : idle(r, s, t->in.from.fd, ret);
	if (n < 0)
		return n;
	if (s->batch->n)
		return hand_on(s, ret);
	merge_drop(&s->merge);
	return 0;
}

static int pieces(struct weir_reader *r, uint32_t ahead, uint32_t workers)
{
	struct state *s = r->state;
	struct merge *m = &s->merge;
	struct input *in;

	if (m->nfiles != 1 || !m->nheap || s->speed > 0)
		return 0;
	in = &m->file[0]->pass->trace.in;
	if (in->from.live || in->from.codec || in->ended || in->end_offset != in->from.done ||
	        in->end != in->block->data + in->block->size)
		return 0;
	s->pieces = pieces_new(in->from.fd, in->end_offset, ahead, workers, r->mem);
	if (!s->pieces)
		return 0;
	input_in_pieces(in, s->pieces);
	return 1;
}

static int fetch(struct weir_reader *r, uint64_t number, uint32_t worker)
{
	return pieces_fetch(((struct state *)r->state)->pieces, number, worker);
}

/* ---- several files, replay ---- */

static void take(struct state *s, struct merge_pass *from)
{
	struct weir_packets *p = s->batch->priv;
	struct hold *h = p->owner;

	p->pk[s->batch->n++] = from->ahead[from->at];
	if (from->held != s->batches) {
		from->held = s->batches;
		h->block[h->n++] = block_ref(from->block);
	}
	merge_took(&s->merge);
}

/* Time up to which packets are due. */
static int64_t due(struct state *s, int64_t first, int64_t now)
{
	double past;

	if (s->speed <= 0)
		return INT64_MAX;
	if (!s->started) {
		s->started = true;
		s->zero = first;
		s->clock = now;
	}
	past = (double)(now - s->clock) * s->speed;
	if (past >= 9e18 - fabs((double)s->zero))
		return INT64_MAX;
	return s->zero + (int64_t)past;
}

/* When a packet of time `ts` will be due. */
static int64_t wake_at(const struct state *s, int64_t ts, int64_t now)
{
	double wait = ((double)ts - (double)s->zero) / s->speed;
	int64_t at = wait > 1e18 ? INT64_MAX : s->clock + (int64_t)wait + 1;

	return at > now + NAP_NS ? at : now + NAP_NS;
}

static int read_merged(struct weir_reader *r, struct state *s, struct weir_batch **ret)
{
	struct merge_pass *first;
	int64_t now = s->speed > 0 ? monotonic() : 0;
	int fd = -1, n;

	if (begin(r, s, WEIR_BATCH_ROWS) < 0)
		return -ENOMEM;
	if (s->batches % 16 == 0) /* it asks every file */
		__atomic_store_n(&r->bytes_done, merge_done(&s->merge), __ATOMIC_RELAXED);
	while ((n = merge_first(&s->merge, &first, &fd)) == 1) {
		int64_t ts = first->ahead[first->at].ts;

		if (ts > due(s, ts, now)) {
			if (s->batch->n)
				return hand_on(s, ret);
			r->wake = wake_at(s, ts, now);
			r->wake_fd = -1;
			return -EAGAIN;
		}
		take(s, first);
		if (s->batch->n == WEIR_BATCH_ROWS)
			break;
	}
	if (n == 0)
		__atomic_store_n(&r->bytes_done, merge_done(&s->merge), __ATOMIC_RELAXED);
	if (n == -EAGAIN)
		return idle(r, s, fd, ret);
	if (n < 0)
		return n;
	return s->batch->n ? hand_on(s, ret) : 0;
}

static int read_packets(struct weir_reader *r, struct weir_batch **ret, struct weir_err *err)
{
	struct state *s = r->state;
	int n;

	if (s->merge.nfiles == 1 && s->speed <= 0)
		n = read_one(r, s, ret);
	else
		n = read_merged(r, s, ret);
	if (n == -ENOMEM)
		weir_fail(err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, " for blocks of the trace");
	return n;
}

/* ---- open, close ---- */

struct adding {
	struct merge *merge;
	bool named;
};

static int add(void *arg, const char *path)
{
	struct adding *a = arg;

	return merge_add(a->merge, path, a->named);
}

static int open_files(struct weir_reader *r, struct weir_err *err)
{
	const struct config *c = r->config;
	struct state *s = r->state;
	size_t block;

	s->speed = c->speed;
	s->merge.reader = r;
	for (uint32_t i = 0; i < c->files.n; i++) {
		struct adding a = {&s->merge, !strpbrk(c->files.word[i], "*?[")};
		int e = weir_source_glob(r, c->files.word[i], add, &a, err);

		if (e == -E2BIG)
			return weir_fail(err, WEIR_E_OUT_OF_RANGE, WEIR_NOPOS, 0, "number of files",
			        "at most 65536");
		if (e < 0)
			return e;
	}
	block = s->merge.nfiles > 8 ? BLOCK_SMALL : BLOCK;
	s->pool = s->merge.pool = block_pool_new(block, r->mem);
	if (!s->pool)
		return -ENOMEM;
	return merge_open(&s->merge, err);
}

static int open_source(struct weir_reader *r, struct weir_err *err)
{
	struct state *s = r->state;
	int e = open_files(r, err);

	if (e == -ENOMEM)
		weir_fail(err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, " for blocks of the trace");
	if (e < 0)
		return e;
	r->bytes_total = s->merge.size;
	r->steady = s->speed <= 0;
	r->pace = s->speed;
	r->schema = weir_packet_schema(s->merge.digits);
	return r->schema ? 0 : -ENOMEM;
}

static void close_source(struct weir_reader *r)
{
	struct state *s = r->state;

	weir_batch_unref(s->batch);
	s->batch = NULL;
	merge_release(&s->merge);
	pieces_free(s->pieces);
	s->pieces = NULL;
	block_pool_unref(s->pool);
	s->pool = NULL;
}

/* ---- info, probe ---- */

#define INFO_FILES 100

static void put(char *to, size_t size, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Appends. */
static void put(char *to, size_t size, const char *format, ...)
{
	size_t at = strlen(to);
	va_list ap;

	va_start(ap, format);
	vsnprintf(to + at, size - at, format, ap);
	va_end(ap);
}

static void say_format(const struct merge_about *a, char *to, size_t size)
{
	static const char *const name[] = {"unknown", "pcap", "pcapng"};

	put(to, size, "%s", name[a->format]);
	if (a->format != TRACE_NONE)
		put(to, size, " %u.%u", a->major, a->minor);
}

static void say_links(const struct merge_about *a, char *to, size_t size)
{
	for (uint32_t i = 0; i < a->nlinktypes; i++)
		put(to, size, "%s%u (%s)", i ? ", " : "", a->linktype[i],
		        linktype_name(a->linktype[i]));
}

static void say_resolution(const struct merge_about *a, char *to, size_t size)
{
	put(to, size, "%d^-%u s", a->resolution & 0x80 ? 2 : 10, a->resolution & 0x7f);
}

static void info_one(const struct merge_file *f,
        void (*line)(void *arg, const char *key, const char *value), void *arg)
{
	const struct merge_about *a = &f->about;
	bool big = a->swap == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
	char text[1024];

#define LINE(key, ...)                                                                             \
	do {                                                                                       \
		text[0] = 0;                                                                       \
		__VA_ARGS__;                                                                       \
		line(arg, key, text);                                                              \
	} while (0)
	line(arg, "file", f->path);
	if (a->size)
		LINE("size", put(text, sizeof text, "%" PRIu64 " bytes", a->size));
	line(arg, "compression", packing_name(a->packing));
	LINE("format", say_format(a, text, sizeof text));
	if (a->format == TRACE_NONE)
		return;
	line(arg, "byte order", big ? "big endian" : "little endian");
	if (!a->nlinktypes)
		return;
	LINE("link types", say_links(a, text, sizeof text));
	LINE("interfaces", put(text, sizeof text, "%u", a->interfaces));
	LINE("snap length",
	        put(text, sizeof text, "%u%s", a->snaplen, a->snaplen ? " bytes" : " (no limit)"));
	if (a->fcs)
		LINE("frame check sequence", put(text, sizeof text, "%u bits", a->fcs));
	LINE("time resolution", say_resolution(a, text, sizeof text));
#undef LINE
}

static int info(struct weir_reader *r, void (*line)(void *arg, const char *key, const char *value),
        void *arg, struct weir_err *err)
{
	const struct merge *m = &((struct state *)r->state)->merge;
	char text[1024];

	if (m->nfiles == 1) {
		info_one(m->file[0], line, arg);
		return 0;
	}
	snprintf(text, sizeof text, "%u", m->nfiles);
	line(arg, "files", text);
	if (m->size) {
		snprintf(text, sizeof text, "%" PRIu64 " bytes", m->size);
		line(arg, "size", text);
	}
	for (uint32_t i = 0; i < m->nfiles && i < INFO_FILES; i++) {
		const struct merge_about *a = &m->file[i]->about;

		snprintf(text, sizeof text, "%.700s: ", m->file[i]->path);
		say_format(a, text, sizeof text);
		if (a->packing)
			put(text, sizeof text, ", %s", packing_name(a->packing));
		if (a->nlinktypes) {
			put(text, sizeof text, ", ");
			say_links(a, text, sizeof text);
			put(text, sizeof text, ", ");
			say_resolution(a, text, sizeof text);
		}
		line(arg, "file", text);
	}
	if (m->nfiles > INFO_FILES) {
		snprintf(text, sizeof text, "and %u more", m->nfiles - INFO_FILES);
		line(arg, "file", text);
	}
	return 0;
}

static int probe(const char *spec)
{
	static const char *const suffix[] = {"pcap", "pcapng", "cap", "dmp", "trc", "trace"};
	const char *colon = strchr(spec, ':'), *dot = strrchr(spec, '.');
	struct stat st;

	if (strcmp(spec, "-") == 0)
		return 50;
	for (size_t i = 0; dot && i < sizeof suffix / sizeof *suffix; i++)
		if (strcmp(dot + 1, suffix[i]) == 0)
			return 60;
	if (stat(spec, &st) == 0)
		return S_ISDIR(st.st_mode) ? 0 : 40;
	if (colon && !memchr(spec, '/', (size_t)(colon - spec)))
		return 0; /* kind:what */
	return 20;
}

static const struct weir_option options[] = {
        {WEIR_OPT_FILES, "file", 0, WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                offsetof(struct config, files), .arg = "FILE",
                .doc = "capture files or globs; '-' is the mount's own source"},
        {WEIR_OPT_F64, "speed", 's', 0, offsetof(struct config, speed), 0, 1e9, .preset = "0",
                .arg = "N", .doc = "replay at N times the trace's own speed, 0: as fast as can be"},
        WEIR_OPTIONS_END,
};

WEIR_SOURCE(pcapfile) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SOURCE_PACKETS,
        .name = "pcapfile",
        .summary = "packets of capture files",
        .doc = "Reads pcap files (microseconds and nanoseconds, both byte orders, the older "
               "versions and the modified format of Linux) and pcapng files (all blocks, any "
               "number of sections and interfaces), plain or compressed with gzip, zstd, lz4 or "
               "xz. The content decides, not the name.\n\n"
               "Several files, and the files that a pattern matches, are merged by time; packets "
               "of equal time stand in the order of the files.\n\n"
               "Where a file is cut or broken, the packets before the fault count, and the "
               "source's info and the query's status say what was wrong at which offset. The "
               "other files are read on.\n\n"
               "With --speed the packets come at the times that they were captured at, from the "
               "first on, so many times as fast.",
        .example = "pcapfile - | group srcip count() as packets | sort -r packets | head 10",
        .options = options,
        .config_size = sizeof(struct config),
        .reader_size = sizeof(struct state),
        .probe = probe,
        .open = open_source,
        .read = read_packets,
        .pieces = pieces,
        .fetch = fetch,
        .close = close_source,
        .info = info,
};
