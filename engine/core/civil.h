/* SPDX-License-Identifier: MIT */
/* civil.h: dates of the proleptic Gregorian calendar, in UTC and without libc's tables.
 *
 * A year runs from March so that the leap day is its last; an era is 400 years, 146,097 days.
 */
#ifndef CIVIL_H
#define CIVIL_H

#include <stdint.h>

#define NS_PER_SEC 1000000000ll

struct civil {
	int64_t year;
	uint32_t month, day; /* from 1 */
	uint32_t hour, minute, second;
	uint32_t ns;
	uint32_t weekday; /* 0 = Sunday */
};

static inline int64_t civil_floor(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days since 1970-01-01. */
static inline int64_t civil_days(int64_t year, uint32_t month, uint32_t day)
{
	int64_t y = year - (month <= 2), era = civil_floor(y, 400);
	uint32_t of_era = (uint32_t)(y - era * 400);
	uint32_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static inline void civil_from_time(int64_t ns, struct civil *c)
{
	int64_t s = civil_floor(ns, NS_PER_SEC), days = civil_floor(s, 86400);
	uint32_t of_day = (uint32_t)(s - days * 86400);
	int64_t z = days + 719468, era = civil_floor(z, 146097);
	uint32_t of_era = (uint32_t)(z - era * 146097);
	uint32_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint32_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;

	c->ns = (uint32_t)(ns - s * NS_PER_SEC);
	c->hour = of_day / 3600;
	c->minute = of_day / 60 % 60;
	c->second = of_day % 60;
	c->day = of_year - (153 * m + 2) / 5 + 1;
	c->month = m < 10 ? m + 3 : m - 9;
	c->year = y + era * 400 + (c->month <= 2);
	c->weekday = (uint32_t)(days - civil_floor(days + 4, 7) * 7 + 4);
}

static inline uint32_t civil_month_days(int64_t year, uint32_t month)
{
	if (month == 2)
		return year % 4 == 0 && (year % 100 || year % 400 == 0) ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

#endif
