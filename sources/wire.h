/* SPDX-License-Identifier: MIT */
/* wire.h: a bounds-checked cursor over bytes that somebody else wrote.
 *
 * A read past the end gives 0, moves nothing and sets `bad`, which stays set: read a whole header,
 * then ask once. No longjmp, because callers may hold locks. The load_* functions check nothing;
 * they are for loops that have checked a whole record.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load_u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint32_t load_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t load_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* In the machine's byte order, or in the other one. */
static inline uint16_t load_swap_u16(const uint8_t *p, bool swap)
{
	uint16_t v = load_u16(p);

	return swap ? __builtin_bswap16(v) : v;
}

static inline uint32_t load_swap_u32(const uint8_t *p, bool swap)
{
	uint32_t v = load_u32(p);

	return swap ? __builtin_bswap32(v) : v;
}

static inline uint64_t load_swap_u64(const uint8_t *p, bool swap)
{
	uint64_t v = load_u64(p);

	return swap ? __builtin_bswap64(v) : v;
}

#define WIRE_SWAP_LE (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
#define WIRE_SWAP_BE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

struct wire {
	const uint8_t *at, *end;
	bool bad; /* something was read that is not there */
};

static inline struct wire wire_of(const void *p, size_t len)
{
	return (struct wire){.at = p, .end = (const uint8_t *)p + len};
}

static inline size_t wire_left(const struct wire *w)
{
	return (size_t)(w->end - w->at);
}

/* The next n bytes, NULL where they are not there. */
static inline const uint8_t *wire_bytes(struct wire *w, size_t n)
{
	const uint8_t *p = w->at;

	if (w->bad || wire_left(w) < n) {
		w->bad = true;
		return NULL;
	}
	w->at += n;
	return p;
}

static inline void wire_skip(struct wire *w, size_t n)
{
	(void)wire_bytes(w, n);
}

static inline uint8_t wire_u8(struct wire *w)
{
	const uint8_t *p = wire_bytes(w, 1);

	return p ? *p : 0;
}

static inline uint16_t wire_u16(struct wire *w, bool swap)
{
	const uint8_t *p = wire_bytes(w, 2);

	return p ? load_swap_u16(p, swap) : 0;
}

static inline uint32_t wire_u32(struct wire *w, bool swap)
{
	const uint8_t *p = wire_bytes(w, 4);

	return p ? load_swap_u32(p, swap) : 0;
}

static inline uint64_t wire_u64(struct wire *w, bool swap)
{
	const uint8_t *p = wire_bytes(w, 8);

	return p ? load_swap_u64(p, swap) : 0;
}

static inline uint16_t wire_le16(struct wire *w)
{
	return wire_u16(w, WIRE_SWAP_LE);
}

static inline uint32_t wire_le32(struct wire *w)
{
	return wire_u32(w, WIRE_SWAP_LE);
}

static inline uint64_t wire_le64(struct wire *w)
{
	return wire_u64(w, WIRE_SWAP_LE);
}

static inline uint16_t wire_be16(struct wire *w)
{
	return wire_u16(w, WIRE_SWAP_BE);
}

static inline uint32_t wire_be32(struct wire *w)
{
	return wire_u32(w, WIRE_SWAP_BE);
}

static inline uint64_t wire_be64(struct wire *w)
{
	return wire_u64(w, WIRE_SWAP_BE);
}

#endif
