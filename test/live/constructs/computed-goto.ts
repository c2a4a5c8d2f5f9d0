/** An interpreter whose table holds addresses of its own labels, as the kernel's BPF has it. */
import type { Construct } from '../construct';

const OPS = [
  'acc += 78;',
  'acc -= ext(3);',
  'acc = ext(acc);',
  'acc ^= k << 3;',
  'acc = acc * 9 + 1;',
  'acc += ext(77) & 15;',
];

export const computedGoto: Construct = {
  kind: 'computed-goto',
  slots: ['a', 'b'],
  stateless: true,
  outline: true,
  make: (r) => ({ ops: Array.from({ length: r.from(3, 6) }, () => r.below(OPS.length)), costs: r.one(3), extra: [] }),
  emit(m, n) {
    const size = m.ops.length;
    const labels = m.ops.map((_: number, i: number) => `&&op${i}`).concat('&&end');
    const table = m.costs
      ? `static const struct { const void *to; u32 cost; } jump[] = { ${labels.map((label: string, i: number) => `{ ${label}, ${i * 3 + 1} }`).join(', ')} }`
      : `static const void *const jump[] = { ${labels.join(', ')} }`;
    const go = (at: string): string =>
      m.costs ? `acc += jump[${at}].cost; goto *jump[${at}].to;` : `goto *jump[${at}];`;
    const next = `if (++at > 6) goto end; ${go(`(k >> at) % ${size + 1}`)}`;
    const body = m.ops
      .map((op: number, i: number) => `op${i}:\n\t${OPS[op]}${m.extra[i] ? ` acc += ${m.extra[i]};` : ''}\n\t${next}\n`)
      .join('');
    return `${n.entry('run')}
{
	${table};
	u32 acc = k, at = 0;
${n.slot('a')}	${go(`k % ${size + 1}`)}
${body}end:
${n.slot('b')}	return acc;
}
`;
  },
  edits: [
    {
      name: 'op',
      apply: (m, r) => {
        const at = r.below(m.ops.length);
        m.ops[at] = (m.ops[at] + r.from(1, OPS.length - 1)) % OPS.length;
      },
    },
    {
      name: 'constant',
      apply: (m, r) => {
        m.extra[r.below(m.ops.length)] = r.from(1, 200);
        for (let i = 0; i < m.ops.length; i++) m.extra[i] ??= 0;
      },
    },
    {
      name: 'new-op',
      apply: (m, r) => {
        m.ops.push(r.below(OPS.length));
      },
    },
    {
      name: 'less-ops',
      apply: (m) => {
        if (m.ops.length < 3) return false;
        m.ops.pop();
        return true;
      },
    },
  ],
};
