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
#include "sources/follow.h"
#include "sources/linktype.h"
#include "sources/merge.h"
#include "sources/packet_batch.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (160u << 10)      /* three of them stay in a second-level cache */
#define BLOCK_SMALL (64u << 10) /* where many files are open at once */
#define FULL_NS                                                                                    \
	50000000 /* a pipe's packets wait so long for a full batch, as long as they get it */
#define PARTIAL_NS 10000000 /* else: between two batches that are not full */
#define NAP_NS 1000000      /* a replay does not wake more often */

struct config {
	struct weir_words files;
	double speed;
	bool follow;
	const char *state;
};

struct state {
	struct merge merge;
	struct follow follow; /* instead of `merge`, where .reader is set */
	struct block_pool *pool;
	double speed;
	struct packet_batch out;
	struct pieces *pieces; /* of one file; NULL: it is read as it is walked through */
	/* a pipe: CLOCK_MONOTONIC ns at which a batch that is not full may go; 0: not set */
	int64_t partial;
	bool slow;    /* it had no full batch since one went that was not */
	bool started; /* the replay: `clock` (CLOCK_MONOTONIC) is the time `zero` */
	int64_t clock, zero;
};

static int64_t monotonic(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* A pipe has nothing; `fd` -1: there is more to be gone through, at once. What comes fast is waited
 * for, so that batches are full; from a pipe that is once found slow a batch goes as it is, unless
 * another one went just before. */
static int idle(struct weir_reader *r, struct state *s, int fd, struct weir_batch **ret)
{
	int64_t now = monotonic();

	r->wake_fd = fd;
	r->wake = fd < 0 ? now : 0;
	if (fd < 0 || !packet_batch_count(&s->out))
		return -EAGAIN;
	if (!s->slow && !s->partial)
		s->partial = now + FULL_NS;
	if (now >= s->partial) {
		s->partial = now + PARTIAL_NS;
		s->slow = true;
		return packet_batch_hand_on(&s->out, ret);
	}
	r->wake = s->partial;
	return -EAGAIN;
}

/* A batch that did not have to wait. */
static int hand_on(struct state *s, struct weir_batch **ret)
{
	s->partial = 0;
	s->slow = false;
	return packet_batch_hand_on(&s->out, ret);
}

static bool is_followed(const struct weir_reader *r)
{
	return ((const struct state *)r->state)->follow.reader != NULL;
}

/* ---- one file, at full speed ---- */

static int read_one(struct weir_reader *r, struct state *s, struct weir_batch **ret)
{
	struct trace *t = &s->merge.file[0]->pass->trace;
	struct block *block;
	int n;

	if (!s->merge.nheap)
		return 0;
	if (packet_batch_begin(&s->out, r, PACKET_BATCH_BLOCKS) < 0)
		return -ENOMEM;
	do {
		uint32_t room;
		struct weir_packet *to = packet_batch_room(&s->out, &room);

		n = trace_next(t, to, room, &block);
	} while (n > 0 && packet_batch_took(&s->out, &t->in, (uint32_t)n, block));
	__atomic_store_n(&r->bytes_done, t->in.from.done, __ATOMIC_RELAXED);
	if (s->pieces)
		r->piece = pieces_taken(s->pieces);
	if (n == -EAGAIN)
		return s->pieces ? n : idle(r, s, trace_is_busy(t) ? -1 : t->in.from.fd, ret);
	if (n < 0)
		return n;
	if (packet_batch_count(&s->out))
		return hand_on(s, ret);
	merge_drop(&s->merge);
	return 0;
}

static int pieces(struct weir_reader *r, uint32_t ahead, uint32_t workers)
{
	struct state *s = r->state;
	struct merge *m = &s->merge;
	struct input *in;

	if (is_followed(r) || m->nfiles != 1 || !m->nheap || s->speed > 0)
		return 0;
	in = &m->file[0]->pass->trace.in;
	if (in->from.live || in->from.codec || in->ended || in->end_offset != in->from.done ||
	        in->end != in->block->data + in->block->size)
		return 0;
	s->pieces =
	        pieces_new(in->from.fd, in->from.start + in->end_offset, ahead, workers, r->mem);
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
	uint32_t room;

	*packet_batch_room(&s->out, &room) = from->ahead[from->at];
	s->out.batch->n++;
	if (from->held != s->out.batches) {
		from->held = s->out.batches;
		packet_batch_hold(&s->out, from->block);
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

	if (packet_batch_begin(&s->out, r, WEIR_BATCH_ROWS) < 0)
		return -ENOMEM;
	if (s->out.batches % 16 == 0) /* it asks every file */
		__atomic_store_n(&r->bytes_done, merge_done(&s->merge), __ATOMIC_RELAXED);
	while ((n = merge_first(&s->merge, &first, &fd)) == 1) {
		int64_t ts = first->ahead[first->at].ts;

		if (ts > due(s, ts, now)) {
			if (packet_batch_count(&s->out))
				return packet_batch_hand_on(&s->out, ret);
			r->wake = wake_at(s, ts, now);
			r->wake_fd = -1;
			return -EAGAIN;
		}
		take(s, first);
		if (packet_batch_count(&s->out) == WEIR_BATCH_ROWS)
			break;
	}
	if (n == 0)
		__atomic_store_n(&r->bytes_done, merge_done(&s->merge), __ATOMIC_RELAXED);
	if (n == -EAGAIN)
		return idle(r, s, fd, ret);
	if (n < 0)
		return n;
	return packet_batch_count(&s->out) ? hand_on(s, ret) : 0;
}

static int read_packets(struct weir_reader *r, struct weir_batch **ret, struct weir_err *err)
{
	struct state *s = r->state;
	int n;

	if (is_followed(r))
		n = follow_read(&s->follow, &s->out, ret);
	else if (s->merge.nfiles == 1 && s->speed <= 0)
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

/* What there is to wait for at its end; a pipe is read as it comes in any case. */
static bool can_be_followed(struct weir_reader *r, const char *path)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		return fstat(STDIN_FILENO, &st) < 0 || S_ISREG(st.st_mode);
	return weir_source_stat(r, path, &st) < 0 || S_ISREG(st.st_mode);
}

static int open_followed(struct weir_reader *r, struct weir_err *err)
{
	const struct config *c = r->config;
	struct state *s = r->state;
	int e;

	if (c->speed > 0)
		return weir_fail(err, WEIR_E_OPTION_CONFLICT, WEIR_NOPOS, 0, "follow", "speed");
	s->pool = block_pool_new(BLOCK, r->mem);
	if (!s->pool)
		return -ENOMEM;
	e = follow_open(&s->follow, r, c->files.word[0], c->state, s->pool, err);
	if (e < 0)
		return e;
	r->once = true;
	r->schema = weir_packet_schema(s->follow.file.trace.digits);
	return r->schema ? 0 : -ENOMEM;
}

static int open_source(struct weir_reader *r, struct weir_err *err)
{
	const struct config *c = r->config;
	struct state *s = r->state;
	int e;

	if (c->follow && (c->files.n != 1 || strpbrk(c->files.word[0], "*?[")))
		return weir_fail(err, WEIR_E_TOO_MANY_ARGUMENTS, WEIR_NOPOS, 0, "follow",
		        "one file; folders are for 'spool'");
	if (c->follow && can_be_followed(r, c->files.word[0]))
		return open_followed(r, err);
	e = open_files(r, err);
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

	packet_batch_release(&s->out);
	follow_close(&s->follow);
	merge_release(&s->merge);
	pieces_free(s->pieces);
	s->pieces = NULL;
	block_pool_unref(s->pool);
	s->pool = NULL;
}

static void taken(struct weir_reader *r, uint64_t batches)
{
	if (is_followed(r))
		follow_taken(&((struct state *)r->state)->follow, batches);
}

/* ---- info, probe ---- */

static void stats(
        struct weir_reader *r, void (*line)(void *arg, const char *key, uint64_t value), void *arg)
{
	if (is_followed(r))
		follow_stats(&((struct state *)r->state)->follow, line, arg);
}

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

static void info_one(const char *path, const struct merge_about *a,
        void (*line)(void *arg, const char *key, const char *value), void *arg)
{
	bool big = a->swap == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
	char text[1024];

#define LINE(key, ...)                                                                             \
	do {                                                                                       \
		text[0] = 0;                                                                       \
		__VA_ARGS__;                                                                       \
		line(arg, key, text);                                                              \
	} while (0)
	line(arg, "file", path);
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
	const struct state *s = r->state;
	const struct merge *m = &s->merge;
	char text[1024];

	if (is_followed(r)) {
		struct merge_about a = {0};

		merge_describe(&s->follow.file.trace, &a);
		a.size = 0; /* it grows */
		info_one(s->follow.path, &a, line, arg);
		line(arg, "followed", "yes");
		return 0;
	}
	if (m->nfiles == 1) {
		info_one(m->file[0]->path, &m->file[0]->about, line, arg);
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
        {WEIR_OPT_FLAG, "follow", 'f', 0, offsetof(struct config, follow),
                .doc = "read one file as it is written, and what takes its place"},
        {WEIR_OPT_FILE, "state", 0, 0, offsetof(struct config, state), .arg = "FILE",
                .doc = "remember there how far a followed file was read, across restarts"},
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
               "With --follow a file is read as it is written: what is behind its last whole "
               "packet "
               "waits until the rest of it comes, of a compressed file what its writer has not "
               "flushed. When another file takes its name, the old one is read until nobody writes "
               "it any more, to its end, and then the new one; files of the name that came and "
               "went in "
               "between are a fault. A file that is truncated or "
               "overwritten in place is read anew, and that is a fault. A followed source of the "
               "mount is read once, for all queries together.\n\n"
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
        .taken = taken,
        .stats = stats,
        .info = info,
};
