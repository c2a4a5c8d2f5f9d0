/** Small functions that call each other, inlined or not, and tail calls; an edit of the innermost reaches whoever inlined it. */
import type { Construct } from '../construct';

export const chain: Construct = {
  kind: 'chain',
  slots: ['a', 'b', 'c'],
  stateless: true,
  make: (r) => ({ c: [r.from(1, 99), r.from(1, 99), r.from(1, 99)], tail: r.one(2), deep: r.one(2), pure: r.one(2) }),
  emit(m, n) {
    const s = (base: string): string => n.s(base);
    return `static u32 ${s('inner')}(u32 k) { return ${m.pure ? `k * ${m.c[0]}` : `ext(k + ${m.c[0]})`} ^ 1; }

static u32 ${s('middle')}(u32 k)
{
	u32 acc = ${s('inner')}(k) + ${m.c[1]};
${n.slot('a')}	return acc;
}

static noinline u32 ${s('outer')}(u32 k, u32 depth)
{
	u32 acc = ${s('middle')}(k) + depth;
${n.slot('b')}	if (depth > 2) return acc;
	return ${m.tail ? '' : `${m.c[2]} + `}${s('outer')}(k + 1, depth + 1);
}

${n.entry('enter')}
{
	u32 acc = ${s('outer')}(k, 0) + ${s('middle')}(k + 2);
${n.slot('c')}	return acc;
}

${n.entry('leave')}
{
	u32 acc = k;
${m.deep ? `	acc += ${s('inner')}(k + 5);\n` : ''}	return ${s('middle')}(acc ^ 3);
}
`;
  },
  edits: [
    {
      name: 'inner',
      apply: (m) => {
        m.c[0] += 2;
      },
    },
    {
      name: 'middle',
      apply: (m) => {
        m.c[1] += 2;
      },
    },
    {
      name: 'tail',
      apply: (m) => {
        m.tail = !m.tail;
      },
    },
    {
      name: 'deep',
      apply: (m) => {
        m.deep = !m.deep;
      },
    },
    {
      name: 'pure',
      apply: (m) => {
        m.pure = !m.pure;
      },
    },
  ],
};
