/** Objects that register themselves in a list before the livepatch is there, with operations that are called through it. */
import type { Construct } from '../construct';

export const listed: Construct = {
  kind: 'listed',
  slots: ['a', 'b', 'c'],
  make: (r) => ({ n: r.from(2, 4), c: Array.from({ length: 4 }, () => r.from(1, 80)), names: r.one(2) }),
  emit(m, n) {
    const node = `struct ${n.g('node')}`;
    const all = Array.from({ length: m.n }, (_, i) => i);
    return `${node} { ${node} *next; const char *name; u32 (*show)(${node} *self, u32 k); u32 hits; };
static ${node} *${n.s('head')};
${all
  .map(
    (i) => `static u32 ${n.s(`show_${i}`)}(${node} *self, u32 k)
{
	u32 acc = self->hits++ + ext(k ^ ${m.c[i]});
${i === 0 ? n.slot('a') : ''}	return acc;
}
static ${node} ${n.s(`node_${i}`)} = { NULL, "node ${i}", ${n.s(`show_${i}`)} };
`,
  )
  .join('')}
${n.init('register')}
{
${all.map((i) => `	${n.s(`node_${i}`)}.hits = ${i * 7 + 3};\n	${n.s(`node_${i}`)}.next = ${n.s('head')};\n	${n.s('head')} = &${n.s(`node_${i}`)};\n`).join('')}}

${n.entry('walk')}
{
	u32 acc = k;
	if (rt_warming) return 0;
	for (${node} *p = ${n.s('head')}; p; p = p->next) acc = acc * 3 + p->show(p, k)${m.names ? ' + digest_str(p->name)' : ''};
${n.slot('b')}	return acc;
}

${n.entry('first')}
{
	u32 acc = ${n.s('head')} == &${n.s('node_1')};
	if (rt_warming || !${n.s('head')}) return 0;
${n.slot('c')}	return acc + ${n.s('head')}->hits + (${n.s('node_0')}.show == ${n.s('show_0')}) * 100;
}
`;
  },
  edits: [
    {
      name: 'show',
      weight: 3,
      apply: (m, r) => {
        m.c[r.below(m.n)] += 5;
      },
    },
    {
      name: 'names',
      apply: (m) => {
        m.names = !m.names;
      },
    },
  ],
};
