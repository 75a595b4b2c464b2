/* SPDX-License-Identifier: MIT */
/* expr.c: any bytes as an expression: parsed, bound to a schema with every kind, evaluated over a
 * batch with odd values, as a value and as a condition, which must agree. */
#include "engine/core/pool.h"
#include "engine/expr/bind.h"

#include <stdio.h>
#include <stdlib.h>

#define ROWS 70
#define PREFIX "x | where "

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct weir_names protocols[] = {{6, "tcp"}, {17, "udp"}, {0, NULL}};

static const struct weir_field fields[] = {
        {.name = "u", .kind = WEIR_U64, .names = protocols},
        {.name = "i", .kind = WEIR_I64},
        {.name = "f", .kind = WEIR_F64},
        {.name = "t", .kind = WEIR_TIME, .digits = 6},
        {.name = "d", .kind = WEIR_DURATION, .digits = 9},
        {.name = "a", .kind = WEIR_IP},
        {.name = "n", .kind = WEIR_SUBNET},
        {.name = "m", .kind = WEIR_MAC},
        {.name = "s", .kind = WEIR_STR, .aliases = "text str"},
        {.name = "b", .kind = WEIR_BYTES},
        {.name = "flags.syn", .kind = WEIR_BOOL},
        {.name = "all", .kind = WEIR_U64},
};

#define FIELDS (sizeof fields / sizeof *fields)

static const char *const odd[] = {"0", "1", "-1", "255", "65536", "9223372036854775807",
        "-9223372036854775808", "18446744073709551615", "1e308", "-0", "nan", "inf", "10.0.0.1",
        "255.255.255.255", "::", "2001:db8::1", "0.0.0.0/0", "10.0.0.0/8", "::/128", "0:0:0:0:0:0",
        "ff:ff:ff:ff:ff:ff", "true", "GET / HTTP/1.1", "\xff\xfe", "9223372036", "-9223372036",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

#define ODD (sizeof odd / sizeof *odd)

static void fill(struct weir_batch *b, uint32_t f)
{
	struct weir_col *c = weir_batch_own(b, f);
	uint64_t *valid = f + 1 < FIELDS ? weir_batch_own_valid(b, c) : NULL;
	size_t size = weir_kind_size(c->kind);

	for (uint32_t r = 0; r < ROWS; r++) {
		const char *s = odd[(r * 7 + f) % ODD];
		union weir_datum d;

		memset((char *)c->data + r * size, 0, size);
		if (weir_kind_parse(c->kind, s, strlen(s), &d) < 0)
			continue;
		memcpy((char *)c->data + r * size, &d, size);
		if (valid)
			weir_valid_set(valid, r);
	}
}

static struct weir_batch *make(struct weir_pool *pool, const struct weir_schema *schema, bool some)
{
	static uint16_t sel[ROWS];
	struct weir_batch *b = pool_batch(pool, schema, ROWS);
	uint32_t n = 0;

	for (uint32_t f = 0; f < FIELDS; f++)
		fill(b, f);
	for (uint16_t r = 0; r < ROWS; r += (uint16_t)(1 + r % 3))
		sel[n++] = r;
	if (some)
		weir_batch_select(b, sel, n);
	return b;
}

static void read_all(const struct weir_col *c, struct weir_batch *b)
{
	uint8_t sum = 0;
	char buf[WEIR_PRINT_MAX];

	for (uint32_t k = 0; k < weir_batch_count(b); k++) {
		uint32_t r = weir_batch_row(b, k);
		union weir_datum d;

		if (!weir_col_has(c, r))
			continue;
		memcpy(&d, (char *)c->data + r * weir_kind_size(c->kind), weir_kind_size(c->kind));
		if (weir_storage_of(c->kind) == WEIR_VAR)
			for (uint64_t i = 0; i < d.s.len; i++)
				sum += d.s.p[i];
		else if (weir_kind_print(c->kind, &d, 9, buf) > buf + WEIR_PRINT_MAX)
			__builtin_trap();
	}
	__asm__ volatile("" : : "r"(sum)); /* read every byte */
}

static void run(const struct weir_expr *e, struct weir_pool *pool, const struct weir_schema *schema)
{
	for (int some = 0; some < 2; some++) {
		struct weir_batch *b = make(pool, schema, some);
		uint16_t rows[ROWS];
		struct weir_col c;
		uint32_t yes = 0;
		int n = weir_expr_select(e, b, rows);

		if (n < 0 || n > (int)weir_batch_count(b) || weir_expr_eval(e, b, &c) < 0)
			__builtin_trap();
		for (uint32_t k = 0; k < weir_batch_count(b); k++) {
			uint32_t r = weir_batch_row(b, k);

			if (c.kind == WEIR_BOOL)
				yes += weir_col_has(&c, r) && weir_col_u64(&c)[r];
			else
				yes += weir_col_has(&c, r);
		}
		if (yes != (uint32_t)n)
			__builtin_trap();
		read_all(&c, b);
		weir_batch_unref(b);
	}
}

static void one(const struct ast *a, const struct weir_schema *schema, struct weir_pool *pool,
        struct arena *arena, size_t size)
{
	static const enum weir_kind want[] = {WEIR_NONE, WEIR_BOOL, WEIR_IP};

	for (int i = 0; i < 3; i++) {
		struct weir_err err = WEIR_ERR_INIT;
		struct weir_expr *e = NULL;

		if (expr_bind(a, schema, want[i], arena, NULL, NULL, &e, &err) < 0) {
			if (err.id == WEIR_E_NONE || err.pos > size)
				__builtin_trap();
			continue;
		}
		run(e, pool, schema);
		expr_release(e);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct weir_schema *schema;
	struct weir_pool *pool = pool_new(NULL);
	char *spec = malloc(size + sizeof PREFIX);
	struct ast_spec *ast;
	struct arena arena;
	size_t len = size + sizeof PREFIX - 1;

	if (!schema)
		schema = weir_schema_new("fuzz", fields, FIELDS);
	memcpy(spec, PREFIX, sizeof PREFIX - 1);
	memcpy(spec + sizeof PREFIX - 1, data, size);
	spec[len] = 0;
	arena_init(&arena, NULL);
	if (size < 4096 && lang_parse(spec, len, &arena, &ast, NULL) == 0)
		for (uint32_t q = 0; q < ast->nqueries; q++)
			for (const struct ast_stage *s = ast->queries[q]->first; s; s = s->next) {
				if (s->where)
					one(s->where, schema, pool, &arena, len);
				for (uint32_t i = 0; i < s->nargs; i++)
					if (s->args[i].expr)
						one(s->args[i].expr, schema, pool, &arena, len);
			}
	arena_release(&arena);
	free(spec);
	pool_unref(pool);
	return 0;
}
