/* SPDX-License-Identifier: MIT */
/* shed.c: see shed.h. */
#include "engine/core/shed.h"

#include <pthread.h>
#include <stdlib.h>

#include "engine/core/now.h"

#define RAISE_NS 50000000   /* not faster */
#define LOWER_NS 1000000000 /* not faster */
#define APART_NS 1000000000 /* two spells */

bool shed_more(struct shed *s)
{
	int64_t now = now_ns(CLOCK_MONOTONIC);

	if (s->mode != SHED_SAMPLE || s->level == SHED_LEVELS || now - s->changed < RAISE_NS)
		return false;
	s->level++;
	s->changed = now;
	return true;
}

void shed_less(struct shed *s)
{
	int64_t now;

	if (!s->level)
		return;
	now = now_ns(CLOCK_MONOTONIC);
	if (now - s->changed < LOWER_NS)
		return;
	s->level--;
	s->changed = now;
}

void shed_count(struct shed *s, uint32_t records)
{
	int64_t now = now_ns(CLOCK_REALTIME);
	struct shed_spell *p = &s->spell[(s->nspells - 1) % SHED_SPELLS];

	if (!records)
		return;
	if (!s->nspells || now - p->to > APART_NS) {
		p = &s->spell[s->nspells++ % SHED_SPELLS];
		*p = (struct shed_spell){.from = now};
	}
	p->to = now;
	p->records += records;
	if (s->level > p->level)
		p->level = s->level;
	s->records += records;
}

/* Of the link header, where there is no flow. */
static uint64_t other(const struct weir_packet *pk)
{
	uint64_t h = 0xcbf29ce484222325;

	for (uint32_t i = 0; i < pk->caplen && i < 14; i++)
		h = (h ^ pk->data[i]) * 0x100000001b3;
	return h;
}

/* A flowid is made for equality; its bits are mixed once more. */
static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93;
	return h ^ h >> 32;
}

int shed_rows(struct weir_batch *b, const struct weir_packet *pk, uint32_t level, uint16_t *rows)
{
	int field = weir_schema_find(b->schema, "flowid", 6);
	const struct weir_col *c = field < 0 ? NULL : weir_batch_col(b, (uint32_t)field);
	uint64_t mask = (1ull << level) - 1;
	uint32_t n = 0;

	if (!c)
		return -ENOMEM;
	for (uint32_t k = 0; k < weir_batch_count(b); k++) {
		uint32_t row = weir_batch_row(b, k);
		uint64_t h = weir_col_has(c, row) ? weir_col_u64(c)[row] : other(&pk[row]);

		rows[n] = (uint16_t)row;
		n += (mix(h) & mask) == 0;
	}
	return (int)n;
}

const int32_t *shed_map(uint32_t nfields)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int32_t map[SHED_FIELDS];
	static uint32_t made;
	const int32_t *ret = map;

	pthread_mutex_lock(&lock);
	if (!made && nfields <= SHED_FIELDS) {
		made = nfields;
		for (uint32_t f = 0; f < nfields - 1; f++)
			map[f] = (int32_t)f;
		map[nfields - 1] = -1;
	}
	if (made != nfields)
		ret = NULL;
	pthread_mutex_unlock(&lock);
	return ret;
}

void shed_text(const struct shed *s, const char *name, struct text *to)
{
	uint64_t first = s->nspells > SHED_SPELLS ? s->nspells - SHED_SPELLS : 0;

	if (s->mode == SHED_NONE)
		return;
	text_printf(to, "%s.shed: %llu\n", name, (unsigned long long)s->records);
	if (s->mode == SHED_SAMPLE)
		text_printf(to, "%s.sampling: 1/%llu\n", name, 1ull << s->level);
	for (uint64_t i = first; i < s->nspells; i++) {
		const struct shed_spell *p = &s->spell[i % SHED_SPELLS];

		text_printf(to, "%s.shed_spell: %llu records from %lld.%06lld to %lld.%06lld", name,
		        (unsigned long long)p->records, (long long)(p->from / 1000000000),
		        (long long)(p->from / 1000 % 1000000), (long long)(p->to / 1000000000),
		        (long long)(p->to / 1000 % 1000000));
		if (s->mode == SHED_SAMPLE)
			text_printf(to, ", one flow in %llu", 1ull << p->level);
		text_puts(to, "\n");
	}
}

struct weir_schema *shed_schema(const struct weir_schema *s)
{
	struct weir_field *f = malloc((s->nfields + 1) * sizeof *f);
	struct weir_schema *ret;

	if (!f)
		return NULL;
	memcpy(f, s->fields, s->nfields * sizeof *f);
	f[s->nfields] = (struct weir_field){.name = "weight",
	        .kind = WEIR_U64,
	        .bits = SHED_LEVELS + 1,
	        .flags = WEIR_FIELD_ANNOTATION | WEIR_FIELD_DEFAULT | WEIR_FIELD_ALWAYS |
	                 WEIR_FIELD_WEIGHT,
	        .doc = "records that it stands for: one flow in so many is taken"};
	ret = weir_schema_new(s->name, f, s->nfields + 1);
	free(f);
	return ret;
}
