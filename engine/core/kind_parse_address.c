/* SPDX-License-Identifier: MIT */
/* kind_parse_address.c: IP addresses, networks and link addresses from text. */
#include "engine/core/kind_parse.h"

#include <arpa/inet.h>

static int parse_ip4(const char *s, size_t len, uint8_t b[4])
{
	struct cursor c = {s, s + len};

	for (int i = 0; i < 4; i++) {
		uint32_t v = 0, n = 0;

		if (i && !take(&c, '.'))
			return -EINVAL;
		for (; c.p < c.end && is_digit(*c.p) && n < 4; n++)
			v = v * 10 + (uint32_t)(*c.p++ - '0');
		if (!n || v > 255 || n > 3)
			return -EINVAL;
		b[i] = (uint8_t)v;
	}
	return c.p == c.end ? 0 : -EINVAL;
}

int kind_parse_ip(const char *s, size_t len, struct weir_ip *ret)
{
	struct weir_ip ip = {0};
	char buf[INET6_ADDRSTRLEN];

	if (parse_ip4(s, len, ip.b) == 0) {
		ip.family = 4;
		ip.prefix = 32;
	} else {
		memset(ip.b, 0, sizeof ip.b);
		if (len >= sizeof buf || !memchr(s, ':', len) || memchr(s, 0, len))
			return -EINVAL;
		memcpy(buf, s, len);
		buf[len] = 0;
		if (inet_pton(AF_INET6, buf, ip.b) != 1)
			return -EINVAL;
		ip.family = 6;
		ip.prefix = 128;
	}
	*ret = ip;
	return 0;
}

int kind_parse_subnet(const char *s, size_t len, struct weir_ip *ret)
{
	const char *slash = memchr(s, '/', len);
	struct weir_ip ip;
	struct cursor c;
	uint64_t prefix;
	int r = kind_parse_ip(s, slash ? (size_t)(slash - s) : len, &ip);

	if (r < 0)
		return r;
	if (slash) {
		c = (struct cursor){slash + 1, s + len};
		r = digits(&c, &prefix);
		if (r == -EINVAL || c.p != c.end)
			return -EINVAL;
		if (r < 0 || prefix > ip.prefix)
			return -ERANGE;
		ip.prefix = (uint8_t)prefix;
		for (unsigned i = 0; i < 16; i++) {
			if (8 * i >= prefix)
				ip.b[i] = 0;
			else if (8 * i + 8 > prefix)
				ip.b[i] &= (uint8_t)(0xff00 >> (prefix - 8 * i));
		}
	}
	*ret = ip;
	return 0;
}

/* aa:bb:cc:dd:ee:ff with ':' or '-' and one or two digits, or aabb.ccdd.eeff. */
int kind_parse_mac(const char *s, size_t len, uint64_t *ret)
{
	const char *p = s, *end = s + len;
	bool dots = len == 14 && s[4] == '.';
	int parts = dots ? 3 : 6, width = dots ? 4 : 2;
	char between = dots ? '.' : 0;
	uint64_t v = 0;

	for (int i = 0; i < parts; i++) {
		uint64_t part = 0;
		int n = 0, d;

		if (i) {
			if (p == end || (*p != ':' && *p != '-' && *p != '.') ||
			        (between && *p != between))
				return -EINVAL;
			between = *p++;
			if (!dots && between == '.')
				return -EINVAL;
		}
		for (; p < end && n < width && (d = hex_digit(*p)) >= 0; p++, n++)
			part = part << 4 | (unsigned)d;
		if (!n || (dots && n != 4))
			return -EINVAL;
		v = v << (4 * width) | part;
	}
	if (p != end)
		return -EINVAL;
	*ret = v;
	return 0;
}
