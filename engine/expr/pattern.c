/* SPDX-License-Identifier: MIT */
/* pattern.c: `like` (SQL) and `~` (PCRE2, just-in-time compiled).
 *
 * Subjects are hostile: a match that needs too many steps, too deep a recursion or too much
 * memory counts as no match. `like` needs at most |pattern| * |text| steps by construction.
 * Match data lives in the batch, so that threads share a pattern and no record allocates.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/expr/expr.h"
#include <pcre2.h>
#include <stdlib.h>
#include <weir/late.h>

#define FUNCTIONS(X)                                                                               \
	X(pcre2_code_free_8)                                                                       \
	X(pcre2_compile_8)                                                                         \
	X(pcre2_general_context_create_8)                                                          \
	X(pcre2_get_error_message_8)                                                               \
	X(pcre2_jit_compile_8)                                                                     \
	X(pcre2_match_8)                                                                           \
	X(pcre2_match_context_create_8)                                                            \
	X(pcre2_match_context_free_8)                                                              \
	X(pcre2_match_data_create_8)                                                               \
	X(pcre2_set_depth_limit_8)                                                                 \
	X(pcre2_set_heap_limit_8)                                                                  \
	X(pcre2_set_match_limit_8)
WEIR_LATE(pcre2, PCRE2_SONAME, FUNCTIONS)

#define MATCH_STEPS 50000
#define MATCH_HEAP_KIB 1024
#define PATTERN_MAX 4096 /* bytes of a pattern */

struct pattern {
	struct pattern *next;
	pcre2_code *code;
	pcre2_match_context *context;
};

int pattern_new(const char *text, size_t len, bool utf, uint32_t pos, uint32_t pos_len,
        struct pattern **ret, struct weir_err *err)
{
	uint32_t flags = PCRE2_NEVER_BACKSLASH_C;
	struct pattern *p;
	PCRE2_SIZE at;
	int code;

	if (len > PATTERN_MAX)
		return weir_fail(err, WEIR_E_BAD_REGEX, pos, pos_len, "longer than 4096 bytes");
	if (utf)
		flags |= PCRE2_UTF | PCRE2_MATCH_INVALID_UTF;
	if (weir_late_load(&pcre2_library) < 0)
		return weir_fail(err, WEIR_E_BAD_REGEX, pos, pos_len, pcre2_library.missing);
	p = calloc(1, sizeof *p);
	if (!p)
		return weir_fail(err, WEIR_E_NO_MEMORY, pos, pos_len, "");
	p->code = pcre2.pcre2_compile_8((PCRE2_SPTR)text, len, flags, &code, &at, NULL);
	if (!p->code) {
		char why[160];

		pcre2.pcre2_get_error_message_8(code, (PCRE2_UCHAR *)why, sizeof why);
		free(p);
		return weir_fail(err, WEIR_E_BAD_REGEX, pos, pos_len, why);
	}
	p->context = pcre2.pcre2_match_context_create_8(NULL);
	if (!p->context) {
		pattern_free(p);
		return weir_fail(err, WEIR_E_NO_MEMORY, pos, pos_len, "");
	}
	pcre2.pcre2_jit_compile_8(
	        p->code, PCRE2_JIT_COMPLETE); /* where it cannot, it is interpreted */
	pcre2.pcre2_set_match_limit_8(p->context, MATCH_STEPS);
	pcre2.pcre2_set_depth_limit_8(p->context, MATCH_STEPS);
	pcre2.pcre2_set_heap_limit_8(p->context, MATCH_HEAP_KIB);
	*ret = p;
	return 0;
}

void pattern_chain(struct pattern *p, struct pattern *next)
{
	p->next = next;
}

void pattern_free(struct pattern *p)
{
	while (p) {
		struct pattern *next = p->next;

		pcre2.pcre2_match_context_free_8(p->context);
		pcre2.pcre2_code_free_8(p->code);
		free(p);
		p = next;
	}
}

static void *batch_malloc(size_t size, void *b)
{
	return weir_batch_alloc(b, size);
}

static void batch_free(void *p, void *b)
{
}

int pattern_select(const struct pattern *p, struct weir_batch *b, const struct vec *v,
        const struct rows *in, uint16_t *out)
{
	pcre2_general_context *general =
	        pcre2.pcre2_general_context_create_8(batch_malloc, batch_free, b);
	pcre2_match_data *data = general ? pcre2.pcre2_match_data_create_8(1, general) : NULL;
	const struct weir_str *s = v->data;
	uint32_t n = 0;

	if (!data)
		return -ENOMEM;
	EACH_ROW(in, r, {
		const struct weir_str *t = &s[r & v->mask];
		bool c = vec_has(v, r) &&
		         pcre2.pcre2_match_8(p->code, t->len ? t->p : (PCRE2_SPTR) "", t->len, 0, 0,
		                 data, p->context) >= 0;

		out[n] = (uint16_t)r;
		n += c;
	});
	return (int)n;
}

/* One character: an octet, with those that continue it in UTF-8. */
static size_t step(const struct weir_str *s, size_t at, bool utf)
{
	at++;
	while (utf && at < s->len && (s->p[at] & 0xc0) == 0x80)
		at++;
	return at;
}

/* % any text, _ one character, \ before either (or \) takes it literally. Only the last % is ever
 * tried again. */
bool like_match(const struct weir_str *pattern, const struct weir_str *s, bool utf)
{
	size_t i = 0, at = 0, again_i = 0, again_at = 0;
	bool again = false;

	while (at < s->len || i < pattern->len) {
		if (i < pattern->len) {
			uint8_t c = pattern->p[i];

			if (c == '%') {
				again = true;
				again_i = ++i;
				again_at = at;
				continue;
			}
			if (c == '_' && at < s->len) {
				at = step(s, at, utf);
				i++;
				continue;
			}
			if (c != '_' && at < s->len) {
				size_t k = c == '\\' && i + 1 < pattern->len ? i + 1 : i;

				if (pattern->p[k] == s->p[at]) {
					i = k + 1;
					at++;
					continue;
				}
			}
		}
		if (!again || again_at >= s->len)
			return false;
		again_at = step(s, again_at, utf);
		at = again_at;
		i = again_i;
	}
	return true;
}
