/* SPDX-License-Identifier: MIT */
/* spool.c: a folder into which others put captures: each is taken once, when it is whole.
 *
 * A file is whole when nobody has it open for writing; inotify(7) tells of files that were closed,
 * moved in, linked or removed, and a scan of the folder finds those that were there before, and
 * those whose events were lost. They are read one behind the other, that with the earliest first
 * packet first: records stand in time order where the files follow upon each other, as a rotating
 * writer's do.
 *
 * What a file is, and whether it was read, its identity says (spool_files.h), not its name. One
 * that grows after it was read is read on; one that is overwritten is a new one, and if the old one
 * had not been read, that is a fault, as it is where a file is gone before its turn.
 */
#include "sources/packet_batch.h"
#include "sources/spool_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK (64u << 10)
#define STEPS 1000 /* files without packets in a row, before others have their say */

struct config {
	struct weir_words folder;
	bool end;
	uint64_t files;
	const char *state;
};

struct state {
	struct spool_folder folder;
	struct block_pool *pool;
	struct packet_batch out;
	struct spool_file *file; /* that is being read, NULL: none */
	struct grown from;
	struct progress progress;
	uint64_t before; /* bytes of the files that are over */
	bool end;
};

/* ---- the state file ---- */

struct entries {
	struct state_entry *entry;
	uint32_t n, room;
};

static void collect(void *arg, struct spool_file *f)
{
	struct entries *to = arg;

	if ((f->at.offset || f->at.size) && to->n < to->room)
		to->entry[to->n++] = (struct state_entry){f->at.id, f->at.offset, f->at.size};
}

static void save(struct state *s, bool last)
{
	struct entries all = {.room = s->folder.files.n};

	if (!progress_is_due(&s->progress, last))
		return;
	all.entry = malloc((all.room + 1) * sizeof *all.entry);
	if (!all.entry)
		return;
	spool_files_each(&s->folder.files, collect, &all);
	progress_write(&s->progress, all.entry, all.n);
	free(all.entry);
}

/* What was read before: known, though not seen yet. 0 or -ENOMEM. */
static int remember(struct state *s)
{
	const struct state_file *from = &s->progress.state;

	for (uint32_t i = 0; i < from->n; i++) {
		const struct state_entry *e = &from->entry[i];
		struct spool_file *f;
		bool full;

		f = spool_files_add(&s->folder.files, NULL, &e->id, &full);
		if (!f)
			return -ENOMEM;
		f->offset = e->offset;
		f->size = e->size;
		f->left = !e->size;
		f->at = (struct progress_file){e->id, e->offset, e->size, 0};
	}
	state_file_drop(&s->progress.state);
	return 0;
}

/* ---- reading ---- */

/* Ends with the file; `lost`: something else is in its place. 0 or -ENOMEM. */
static int leave(struct state *s, bool lost)
{
	struct spool_file *f = s->file;
	const struct trace *t = &s->from.trace;
	uint64_t had = t->in.from.done;
	int r = 0;

	s->file = NULL;
	f->state = SPOOL_REST;
	f->offset = grown_offset(&s->from);
	if (lost) {
		spool_folder_lost(&s->folder, f);
	} else {
		f->id = s->from.id;
		f->size = had;
		if (t->fault[0]) /* unless it grows, there is no more to be had of it */
			spool_folder_broken(&s->folder, f, t->fault_offset, t->fault);
		r = progress_end(&s->progress, &f->at, &f->id, f->offset, had + !had,
		        packet_batch_count(&s->out) > 0);
		spool_folder_count(&s->folder.counts.taken);
	}
	s->before += had;
	grown_close(&s->from);
	if (r == 0 && f->name)
		r = spool_folder_look(&s->folder, f->name); /* perhaps there is more by now */
	return r;
}

/* Opens the file whose turn it is. 0; -ENOENT: it is none any more; -ENOMEM. */
static int enter(struct state *s, struct spool_file *f)
{
	struct weir_err why = WEIR_ERR_INIT;
	int fd = spool_folder_open(&s->folder, f, &why), r;

	f->state = SPOOL_REST;
	if (fd < 0)
		return fd == -ENOMEM ? fd : -ENOENT;
	r = grown_open(&s->from, fd, f->offset, s->pool, s->folder.reader->mem);
	if (r == 0 && file_id_is(&f->id, fd)) {
		f->state = SPOOL_READS;
		f->left = false;
		s->file = f;
		grown_end(&s->from);
		return 0;
	}
	if (r == -EINVAL)
		spool_folder_refuse(&s->folder, f, s->from.trace.fault);
	else if (r != -ENOMEM)
		spool_folder_lost(&s->folder, f);
	grown_close(&s->from);
	if (r != -ENOMEM && r != -EINVAL && f->name)
		r = spool_folder_look(&s->folder, f->name);
	return r == -ENOMEM ? r : -ENOENT;
}

/* Packets of the file, up to a full batch: as grown_next(). */
static int fill(struct state *s)
{
	struct block *block;
	int n;

	do {
		uint32_t room;
		struct weir_packet *to = packet_batch_room(&s->out, &room);

		n = grown_next(&s->from, to, room, &block);
	} while (n > 0 && packet_batch_took(&s->out, &s->from.trace.in, (uint32_t)n, block));
	return n;
}

static int hand_on(struct state *s, struct weir_batch **ret)
{
	int r = s->file ? progress_batch(
	                          &s->progress, &s->file->at, &s->from.id, grown_offset(&s->from))
	                : progress_batch(&s->progress, NULL, NULL, 0);

	return r < 0 ? r : packet_batch_hand_on(&s->out, ret);
}

static int wait_for_more(struct state *s, struct weir_reader *r, bool soon)
{
	int64_t at = progress_wake(&s->progress);

	r->wake_fd = s->folder.watch.fd;
	r->wake = spool_folder_due(&s->folder);
	if (at && (!r->wake || at < r->wake))
		r->wake = at;
	if (soon)
		r->wake = spool_now();
	return -EAGAIN;
}

/* One step on where the batch is not full. 1: nothing to read now; 0; -EAGAIN: it was a long one;
 * -ENOMEM. */
static int step(struct state *s)
{
	struct spool_file *f;
	int r;

	if (!s->file) {
		r = spool_folder_hear(&s->folder);
		if (r < 0)
			return r;
		f = spool_files_next(&s->folder.files);
		if (!f)
			return 1;
		spool_folder_taken_out(&s->folder);
		r = enter(s, f);
		return r == -ENOENT ? 0 : r;
	}
	r = fill(s);
	__atomic_store_n(&s->folder.reader->bytes_done, s->before + s->from.trace.in.from.done,
	        __ATOMIC_RELAXED);
	if (r > 0 || r == -ENOMEM || r == -EAGAIN)
		return r < 0 ? r : 0;
	return leave(s, r == -ESTALE);
}

static int read_spool(struct weir_reader *r, struct weir_batch **ret, struct weir_err *err)
{
	struct state *s = r->state;
	uint32_t steps = 0, had;
	int n;

	save(s, false);
	if (packet_batch_begin(&s->out, r, PACKET_BATCH_BLOCKS) < 0)
		return weir_fail(err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, " for blocks of the trace");
	do {
		had = packet_batch_count(&s->out);
		n = step(s); /* what it has added to the batch is all that fits, or the file is over
		              */
	} while (n == 0 && ++steps < STEPS && (packet_batch_count(&s->out) == had || !s->file));
	if (n != -ENOMEM && packet_batch_count(&s->out))
		n = hand_on(s, ret);
	else if (n == 1 && s->end)
		n = 0;
	else if (n != -ENOMEM)
		n = wait_for_more(s, r, n != 1);
	if (n == -ENOMEM)
		weir_fail(err, WEIR_E_NO_MEMORY, WEIR_NOPOS, 0, " for files of the spool");
	return n;
}

/* ---- open, close ---- */

static int open_spool(struct weir_reader *r, struct weir_err *err)
{
	const struct config *c = r->config;
	struct state *s = r->state;
	char of[4200];
	int e;

	if (c->folder.n != 1)
		return weir_fail(
		        err, WEIR_E_TOO_MANY_ARGUMENTS, WEIR_NOPOS, 0, "spool", "one folder");
	s->end = c->end;
	s->progress.state.dir = s->progress.state.fd = -1;
	s->pool = block_pool_new(BLOCK, r->mem);
	r->schema = weir_packet_schema(9);
	if (!s->pool || !r->schema)
		return -ENOMEM;
	e = spool_folder_open_at(&s->folder, r, c->folder.word[0], (uint32_t)c->files, err);
	if (e < 0)
		return e;
	snprintf(of, sizeof of, "spool:%s", s->folder.path);
	e = progress_open(&s->progress, r, c->state, of, err);
	s->folder.files.max += s->progress.state.n; /* some may be gone: the scan knows */
	if (e == 0)
		e = remember(s);
	if (e == 0)
		e = spool_folder_scan(&s->folder);
	if (e == 0)
		spool_folder_missing(&s->folder);
	s->folder.files.max = (uint32_t)c->files;
	r->once = true;
	return e;
}

static void close_spool(struct weir_reader *r)
{
	struct state *s = r->state;

	packet_batch_release(&s->out);
	if (s->progress.reader)
		save(s, true);
	progress_close(&s->progress);
	grown_close(&s->from);
	spool_folder_close(&s->folder);
	block_pool_unref(s->pool);
	s->pool = NULL;
}

static void taken(struct weir_reader *r, uint64_t batches)
{
	progress_taken(&((struct state *)r->state)->progress, batches);
	save(r->state, false);
}

static void stats(
        struct weir_reader *r, void (*line)(void *arg, const char *key, uint64_t value), void *arg)
{
	spool_folder_stats(&((struct state *)r->state)->folder, line, arg);
}

static int info(struct weir_reader *r, void (*line)(void *arg, const char *key, const char *value),
        void *arg, struct weir_err *err)
{
	const struct state *s = r->state;

	line(arg, "folder", s->folder.path);
	line(arg, "files", s->folder.pattern);
	if (s->progress.keeps)
		line(arg, "state file", s->progress.state.path);
	return 0;
}

static int probe(const char *spec)
{
	return strncmp(spec, SPOOL_PREFIX, strlen(SPOOL_PREFIX)) == 0 ? 100 : 0;
}

static const struct weir_option options[] = {
        {WEIR_OPT_FILES, "folder", 0, WEIR_OPT_POSITIONAL | WEIR_OPT_REQUIRED,
                offsetof(struct config, folder), .arg = "FOLDER",
                .doc = "the folder, or a pattern of files in it: /var/cap/*.pcap"},
        {WEIR_OPT_FLAG, "end", 'e', 0, offsetof(struct config, end),
                .doc = "end when all that is there has been read, instead of waiting"},
        {WEIR_OPT_U64, "files", 0, 0, offsetof(struct config, files), 1, 1e6, .preset = "65536",
                .arg = "N", .doc = "how many files of a folder may be known at once"},
        {WEIR_OPT_FILE, "state", 0, 0, offsetof(struct config, state), .arg = "FILE",
                .doc = "remember there which files of a spool were read, and how far"},
        WEIR_OPTIONS_END,
};

WEIR_SOURCE(spool) = {
        .abi = WEIR_ABI,
        .flags = WEIR_SOURCE_PACKETS | WEIR_SOURCE_ONCE,
        .name = "spool",
        .summary = "packets of the captures that come into a folder",
        .doc = "Reads the capture files of a folder, in all formats of pcapfile, as they come: "
               "those that are there, then each one when its writer has closed it, or when it is "
               "moved in. The one with the earliest first packet goes first. A file that somebody "
               "has open for writing waits until it is closed.\n\n"
               "Each file is read once, whatever it is called by then. One that grows later is "
               "read on, one that is overwritten is a new one. Files that are gone or overwritten "
               "before they were read, that shrink, or that are no captures are faults, and the "
               "source's stats count them. What a file had that was overwritten before it was "
               "looked at for the first time leaves no trace.\n\n"
               "On the command line it is spool:FOLDER, read once for all queries together; with "
               "the option state each file, and each packet, once across restarts. In a query it "
               "is read for that alone.",
        .example = "spool -e './*.pcap' | group ipprotocol count() as packets | sort -r packets",
        .options = options,
        .config_size = sizeof(struct config),
        .reader_size = sizeof(struct state),
        .probe = probe,
        .open = open_spool,
        .read = read_spool,
        .close = close_spool,
        .taken = taken,
        .stats = stats,
        .info = info,
};
