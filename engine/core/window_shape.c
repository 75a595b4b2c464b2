/* SPDX-License-Identifier: MIT */
/* window_shape.c: see window_shape.h. */
#include "engine/core/window_shape.h"

#include "engine/core/record_time.h"

#define COVER_MAX 1000 /* windows that one record may be in */

static int bad(const struct weir_arg *a, const char *expected, struct weir_err *err)
{
	const char *text = a->text ? a->text : a->call ? a->call : "expression";

	return weir_fail(err, WEIR_E_BAD_VALUE, a->pos, a->len, text, "window", expected);
}

static const char *word(const struct weir_arg *a)
{
	return a->word ? a->word : a->field >= 0 ? a->text : "";
}

static bool constant(const struct weir_arg *a, enum weir_kind kind, uint64_t *ret)
{
	struct weir_value v;

	if (!a->expr || !weir_expr_constant(a->expr, &v) || v.kind != kind)
		return false;
	*ret = v.d.u;
	return true;
}

static int duration(const struct weir_arg *a, int64_t *ret, struct weir_err *err)
{
	uint64_t v;

	if (!constant(a, WEIR_DURATION, &v))
		return bad(a, "a time such as 10s", err);
	*ret = (int64_t)v;
	if (*ret <= 0 || *ret > RECORD_TIME_MAX / 4)
		return weir_fail(err, WEIR_E_OUT_OF_RANGE, a->pos, a->len,
		        a->text ? a->text : "time", "more than 0, at most 36 years");
	return 0;
}

static int by_session(struct weir_bind *b, const struct weir_args *args, struct window_shape *s,
        struct weir_err *err)
{
	const struct weir_arg *a = args->arg;
	uint32_t *index, n = args->n;
	int r;

	s->mode = WINDOW_BY_SESSION;
	if (n < 2)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, a->pos, a->len, "window session",
		        "a time without records that ends it");
	r = duration(&a[1], &s->width, err);
	if (r < 0 || n == 2)
		return r;
	if (strcmp(word(&a[2]), "by") != 0)
		return bad(&a[2], "'by' and fields", err);
	if (n == 3)
		return weir_fail(err, WEIR_E_MISSING_ARGUMENT, a[2].pos, a[2].len, "by", "fields");
	index = weir_bind_alloc(b, n * sizeof *index);
	if (!index)
		return -ENOMEM;
	for (uint32_t i = 3; i < n; i++) {
		if (a[i].word)
			return weir_fail(
			        err, WEIR_E_UNKNOWN_FIELD, a[i].pos, a[i].len, a[i].word, "");
		if (a[i].field < 0)
			return bad(&a[i], "a field", err);
		index[s->by.n++] = (uint32_t)a[i].field;
	}
	s->by.index = index;
	return 0;
}

static int64_t gcd(int64_t a, int64_t b)
{
	while (b) {
		int64_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

static int by_time(const struct weir_args *args, struct window_shape *s, struct weir_err *err)
{
	const struct weir_arg *a = args->arg;
	int r = duration(&a[0], &s->width, err);

	if (r < 0)
		return r;
	s->mode = WINDOW_BY_TIME;
	s->slide = s->width;
	if (args->n > 1) {
		if (strcmp(word(&a[1]), "slide") != 0)
			return bad(&a[1], "'slide'", err);
		if (args->n == 2)
			return weir_fail(err, WEIR_E_MISSING_ARGUMENT, a[1].pos, a[1].len, "slide",
			        "a time");
		r = duration(&a[2], &s->slide, err);
		if (r < 0)
			return r;
		if (args->n > 3)
			return bad(&a[3], "nothing more", err);
		if (s->width / s->slide >= COVER_MAX)
			return weir_fail(err, WEIR_E_OUT_OF_RANGE, a[2].pos, a[2].len,
			        a[2].text ? a[2].text : "slide",
			        "at least a thousandth of the window");
	}
	s->pane = gcd(s->width, s->slide);
	return 0;
}

int window_shape_bind(struct weir_bind *b, const struct weir_args *args, struct window_shape *s,
        struct weir_err *err)
{
	const struct weir_arg *a = args->arg;

	if (strcmp(word(&a[0]), "session") == 0)
		return by_session(b, args, s, err);
	if (!constant(&a[0], WEIR_U64, &s->records)) {
		uint64_t v;

		if (!constant(&a[0], WEIR_DURATION, &v))
			return bad(&a[0], "a time such as 10s, 'N records' or 'session'", err);
		return by_time(args, s, err);
	}
	s->mode = WINDOW_BY_COUNT;
	if (args->n < 2 || strncmp(word(&a[1]), "record", 6) != 0)
		return bad(&a[args->n < 2 ? 0 : 1],
		        "'records' behind the number, or a time in one word such as 10s", err);
	if (args->n > 2)
		return bad(&a[2], "nothing more", err);
	if (s->records == 0)
		return weir_fail(err, WEIR_E_OUT_OF_RANGE, a[0].pos, a[0].len, "0", "at least 1");
	return 0;
}
