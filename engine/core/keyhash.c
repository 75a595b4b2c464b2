/* SPDX-License-Identifier: MIT */
/* keyhash.c: the secret, and the hash of long keys. */
#include "engine/core/keyhash.h"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof((struct keyhash_secret *)0)->xxh >= XXH3_SECRET_SIZE_MIN, "secret");

static struct keyhash_secret secret;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void draw(void)
{
	uint8_t *to = (uint8_t *)&secret;

	for (size_t i = 0; i < sizeof secret;) {
		ssize_t r = getrandom(to + i, sizeof secret - i, 0);

		if (r <= 0)
			break; /* no such call: what is left of the address space's randomness */
		i += (size_t)r;
	}
	secret.word[0] ^= (uint64_t)(uintptr_t)&to * 0x9e3779b97f4a7c15;
	for (int i = 0; i < 4; i++)
		secret.word[i] |= 1ull << (8 + i); /* never zero */
}

const struct keyhash_secret *keyhash_secret(void)
{
	pthread_once(&once, draw);
	return &secret;
}

uint32_t keyhash_bytes(const struct keyhash_secret *s, const void *p, size_t n)
{
	uint64_t h = XXH3_64bits_withSecret(p, n, s->xxh, sizeof s->xxh);

	return (uint32_t)(keyhash_fold(h ^ s->word[1], s->word[2]) >> 32);
}
