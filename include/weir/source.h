/* SPDX-License-Identifier: MIT */
/* source.h: where records come from: a trace, an interface, a collector.
 *
 * A source is named on the command line (`weir lab=trace.pcap DIR`) or stands first in a query
 * (`pcapfile trace.pcap | …`). A *reader* is one pass over it, used by one thread.
 */
#ifndef WEIR_SOURCE_H
#define WEIR_SOURCE_H

#include <sys/stat.h>
#include <weir/module.h>
#include <weir/packet.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	WEIR_SOURCE_PACKETS = 1, /* one of those that `packets` unites */
	WEIR_SOURCE_FLOWS = 2,   /* one of those that `flows` unites */
	/* Can be read once only: all queries share one pass. Its read() must not block but give
	 * -EAGAIN with wake or wake_fd. */
	WEIR_SOURCE_ONCE = 4,
};

/* One pass. The engine fills the first part before open, the source the second. */
struct weir_reader {
	void *state; /* reader_size bytes, zeroed */
	const void *config;
	struct weir_mem *mem;
	/* the first pass over a source of the command line: if that can be read only once, the
	 * only one, which serves all queries */
	bool named;

	struct weir_schema *schema;       /* set by open: a reference, dropped by the engine */
	uint64_t bytes_done, bytes_total; /* progress; total 0: unknown */
	int64_t wake;                     /* with -EAGAIN: CLOCK_MONOTONIC ns to try again at */
	int wake_fd;                      /* with -EAGAIN: or when this is readable; -1: none */
	/* set by open: another pass over the same files would give the same, as fast as can be */
	bool steady;
	bool once;      /* set by open: as WEIR_SOURCE_ONCE, with this config */
	bool remembers; /* set by open: it keeps, across restarts, what was taken, see taken() */
	/* set by open: how fast its records' time goes by the clock while it has none (-EAGAIN): 1
	 * for what is handed on as soon as it is captured, the speed of a replay; 0: that says
	 * nothing, records may be held up for any time on their way */
	double pace;
	uint64_t piece; /* pieces that read() has taken over, see pieces() */
	void *engine;
};

/* What came in live, and what of it was lost, since the source was opened. */
struct weir_counts {
	uint64_t packets;   /* that reached the source, those it then lost included */
	uint64_t kernel;    /* lost of them: the kernel had no room */
	uint64_t own;       /* lost of them: passed over by the source itself */
	uint64_t interface; /* lost before, by the interface */
};

struct weir_source {
	uint32_t abi; /* WEIR_ABI */
	uint32_t flags;
	const char *name;
	const char *summary, *doc, *example; /* as a module's */
	const struct weir_option *options;   /* file options are WEIR_OPT_FILES, positional */
	size_t config_size, reader_size;

	/* Whether it reads what the command line calls `spec` ("trace.pcap", "-", "spool:/x"); the
	 * highest score wins, 0 is no. May be NULL. */
	int (*probe)(const char *spec);
	/* 0 or -errno with *err. Opens files by weir_source_open() only. Sets r->schema. */
	int (*open)(struct weir_reader *r, struct weir_err *err);
	/* 1 and *ret, a new reference: records in time order. 0: the end. -EAGAIN: nothing yet, see
	 * r->wake. Else -errno with *err: the pass ends, what came before counts. */
	int (*read)(struct weir_reader *r, struct weir_batch **ret, struct weir_err *err);
	void (*close)(struct weir_reader *r); /* after a failed open too */
	/* Of so many of the batches that read() gave, the first ones, every query that got them has
	 * had its answer changed, or is gone; where all are gone, the last of them. Called only for
	 * a pass that serves all queries, when the number has grown, by the thread that reads,
	 * before a read, and before close. May be NULL. */
	void (*taken)(struct weir_reader *r, uint64_t batches);
	/* Counters of such a pass, shown in the source's `stats`: calls line() for each. Any thread
	 * at any time between open and close; must not block. May be NULL. */
	void (*stats)(struct weir_reader *r,
	        void (*line)(void *arg, const char *key, uint64_t value), void *arg);
	/* For input that several threads can bring into memory; both may be NULL. Asked at most
	 * once, between open and the first read: 1: from now on read() goes through pieces, of
	 * which up to `ahead` may be there before it wants them. 0: this input has none. */
	int (*pieces)(struct weir_reader *r, uint32_t ahead, uint32_t workers);
	/* Brings a piece into memory, for read(), which gives -EAGAIN as long as the one that it
	 * needs is not there. Called once for each number from 0 on, in any order, by any thread,
	 * several at once (each is another of the `workers`), for numbers below r->piece + ahead,
	 * until read() has ended. 0: the input ends in this piece or before. */
	int (*fetch)(struct weir_reader *r, uint64_t number, uint32_t worker);
	/* Appends "key: value" lines about what is there (format, link types, sizes) by calling
	 * line(). Opens and reads headers only. May be NULL. */
	int (*info)(struct weir_reader *r,
	        void (*line)(void *arg, const char *key, const char *value), void *arg,
	        struct weir_err *err);

	/* For live sources (WEIR_SOURCE_ONCE); any thread, between open and close, while another
	 * one reads; so may `info` be then. All may be NULL. */

	/* What is wanted from now on: `n` filters (pcap-filter(7)), NULL for everything, of which a
	 * record has to pass one; those that pass none may come or not. n 0: nothing, and what was
	 * not read yet is not wanted either. Without a call: everything. The texts are borrowed
	 * for the call. 0, or -errno: it cannot, and everything comes. */
	int (*want)(struct weir_reader *r, const char *const *filter, uint32_t n);
	/* Whether half of the room is taken that it has for records which nobody reads: then
	 * queries go without some that said they can. By the thread that reads. */
	bool (*pressed)(struct weir_reader *r);
	void (*counts)(struct weir_reader *r, struct weir_counts *ret);
};

#define WEIR_SOURCE(id) const struct weir_source weir_source_##id

/* Opens `path` for reading with the rights of whoever asked for it (the writer of the query, or
 * the mounting user): a file descriptor, O_CLOEXEC and but for "-" O_NONBLOCK, or -errno with
 * *err. A regular file may be another file system's stream, and give EAGAIN. */
int weir_source_open(struct weir_reader *r, const char *path, struct weir_err *err);

/* stat(2) with the same rights: 0 or -errno. */
int weir_source_stat(struct weir_reader *r, const char *path, struct stat *ret);

/* The same for a folder, to read its list: so only its names are known, and each file in it is
 * opened with these rights for itself. */
int weir_source_folder(struct weir_reader *r, const char *path, struct weir_err *err);

/* For what can be read only once and needs the mount's rights: 0, or -EPERM with *err where the
 * reader is not that of a source named on the command line. */
int weir_source_once(struct weir_reader *r, const char *what, struct weir_err *err);

/* Expands a glob with the same rights: calls each(arg, path) in sorted order; at least one file
 * or -ENOENT. A path without glob characters is passed on as it is. */
int weir_source_glob(struct weir_reader *r, const char *pattern,
        int (*each)(void *arg, const char *path), void *arg, struct weir_err *err);

/* Records a fault in the input (a cut file, a lying length): shown in the source's `info` and in
 * the query's `status`. `offset`: bytes into the (decompressed) file. The pass goes on or ends
 * as the source decides. */
void weir_source_fault(struct weir_reader *r, const char *file, uint64_t offset, const char *text);

/* An empty batch of the reader's schema. For packets set ops and call
 * weir_source_packets(). NULL: out of memory. */
struct weir_batch *weir_source_batch(struct weir_reader *r);

/* The same, with room for packet descriptors at b->priv (struct weir_packets). The caller sets
 * b->n and b->nsel. */
struct weir_batch *weir_source_packets(struct weir_reader *r, const struct weir_batch_ops *ops);

#ifdef __cplusplus
}
#endif
#endif
