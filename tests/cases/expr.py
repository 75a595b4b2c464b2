# SPDX-License-Identifier: MIT
# expr.py: random expressions, compared between weir and sqlite3. Arguments: weir, trace, seed, number.
#
# Integers stay small enough that sqlite3 does not turn them into floating-point numbers. u64
# arithmetic agrees with its signed one in that range.
import csv, io, random, sqlite3, subprocess, sys

weir, trace, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rnd = random.Random(seed)
numbers = ['len', 'caplen', 'ttl', 'srcport', 'dstport', 'ipprotocol', 'ipversion', 'window']
texts = ['s_src', 's_dst']
source = {'s_src': 'srcip.str', 's_dst': 'dstip.str'}


def integer(depth):
    """An integer expression: (weir's text, sqlite's text)."""
    kind = rnd.randrange(9) if depth else rnd.randrange(2)
    if kind == 0:
        f = rnd.choice(numbers)
        return f, f
    if kind == 1:
        n = str(rnd.choice([0, 1, 2, 6, 17, 40, 64, 80, 443, 1024, 60000, rnd.randrange(2000)]))
        return n, n
    if kind == 2:
        w, s = integer(depth - 1)
        return f'-({w})', f'-({s})'
    if kind == 3:
        c, x, y = condition(depth - 1), integer(depth - 1), integer(depth - 1)
        return (f'if({c[0]}, {x[0]}, {y[0]})', f'iif({c[1]}, {x[1]}, {y[1]})')
    if kind == 4:
        x, y = integer(depth - 1), integer(depth - 1)
        return f'coalesce({x[0]}, {y[0]})', f'coalesce({x[1]}, {y[1]})'
    op = rnd.choice(['+', '-', '*', '/', '%'])
    x, y = integer(depth - 1), integer(0 if op == '*' else depth - 1)
    return f'({x[0]} {op} {y[0]})', f'({x[1]} {op} {y[1]})'


def condition(depth):
    kind = rnd.randrange(8) if depth else rnd.choice([0, 1, 2])
    if kind == 0:
        op = rnd.choice(['=', '!=', '<', '<=', '>', '>='])
        x, y = integer(max(depth - 1, 0)), integer(max(depth - 1, 0))
        return f'({x[0]} {op} {y[0]})', f'ifnull(({x[1]} {op} {y[1]}), 0)'
    if kind == 1:
        x = integer(max(depth - 1, 0))
        items = [str(rnd.choice([6, 17, 80, 443, 64, 100000, rnd.randrange(1500)]))
                 for _ in range(rnd.randrange(1, 6))]
        l = ', '.join(items)
        return f'({x[0]} in ({l}))', f'ifnull(({x[1]} in ({l})), 0)'
    if kind == 2:
        f = rnd.choice(texts)
        p = rnd.choice(['10.%', '%1', '1_.%', '%.%.%.1%', '%:%', '_%', '%2%3%', ''])
        return f'{source[f]} like "{p}"', f"ifnull({f} like '{p}', 0)"
    if kind == 3:
        f = rnd.choice(numbers)
        return f'exists({f})', f'({f} is not null)'
    if kind == 4:
        w, s = condition(depth - 1)
        return f'not {w}' if w.startswith('(') else f'not ({w})', f'(not {s})'
    op = rnd.choice(['and', 'or'])
    x, y = condition(depth - 1), condition(depth - 1)
    return f'({x[0]} {op} {y[0]})', f'({x[1]} {op} {y[1]})'


def run(query):
    r = subprocess.run([weir, 'run', query, trace], capture_output=True, text=True)
    if r.returncode:
        sys.exit(f'{query}\n{r.stderr}')
    rows = list(csv.reader(io.StringIO(r.stdout)))
    return rows[0], rows[1:]


db = sqlite3.connect(':memory:')
db.execute('pragma case_sensitive_like = on')
fields = ' '.join(numbers)
head, rows = run(f'packets | head 3000 | expr srcip.str as s_src dstip.str as s_dst | print {fields} s_src s_dst')
if len(rows) != 3000:
    sys.exit(f'{len(rows)} packets')
db.execute('create table p (' + ', '.join(
    f'{h} {"text" if h in texts else "integer"}' for h in head) + ')')
db.executemany('insert into p values (' + ','.join('?' * len(head)) + ')',
               [[v if v != '' else None for v in r] for r in rows])

exprs = []
while len(exprs) < count:
    e = integer(4)
    # beyond 2^53 the two differ in what they do next
    worst = db.execute(f'select max(abs(x)) from (select {e[1]} as x from p)').fetchone()[0]
    if worst is None or abs(worst) < 2**53:
        exprs.append(e)
bad = 0
for at in range(0, count, 20):
    part = exprs[at:at + 20]
    args = ' '.join(f'{w} as x{i},' for i, (w, s) in enumerate(part)).rstrip(',')
    names = ' '.join(f'x{i}' for i in range(len(part)))
    _, got = run(f'packets | head 3000 | expr {args} | print {names}')
    for i, (w, s) in enumerate(part):
        want = ['' if v is None else str(v) for (v,) in db.execute(f'select {s} from p order by rowid')]
        mine = [r[i] for r in got]
        if mine != want:
            k = next(k for k in range(len(want)) if mine[k] != want[k])
            print(f'{w}\n  packet {k}: {mine[k]!r}, sqlite3 {want[k]!r}: {s}')
            bad += 1
for _ in range(count):
    w, s = condition(4)
    _, got = run(f'packets | head 3000 | where {w} | print len')
    want = db.execute(f'select count(*) from p where {s}').fetchone()[0]
    if len(got) != want:
        print(f'where {w}: {len(got)}, sqlite3 {want}: {s}')
        bad += 1
sys.exit(bad > 0)
