/** Functions of one body, which GCC folds into one with two names; and functions of several names. */
import type { Construct } from '../construct';

export const identical: Construct = {
  kind: 'identical',
  slots: ['a', 'b', 'c'],
  stateless: true,
  make: (r) => ({
    bodies: r.one(3) ? [3, 3, 4] : [3, 3, 3],
    linkage: r.pick(['static noinline ', 'static noinline ', 'noinline ']),
    stored: r.one(3),
    early: [0, 0, 0],
  }),
  emit(m, n) {
    const name = (i: number): string => (m.linkage.startsWith('static') ? n.s(`same_${i}`) : n.g(`same_${i}`));
    return `${m.bodies.map((c: number, i: number) => `${m.linkage}u32 ${name(i)}(u32 k)\n{\n${m.early[i] ? `\tif (k == ${m.early[i]}) return 0;\n` : ''}\tif (k > 3) return ext(k) * ${c};\n\treturn digest(&k, 4) + ext(k + 1) + 7;\n}\n`).join('')}
${n.entry('first')}
{
	u32 acc = ${name(0)}(k) + 1;
${n.slot('a')}	return acc;
}

${n.entry('second')}
{
	u32 acc = ${name(1)}(k) + 2;
${n.slot('b')}	return acc;
}

${n.entry('third')}
{
	u32 acc = k;
	u32 (*fn)(u32) = ${m.stored ? `k & 1 ? ${name(2)} : ${name(0)}` : name(2)};
	acc += fn(k);
${n.slot('c')}	return acc;
}
`;
  },
  edits: [
    {
      name: 'one',
      weight: 3,
      apply: (m, r) => {
        m.bodies[r.below(3)] += 1;
      },
    },
    {
      name: 'early',
      weight: 3,
      apply: (m, r) => {
        m.early[r.below(3)] = r.from(1, 8);
      },
    },
    {
      name: 'all',
      apply: (m) => {
        m.bodies = m.bodies.map((c: number) => c + 2);
      },
    },
    {
      name: 'same',
      apply: (m) => {
        if (m.bodies.every((c: number) => c === m.bodies[0])) return false;
        m.bodies.fill(m.bodies[0]);
        return true;
      },
    },
    {
      name: 'stored',
      apply: (m) => {
        m.stored = !m.stored;
      },
    },
  ],
};
