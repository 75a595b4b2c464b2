/* SPDX-License-Identifier: MIT */
/* spool_files.c: see spool_files.h. */
#include "sources/spool_files.h"

#include <errno.h>
#include <string.h>

void spool_files_init(struct spool_files *s, struct weir_mem *mem, uint32_t max)
{
	*s = (struct spool_files){.mem = mem, .max = max};
}

static uint32_t bucket_of_name(const char *name)
{
	uint32_t h = 2166136261u;

	while (*name)
		h = (h ^ (uint8_t)*name++) * 16777619u;
	return (h ^ h >> 16) % SPOOL_BUCKETS;
}

static uint32_t bucket_of_ino(uint64_t ino)
{
	return (uint32_t)(ino * 0x9e3779b97f4a7c15ull >> 32) % SPOOL_BUCKETS;
}

static void free_file(struct spool_files *s, struct spool_file *f)
{
	if (f->name)
		weir_free(s->mem, f->name, strlen(f->name) + 1);
	if (f->was)
		weir_free(s->mem, f->was, strlen(f->was) + 1);
	weir_free(s->mem, f, sizeof *f);
	s->n--;
}

void spool_files_release(struct spool_files *s)
{
	for (uint32_t i = 0; i < SPOOL_BUCKETS; i++)
		while (s->by_ino[i]) {
			struct spool_file *f = s->by_ino[i];

			s->by_ino[i] = f->by_ino;
			free_file(s, f);
		}
	weir_free(s->mem, s->heap, s->room * sizeof(struct spool_file *));
	*s = (struct spool_files){.mem = NULL};
}

struct spool_file *spool_files_named(const struct spool_files *s, const char *name)
{
	struct spool_file *f = s->by_name[bucket_of_name(name)];

	while (f && strcmp(f->name, name) != 0)
		f = f->by_name;
	return f;
}

struct spool_file *spool_files_open(const struct spool_files *s, int fd)
{
	struct spool_file *f;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return NULL;
	f = s->by_ino[bucket_of_ino(st.st_ino)];
	while (f && !file_id_is(&f->id, fd))
		f = f->by_ino;
	return f;
}

/* ---- names ---- */

static void drop_name(struct spool_files *s, struct spool_file *f)
{
	struct spool_file **p;

	if (!f->name)
		return;
	for (p = &s->by_name[bucket_of_name(f->name)]; *p != f; p = &(*p)->by_name)
		;
	*p = f->by_name;
	if (f->was)
		weir_free(s->mem, f->was, strlen(f->was) + 1);
	f->was = f->name;
	f->name = NULL;
}

static char *copy_of(struct spool_files *s, const char *name)
{
	size_t len = strlen(name) + 1;
	char *copy = weir_alloc(s->mem, len);

	return copy ? memcpy(copy, name, len) : NULL;
}

/* Takes the name. */
static void give_name(struct spool_files *s, struct spool_file *f, char *name)
{
	struct spool_file **b = &s->by_name[bucket_of_name(name)];

	drop_name(s, f);
	f->name = name;
	f->by_name = *b;
	*b = f;
}

static void forget(struct spool_files *s, struct spool_file *f)
{
	struct spool_file **p;

	for (p = &s->by_ino[bucket_of_ino(f->id.ino)]; *p != f; p = &(*p)->by_ino)
		;
	*p = f->by_ino;
	free_file(s, f);
}

static void append_gone(struct spool_files *s, struct spool_file *f)
{
	f->gone = NULL;
	if (s->gone_last)
		s->gone_last->gone = f;
	else
		s->gone = f;
	s->gone_last = f;
	s->ngone++;
}

static struct spool_file *first_gone(struct spool_files *s)
{
	struct spool_file *f = s->gone;

	s->gone = f->gone;
	if (!s->gone)
		s->gone_last = NULL;
	s->ngone--;
	return f;
}

/* Forgets the oldest of those whose names are gone, but for `keep`. Those that are back have a
 * name; those that are in use stay. */
static void forget_some(struct spool_files *s, uint32_t keep)
{
	for (uint32_t i = s->keeps ? 0 : s->ngone; i > 0 && s->ngone > keep; i--) {
		struct spool_file *f = first_gone(s);

		if (f->name)
			f->gone = f; /* in no list */
		else if (f->at.marks || f->state != SPOOL_REST)
			append_gone(s, f);
		else
			forget(s, f);
	}
}

int spool_files_rename(struct spool_files *s, struct spool_file *f, const char *name)
{
	if (name) {
		char *copy = copy_of(s, name);

		if (!copy)
			return -ENOMEM;
		give_name(s, f, copy);
		return 0;
	}
	drop_name(s, f);
	if (f->gone == f) /* else it is in the list from an earlier time */
		append_gone(s, f);
	forget_some(s, SPOOL_GONE);
	return 0;
}

struct spool_file *spool_files_add(
        struct spool_files *s, const char *name, const struct file_id *id, bool *ret_full)
{
	struct spool_file *f, **b = &s->by_ino[bucket_of_ino(id->ino)];
	char *copy = name ? copy_of(s, name) : NULL; /* `name` may be that of one to be forgotten */

	if (s->n >= s->max)
		forget_some(s, 0);
	*ret_full = s->n >= s->max;
	f = *ret_full || (name && !copy) ? NULL : weir_calloc(s->mem, sizeof *f);
	if (!f) {
		if (copy)
			weir_free(s->mem, copy, strlen(copy) + 1);
		return NULL;
	}
	f->id = *id;
	f->gone = f;
	f->by_ino = *b;
	*b = f;
	s->n++;
	if (copy)
		give_name(s, f, copy);
	else
		append_gone(s, f);
	return f;
}

void spool_files_each(
        struct spool_files *s, void (*each)(void *arg, struct spool_file *f), void *arg)
{
	for (uint32_t i = 0; i < SPOOL_BUCKETS; i++)
		for (struct spool_file *f = s->by_name[i], *next; f; f = next) {
			next = f->by_name;
			each(arg, f);
		}
}

/* ---- those that wait ---- */

static bool before(const struct spool_file *a, const struct spool_file *b)
{
	if (a->first != b->first)
		return a->first < b->first;
	return strcmp(a->name ? a->name : "", b->name ? b->name : "") < 0;
}

int spool_files_wait(struct spool_files *s, struct spool_file *f)
{
	uint32_t i;

	if (s->nheap == s->room) {
		uint32_t room = s->room ? s->room * 2 : 64;
		void *p = weir_realloc(
		        s->mem, s->heap, s->room * sizeof *s->heap, room * sizeof *s->heap);

		if (!p)
			return -ENOMEM;
		s->heap = p;
		s->room = room;
	}
	f->state = SPOOL_WAITS;
	for (i = s->nheap++; i > 0 && before(f, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = f;
	return 0;
}

struct spool_file *spool_files_next(struct spool_files *s)
{
	struct spool_file *first, *last;
	uint32_t i = 0, kid;

	if (!s->nheap)
		return NULL;
	first = s->heap[0];
	last = s->heap[--s->nheap];
	while ((kid = 2 * i + 1) < s->nheap) {
		if (kid + 1 < s->nheap && before(s->heap[kid + 1], s->heap[kid]))
			kid++;
		if (!before(s->heap[kid], last))
			break;
		s->heap[i] = s->heap[kid];
		i = kid;
	}
	if (s->nheap)
		s->heap[i] = last;
	first->state = SPOOL_READS;
	return first;
}
