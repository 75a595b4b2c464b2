/* SPDX-License-Identifier: MIT */
/* keyhash.h: the hash of packed keys, 32 bits, seeded at process start.
 *
 * Short keys: each pair of words is folded by a 64 x 64 -> 128 bit multiplication with secret
 * words (the step of wyhash and XXH3); longer ones: XXH3 with a secret of its own. Without the
 * secret, keys that collide cannot be computed.
 */
#ifndef KEYHASH_H
#define KEYHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct keyhash_secret {
	uint64_t word[4];
	uint8_t xxh[192];
};

/* Drawn on first use. */
const struct keyhash_secret *keyhash_secret(void);

uint32_t keyhash_bytes(const struct keyhash_secret *s, const void *p, size_t n);

static inline uint64_t keyhash_load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint64_t keyhash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 x = (unsigned __int128)a * b;

	return (uint64_t)x ^ (uint64_t)(x >> 64);
}

/* Stands in a key for an IPv6 address whose number is not known. */
static inline uint32_t keyhash_digest(const struct keyhash_secret *s, const uint8_t *octets)
{
	return (uint32_t)(keyhash_fold(keyhash_load(octets) ^ s->word[2],
	                          keyhash_load(octets + 8) ^ s->word[3]) >>
	                  32);
}

/* n: a multiple of 8, a constant where this is to be fast. */
static inline __attribute__((always_inline)) uint32_t keyhash(
        const struct keyhash_secret *s, const uint8_t *p, size_t n)
{
	uint64_t h = s->word[3] ^ n;

	if (n > 64)
		return keyhash_bytes(s, p, n);
	for (; n >= 16; p += 16, n -= 16)
		h = keyhash_fold(keyhash_load(p) ^ s->word[0], keyhash_load(p + 8) ^ h);
	if (n)
		h = keyhash_fold(keyhash_load(p) ^ s->word[0], h ^ s->word[1]);
	return (uint32_t)(h >> 32);
}

#endif
