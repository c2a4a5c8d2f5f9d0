/** String literals: their tails, NULs within them, loops over them, tables of them. */
import type { Model } from '../model';
import type { Construct } from '../construct';

const WORDS = [
  'one',
  'two',
  'three',
  'KMGTPEZY',
  'abcdefgh',
  'ready',
  'link down',
  'x',
  'queue full',
  'memory',
  'zzz',
  'half',
  'timeout',
];
const list = (m: Model): string => `"${m.list.join('\\0')}\\0"`;

/** Several references into one literal, in one function. */
const WAYS: Record<string, (s: string, m: Model) => string> = {
  all: (s) => `for (const char *p = ${s}; p < ${s} + sizeof(${s}); p++) acc = acc * 33 ^ (u8)*p;`,
  tail: (s, m) => `acc += digest_str(${s} + ${m.skip}); acc ^= digest(${s}, sizeof(${s}));`,
  indexed: (s) => `acc += ${s}[(k ^ acc) % sizeof(${s})]; acc += digest_str(${s});`,
  counted: (s) => `for (u32 i = 0; i < sizeof(${s}) - 1; i++) acc += ext(${s}[i] ^ k);`,
  middle: (s, m) => `acc += digest_range(${s} + ${m.skip}, ${s} + sizeof(${s})); acc ^= digest_str(${s});`,
  two: (s, m) =>
    `{ static const char *const whole = ${s}; acc += digest_range(whole, whole + ${m.skip}) ^ digest_str(whole + ${m.skip}); }`,
  from: (s, m) =>
    `for (const char *p = ${s} + (k & ${m.skip}); *p; p++) acc = acc * 31 + (u8)*p; acc += (u32)strlen(${s});`,
};

export const literal: Construct = {
  kind: 'literal',
  slots: ['a', 'b', 'c'],
  stateless: true,
  make: (r) => ({
    // No shorter than `skip`: "x x" + 4 is behind the literal, and what the linker lays there is nobody's promise.
    text: `${r.pick(WORDS)} ${r.pick(WORDS)}`.padEnd(4, '.'),
    skip: r.pick([1, 3, 3, 4]),
    list: Array.from({ length: r.from(2, 5) }, () => r.pick(WORDS)),
    way: r.pick(Object.keys(WAYS)),
    names: Array.from({ length: r.from(3, 7) }, () => r.pick(WORDS)),
    constant: r.one(2),
  }),
  emit(m, n) {
    const [s, l] = [n.s('TEXT').toUpperCase(), n.s('LIST').toUpperCase()];
    return `#undef ${s}
#define ${s} "${m.text}"
#undef ${l}
#define ${l} ${list(m)}
${n.entry('read_text')}
{
	u32 acc = k;
${n.slot('a')}	${WAYS[m.way]!(s, m)}
	if (k == 2) acc += digest_str("${m.text.slice(m.skip)}");
	return acc;
}

${n.entry('read_list')}
{
	u32 acc = 3;
	for (const char *p = ${l}; *p; p += strlen(p) + 1) acc = acc * 7 + digest_str(p);
	acc ^= digest(${l} + ${m.list[0].length + 1}, sizeof(${l}) - ${m.list[0].length + 1});
${n.slot('b')}	return acc;
}

static const char *${m.constant ? 'const ' : ''}${n.s('names')}[] = { ${m.names.map((name: string) => `"${name}"`).join(', ')} };

${n.entry('read_name')}
{
	u32 acc = digest_str(${n.s('names')}[k % ARRAY_SIZE(${n.s('names')})]);
${n.slot('c')}	return acc;
}
`;
  },
  edits: [
    {
      name: 'text',
      apply: (m, r) => {
        m.text += ` ${r.pick(WORDS)}`;
      },
    },
    {
      name: 'word',
      apply: (m, r) => {
        m.list[r.below(m.list.length)] = r.pick(WORDS);
      },
    },
    {
      name: 'more-words',
      apply: (m, r) => {
        m.list.splice(r.from(0, m.list.length), 0, r.pick(WORDS));
      },
    },
    {
      name: 'way',
      apply: (m, r) => {
        m.way = r.pick(Object.keys(WAYS).filter((way) => way !== m.way));
      },
    },
    {
      name: 'skip',
      apply: (m) => {
        m.skip = m.skip === 1 ? 2 : 1;
      },
    },
    {
      name: 'name',
      apply: (m, r) => {
        m.names[r.below(m.names.length)] = 'another';
      },
    },
    {
      name: 'more-names',
      apply: (m, r) => {
        m.names.splice(r.from(0, m.names.length), 0, r.pick(WORDS));
      },
    },
  ],
};
