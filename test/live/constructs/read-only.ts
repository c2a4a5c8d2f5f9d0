/** Variables that nothing wrote, or only until the kernel was up, and that an edit writes; and the other way round. */
import type { Construct } from '../construct';

export const readOnly: Construct = {
  kind: 'read-only',
  slots: ['a', 'b'],
  plain: 6,
  make: (r) => ({
    place: r.pick(['', '', 'const ', '__ro_after_init ', '__read_mostly ']),
    values: [r.from(1, 99), r.from(1, 99), r.from(1, 99)],
    written: r.one(4),
    local: r.one(2),
  }),
  emit(m, n) {
    const name = m.local ? 'limits' : n.s('limits');
    const place = m.written && (m.place === 'const ' || m.place.startsWith('__ro')) ? '' : m.place;
    const variable = `static u32 ${place}${name}[3] = { ${m.values.join(', ')} };\n`;
    return `${m.local ? '' : variable}${n.entry('limit')}
{
	${m.local ? variable : ''}	u32 acc = ${name}[k % 3];
${m.written ? `	if (k == 5) ${name}[1] = acc + 100;\n` : ''}${n.slot('a')}	return acc + digest(${name}, sizeof(${name}));
}

${n.entry('within')}
{
	u32 acc = ${m.local ? 'k' : `${name}[(k + 1) % 3] + k`};
${n.slot('b')}	return acc;
}
`;
  },
  edits: [
    {
      name: 'write',
      mayRefuse: true,
      weight: 3,
      apply: (m) => {
        if (m.written) return false;
        m.written = true;
        return true;
      },
    },
    {
      name: 'no-write',
      mayRefuse: true,
      apply: (m) => {
        if (!m.written) return false;
        m.written = false;
        return true;
      },
    },
    {
      name: 'value',
      mayRefuse: true,
      apply: (m, r) => {
        m.values[r.below(3)] += 1;
      },
    },
  ],
};
