/** Strings of wide characters, in sections whose entries have two and four bytes. */
import type { Model } from '../model';
import type { Construct } from '../construct';

const WORDS = ['boot', 'SecureBoot', 'db', 'Setup', 'vendor', 'xyz'];
const quoted = (m: Model, i: number): string => `${m.prefix}"${m.words[i]}"`;

export const wide: Construct = {
  kind: 'wide',
  slots: ['a', 'b'],
  stateless: true,
  make: (r) => ({
    prefix: r.pick(['L', 'u']),
    words: Array.from({ length: 4 }, () => r.pick(WORDS)),
    loop: r.one(2),
    skip: r.below(3),
  }),
  emit(m, n) {
    const type = m.prefix === 'L' ? '__WCHAR_TYPE__' : 'u16';
    const digest = m.prefix === 'L' ? 'digest_wide' : 'digest_u16';
    const walk = m.loop
      ? `for (const ${type} *p = ${quoted(m, 0)}; p < ${quoted(m, 0)} + ${m.words[0].length + 1}; p++) acc = acc * 31 + (u32)*p;`
      : `acc += ${digest}(${quoted(m, 0)}); acc ^= ${digest}((const ${type} *)${quoted(m, 0)} + ${Math.min(m.skip, m.words[0].length)});`;
    return `${n.entry('variable')}
{
	u32 acc = k;
	${walk}
${n.slot('a')}	return acc + (k & 1 ? ${digest}(${quoted(m, 1)}) : ${digest}(${quoted(m, 2)}));
}

static const ${type} ${n.s('guid_name')}[] = ${quoted(m, 3)};

${n.entry('named')}
{
	u32 acc = ${digest}(${n.s('guid_name')}) + digest(${n.s('guid_name')}, sizeof(${n.s('guid_name')}));
${n.slot('b')}	return acc;
}
`;
  },
  edits: [
    {
      name: 'word',
      apply: (m, r) => {
        const at = r.below(3);
        m.words[at] = r.pick(WORDS.filter((word) => word !== m.words[at]));
      },
    },
    {
      name: 'table',
      apply: (m) => {
        m.words[3] += 'X';
      },
    },
    {
      name: 'loop',
      apply: (m) => {
        m.loop = !m.loop;
      },
    },
  ],
};
