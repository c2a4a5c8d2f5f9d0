/** Functions whose addresses are stored before the livepatch is there, compared and called after; and stored by new code, compared by old. */
import type { Construct } from '../construct';

export const functionPointer: Construct = {
  kind: 'function-pointer',
  slots: ['g', 'h', 'a', 'b', 'c'],
  make: (r) => ({
    g: r.from(1, 50),
    h: r.from(1, 50),
    linkage: r.pick(['static ', 'static ', '']),
    sets: r.pick(['k & 1', 'k > 5', 'k == 3']),
    compare: r.below(2),
    initial: r.one(3),
  }),
  emit(m, n) {
    const [g, h, ops] = [m.linkage ? n.s('go') : n.g('go'), m.linkage ? n.s('halt') : n.g('halt'), n.s('ops')];
    return `${m.linkage}u32 ${g}(u32 k)
{
	u32 acc = ext(k ^ ${m.g});
${n.slot('g')}	return acc;
}

${m.linkage}u32 ${h}(u32 k)
{
	u32 acc = ext(k) + ${m.h};
${n.slot('h')}	return acc;
}

static struct { u32 calls; u32 (*fn)(u32 k); u32 (*last)(u32 k); } ${ops}${m.initial ? ` = { 0, ${h}, ${g} }` : ''};

${n.entry('set')}
{
	u32 acc = 0;
	${n.warm(`${ops}.fn = ${g}; ${ops}.last = ${h}; ${ops}.calls = 40; return 0;`)}
	${ops}.last = ${ops}.fn;
${n.slot('a')}	${ops}.fn = ${m.sets} ? ${g} : ${h};
	return acc;
}

${n.entry('use')}
{
	u32 acc = k;
	if (!${ops}.fn || !${ops}.last) return 0;
	${m.compare ? `if (${ops}.fn == ${g}) acc += 1000; else if (${ops}.fn == ${h}) acc += 2000;` : `acc += ${ops}.last == ${h} ? 300 : 400;`}
${n.slot('b')}	return acc + ${ops}.fn(k);
}

${n.entry('kind')}
{
	u32 acc = rt_warming ? 0 : ${ops}.calls++;
${n.slot('c')}	return acc + (${ops}.fn == ${g}) * 2 + (${ops}.fn == ${h}) * 4 + (${ops}.last == ${g}) * 8 + (${ops}.last == ${ops}.fn) * 16;
}
`;
  },
  edits: [
    {
      name: 'g',
      weight: 3,
      apply: (m) => {
        m.g += 9;
      },
    },
    {
      name: 'h',
      apply: (m) => {
        m.h += 9;
      },
    },
    {
      name: 'both',
      apply: (m) => {
        m.g += 9;
        m.sets = m.sets === 'k & 1' ? 'k > 4' : 'k & 1';
      },
    },
    {
      name: 'set',
      apply: (m, r) => {
        m.sets = r.pick(['k & 1', 'k > 5', 'k == 3', 'k < 9'].filter((text) => text !== m.sets));
      },
    },
    {
      name: 'compare',
      apply: (m) => {
        m.compare = 1 - m.compare;
      },
    },
  ],
};
