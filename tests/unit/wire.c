/* SPDX-License-Identifier: MIT */
/* wire.c: the cursor reads both byte orders and never past the end, and stays bad once it is. */
#include "sources/wire.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void orders(void **state)
{
	struct wire w = wire_of(bytes, sizeof bytes);

	assert_int_equal(wire_u8(&w), 1);
	assert_int_equal(wire_le16(&w), 0x0302);
	assert_int_equal(wire_le32(&w), 0x07060504);
	assert_true(wire_le64(&w) == 0x0f0e0d0c0b0a0908);
	assert_int_equal(wire_left(&w), 0);
	assert_false(w.bad);
	w = wire_of(bytes, sizeof bytes);
	assert_int_equal(wire_be16(&w), 0x0102);
	assert_int_equal(wire_be32(&w), 0x03040506);
	assert_true(wire_be64(&w) == 0x0708090a0b0c0d0e);
	assert_ptr_equal(wire_bytes(&w, 1), bytes + 14);
}

static void sticky(void **state)
{
	struct wire w = wire_of(bytes, 3);

	assert_int_equal(wire_le32(&w), 0);
	assert_true(w.bad);
	assert_int_equal(wire_left(&w), 3); /* nothing moved */
	assert_int_equal(wire_u8(&w), 0);   /* though there is one */
	assert_null(wire_bytes(&w, 0));
	w = wire_of(bytes, 3);
	wire_skip(&w, 3);
	assert_false(w.bad);
	assert_non_null(wire_bytes(&w, 0));
	assert_false(w.bad);
	wire_skip(&w, SIZE_MAX);
	assert_true(w.bad);
	w = wire_of(NULL, 0);
	assert_int_equal(wire_be16(&w), 0);
	assert_true(w.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(orders),
	        cmocka_unit_test(sticky),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
