/* SPDX-License-Identifier: MIT */
/* state.c: see state.h. */
#include "fs/state.h"
#include <stdlib.h>

#define BUCKETS 1024

struct state {
	struct state *next;
	uint64_t id;
	uint64_t key, version, hash;
	int64_t made; /* monotonic; 0: never */
	int64_t time; /* ns since the epoch */
};

struct states {
	pthread_mutex_t lock;
	struct state *bucket[BUCKETS];
	uint64_t count; /* of all */
};

struct states *states_new(void)
{
	struct states *ss = calloc(1, sizeof *ss);

	if (ss)
		pthread_mutex_init(&ss->lock, NULL);
	return ss;
}

void states_free(struct states *ss)
{
	struct state *s, *next;

	if (!ss)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (s = ss->bucket[i]; s; s = next) {
			next = s->next;
			free(s);
		}
	pthread_mutex_destroy(&ss->lock);
	free(ss);
}

/* The lock is held. NULL: out of memory. */
static struct state *get(struct states *ss, uint64_t id)
{
	struct state **at = &ss->bucket[(id * 0x9e3779b97f4a7c15ull) >> 54], *s;

	for (s = *at; s; s = s->next)
		if (s->id == id)
			return s;
	s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->id = id;
	s->next = *at;
	*at = s;
	ss->count++;
	return s;
}

int64_t state_time(struct states *ss, uint64_t id, uint64_t key, int64_t first)
{
	int64_t now = fs_monotonic(), time = first;
	struct state *s;

	pthread_mutex_lock(&ss->lock);
	s = get(ss, id);
	if (s && !s->made) {
		s->time = first;
		s->made = now;
		s->key = key;
	} else if (s && s->key != key && now - s->made >= NSEC) {
		s->time = fs_now();
		s->made = now;
		s->key = key;
	}
	if (s)
		time = s->time;
	pthread_mutex_unlock(&ss->lock);
	return time;
}

static void text_of(const struct state *s, struct state_text *ret)
{
	ret->key = s->key;
	ret->version = s->version;
	ret->hash = s->hash;
	ret->made = s->made;
	ret->time = s->time;
}

void state_text_get(struct states *ss, uint64_t id, struct state_text *ret)
{
	struct state *s;

	*ret = (struct state_text){0};
	pthread_mutex_lock(&ss->lock);
	s = get(ss, id);
	if (s)
		text_of(s, ret);
	pthread_mutex_unlock(&ss->lock);
}

void state_text_same(struct states *ss, uint64_t id, uint64_t key)
{
	struct state *s;

	pthread_mutex_lock(&ss->lock);
	s = get(ss, id);
	if (s) {
		s->key = key;
		s->made = fs_monotonic();
	}
	pthread_mutex_unlock(&ss->lock);
}

void state_text_new(
        struct states *ss, uint64_t id, uint64_t key, uint64_t hash, struct state_text *ret)
{
	struct state *s;

	*ret = (struct state_text){.version = 1, .time = fs_now()};
	pthread_mutex_lock(&ss->lock);
	s = get(ss, id);
	if (s) {
		s->key = key;
		s->hash = hash;
		s->made = fs_monotonic();
		s->time = ret->time;
		s->version++;
		text_of(s, ret);
	}
	pthread_mutex_unlock(&ss->lock);
}

void states_prune(struct states *ss, const struct serials *known)
{
	struct node n;

	pthread_mutex_lock(&ss->lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct state **at = &ss->bucket[i], *s; (s = *at) != NULL;) {
			if (node_parse(s->id, &n) && serials_lack(known, &n)) {
				*at = s->next;
				free(s);
				ss->count--;
			} else {
				at = &s->next;
			}
		}
	pthread_mutex_unlock(&ss->lock);
}

uint64_t states_count(struct states *ss)
{
	uint64_t n;

	pthread_mutex_lock(&ss->lock);
	n = ss->count;
	pthread_mutex_unlock(&ss->lock);
	return n;
}
