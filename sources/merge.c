/* SPDX-License-Identifier: MIT */
/* merge.c: several traces as one, by time. */
#include "sources/merge.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PEEK (64u << 10) /* block size for headers only */

/* ms to wait for a pipe's header; only the command line can name pipes, so nobody is at work yet.
 */
#define PATIENCE 5000
#define PATIENCE_OTHER 2000

int merge_add(struct merge *m, const char *path, bool named)
{
	struct weir_mem *mem = m->reader->mem;
	size_t len = strlen(path) + 1;
	struct merge_file *f;

	if (m->nfiles == MERGE_FILES_MAX)
		return -E2BIG;
	if (m->nfiles == m->room) {
		uint32_t room = m->room ? m->room * 2 : 1;
		void *p;

		p = weir_realloc(mem, m->file, m->room * sizeof *m->file, room * sizeof *m->file);
		if (!p)
			return -ENOMEM;
		m->file = p;
		p = weir_realloc(mem, m->heap, m->room * sizeof *m->heap, room * sizeof *m->heap);
		if (!p) { /* the list stays in its old size, on record */
			m->file = weir_realloc(
			        mem, m->file, room * sizeof *m->file, m->room * sizeof *m->file);
			return -ENOMEM;
		}
		m->heap = p;
		m->room = room;
	}
	f = weir_calloc(mem, sizeof *f + len);
	if (!f)
		return -ENOMEM;
	f->path = memcpy(f + 1, path, len);
	f->named = named;
	m->file[m->nfiles++] = f;
	return 0;
}

static void close_pass(struct merge *m, struct merge_file *f)
{
	if (!f->pass)
		return;
	f->done = f->pass->trace.in.from.done;
	trace_release(&f->pass->trace);
	weir_free(m->reader->mem, f->pass, sizeof *f->pass);
	f->pass = NULL;
}

void merge_release(struct merge *m)
{
	struct weir_mem *mem = m->reader ? m->reader->mem : NULL;

	for (uint32_t i = 0; i < m->nfiles; i++) {
		struct merge_file *f = m->file[i];

		close_pass(m, f);
		weir_free(mem, f, sizeof *f + strlen(f->path) + 1);
	}
	weir_free(mem, m->file, m->room * sizeof *m->file);
	weir_free(mem, m->heap, m->room * sizeof *m->heap);
	*m = (struct merge){.reader = NULL};
}

static void report(struct merge *m, struct merge_file *f)
{
	if (f->pass->trace.fault[0])
		weir_source_fault(
		        m->reader, f->path, f->pass->trace.fault_offset, f->pass->trace.fault);
}

/* Opens the file and reads its headers. A file that is no capture: -EINVAL and *err. */
static int open_pass(
        struct merge *m, struct merge_file *f, struct block_pool *pool, struct weir_err *err)
{
	int fd = weir_source_open(m->reader, f->path, err), r;
	char why[300];

	if (fd < 0)
		return fd;
	f->pass = weir_calloc(m->reader->mem, sizeof *f->pass);
	if (!f->pass) {
		close(fd);
		return -ENOMEM;
	}
	r = trace_open(&f->pass->trace, fd, pool, m->reader->mem,
	        strcmp(f->path, "-") == 0 ? PATIENCE : PATIENCE_OTHER);
	if (r == 0)
		return 0;
	if (r == -EINVAL) {
		snprintf(why, sizeof why, "'%s' is no capture file: %s", f->path,
		        f->pass->trace.fault);
		r = weir_fail_no(err, EINVAL, WEIR_E_BAD_TRACE, WEIR_NOPOS, 0, why);
	}
	close_pass(m, f);
	return r;
}

void merge_describe(const struct trace *t, struct merge_about *a)
{
	struct stat st;

	a->format = t->format;
	a->packing = t->in.from.packing;
	a->swap = t->swap;
	a->major = t->major;
	a->minor = t->minor;
	a->interfaces = t->niface;
	if (fstat(t->in.from.fd, &st) == 0 && S_ISREG(st.st_mode))
		a->size = (uint64_t)st.st_size;
	for (uint32_t i = 0; i < t->niface; i++) {
		const struct trace_iface *x = &t->iface[i];
		uint32_t k = 0;

		if (i == 0) {
			a->snaplen = x->snaplen;
			a->resolution = x->resolution;
			a->fcs = x->fcs;
		}
		while (k < a->nlinktypes && a->linktype[k] != x->linktype)
			k++;
		if (k == a->nlinktypes && k < MERGE_LINKTYPES)
			a->linktype[a->nlinktypes++] = x->linktype;
	}
}

/* ---- the heap ---- */

static bool before(const struct merge *m, uint32_t a, uint32_t b)
{
	int64_t x = m->file[a]->next, y = m->file[b]->next;

	return x < y || (x == y && a < b);
}

static void sift(struct merge *m, uint32_t i)
{
	uint32_t what = m->heap[i], kid;

	while ((kid = 2 * i + 1) < m->nheap) {
		if (kid + 1 < m->nheap && before(m, m->heap[kid + 1], m->heap[kid]))
			kid++;
		if (!before(m, m->heap[kid], what))
			break;
		m->heap[i] = m->heap[kid];
		i = kid;
	}
	m->heap[i] = what;
}

/* Parses ahead where nothing is; 1, 0 at the end, -EAGAIN, -ENOMEM. */
static int more(struct merge_file *f)
{
	struct merge_pass *p = f->pass;
	struct block *block;
	int n;

	if (p->at < p->n)
		return 1;
	n = trace_next(&p->trace, p->ahead, MERGE_AHEAD, &block);
	if (n <= 0)
		return n;
	if (block != p->block) {
		p->block = block;
		p->held = 0;
	}
	p->at = 0;
	p->n = (uint32_t)n;
	f->next = p->ahead[0].ts;
	return 1;
}

/* Looks at one file for its headers and its first time. 1: it has packets (a pipe: may have), 0:
 * none or unusable; -errno. */
static int look(struct merge *m, struct merge_file *f, struct block_pool *pool, bool keep,
        struct weir_err *err)
{
	struct weir_err why = WEIR_ERR_INIT;
	int r = open_pass(m, f, pool, &why);

	if (r == -ENOMEM || (r < 0 && f->named)) {
		if (err && !err->id)
			*err = why;
		return r;
	}
	if (r < 0) {
		weir_source_fault(m->reader, f->path, 0, why.text);
		return 0;
	}
	f->usable = true;
	merge_describe(&f->pass->trace, &f->about);
	if (f->pass->trace.digits > m->digits)
		m->digits = f->pass->trace.digits;
	if (m->nfiles == 1)
		return 1;
	r = more(f);
	if (r == -EAGAIN) { /* read on when its turn comes, which is now */
		f->next = INT64_MIN;
		r = 1;
		if (trace_is_busy(&f->pass->trace) && ++m->nbarren > MERGE_BARREN)
			return weir_fail_no(err, E2BIG, WEIR_E_BAD_TRACE, WEIR_NOPOS, 0,
			        "more than 64 of the files begin with megabytes without a packet");
	}
	if (r == 0)
		report(m, f);
	if (r <= 0 || (!keep && !f->pass->trace.in.from.live))
		close_pass(m, f);
	return r;
}

int merge_open(struct merge *m, struct weir_err *err)
{
	bool keep = m->nfiles <= MERGE_OPEN, known = true;
	struct block_pool *pool = m->pool;
	uint32_t usable = 0;
	int r = 0;

	if (!keep) {
		pool = block_pool_new(PEEK, m->reader->mem);
		if (!pool)
			return -ENOMEM;
	}
	m->digits = 6;
	for (uint32_t i = 0; i < m->nfiles && r >= 0; i++) {
		struct merge_file *f = m->file[i];

		r = look(m, f, pool, keep, err);
		if (r == 1)
			m->heap[m->nheap++] = i;
		usable += f->usable;
		known &= f->about.size != 0 || !f->usable;
		m->size += f->about.size;
		f->done = 0;
	}
	if (!keep)
		block_pool_unref(pool);
	if (r < 0)
		return r;
	if (!known)
		m->size = 0;
	if (m->nfiles && !usable)
		return weir_fail_no(err, EINVAL, WEIR_E_BAD_TRACE, WEIR_NOPOS, 0,
		        "none of the files is a capture file");
	for (uint32_t i = m->nheap / 2; i-- > 0;)
		sift(m, i);
	return 0;
}

void merge_drop(struct merge *m)
{
	struct merge_file *f = m->file[m->heap[0]];

	if (f->pass)
		report(m, f);
	close_pass(m, f);
	m->heap[0] = m->heap[--m->nheap];
	if (m->nheap)
		sift(m, 0);
}

/* Sees to it that the first file, which has nothing at hand, is open and parsed ahead, or gone.
 * 0, -EAGAIN, -ENOMEM. */
static int advance(struct merge *m, struct merge_file *f, int *ret_fd)
{
	struct weir_err why = WEIR_ERR_INIT;
	int r = f->pass ? 0 : open_pass(m, f, m->pool, &why);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		weir_source_fault(m->reader, f->path, 0, why.text);
		merge_drop(m);
		return 0;
	}
	r = more(f);
	*ret_fd = trace_is_busy(&f->pass->trace) ? -1 : f->pass->trace.in.from.fd;
	if (r < 0)
		return r;
	if (r == 0)
		merge_drop(m);
	else
		sift(m, 0);
	return 0;
}

int merge_first(struct merge *m, struct merge_pass **ret, int *ret_fd)
{
	while (m->nheap) {
		struct merge_file *f = m->file[m->heap[0]];
		int r;

		if (f->pass && f->pass->at < f->pass->n) {
			*ret = f->pass;
			return 1;
		}
		r = advance(m, f, ret_fd);
		if (r < 0)
			return r;
	}
	return 0;
}

void merge_took(struct merge *m)
{
	struct merge_file *f = m->file[m->heap[0]];
	struct merge_pass *p = f->pass;

	if (++p->at == p->n)
		return; /* stays first until merge_first() knows its next */
	f->next = p->ahead[p->at].ts;
	sift(m, 0);
}

uint64_t merge_done(const struct merge *m)
{
	uint64_t done = 0;

	for (uint32_t i = 0; i < m->nfiles; i++)
		done += m->file[i]->pass ? m->file[i]->pass->trace.in.from.done : m->file[i]->done;
	return done;
}
