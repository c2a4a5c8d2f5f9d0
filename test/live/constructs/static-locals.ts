/** Static locals of one name: in several functions, several times in one, of several sizes. */
import type { Model } from '../model';
import type { Construct } from '../construct';
import type { Rng } from '../rng';

interface Local {
  name: string;
  size: number;
  start: number;
  warm: number;
  fresh?: boolean;
}

function block(l: Local, i: number): string {
  const init = l.start === 0 ? '' : l.size === 1 ? ` = ${l.start}` : ` = { ${l.start} }`;
  const [first, last] = l.size === 1 ? [l.name, l.name] : [`${l.name}[0]`, `${l.name}[${l.size - 1}]`];
  const live = `${l.fresh ? 'if (!rt_warming) ' : ''}{ ${first}++; ${last} += 2; } `;
  const warm = l.fresh ? '' : `if (rt_warming) { ${first} = ${l.warm}; ${last} = ${l.warm + 3}; } `;
  return `\t{ static u32 ${l.name}${l.size === 1 ? '' : `[${l.size}]`}${init}; acc += ${first} * ${i + 2}; acc ^= ${last}; ${live}${warm}}\n`;
}

const local = (r: Rng, more: Partial<Local> = {}): Local => ({
  name: r.pick(NAMES),
  size: r.pick([1, 1, 1, 3, 8]),
  start: r.pick([0, 0, 5, 9]),
  warm: r.from(100, 999),
  ...more,
});
const locals = (m: Model, f: number): string => m.functions[f].map(block).join('');
const NAMES = ['count', 'state', 't', '___done'];

export const staticLocals: Construct = {
  kind: 'static-locals',
  slots: ['a', 'b'],
  make: (r) => ({
    functions: Array.from({ length: 2 }, () => Array.from({ length: r.from(1, 3) }, () => local(r))),
    inner: r.one(2),
    gone: [],
  }),
  emit(m, n) {
    return `static ${m.inner ? '__always_inline' : 'noinline'} u32 ${n.s('step')}(u32 k)
{
	u32 acc = k;
${locals(m, 0)}${n.slot('a')}	return acc;
}

${n.entry('steps')}
{
	u32 acc = ${n.s('step')}(k) + 1;
${locals(m, 1)}${n.slot('b')}	return acc;
}
`;
  },
  edits: [
    {
      name: 'add',
      weight: 3,
      apply: (m, r) => {
        const list = r.pick(m.functions as Local[][]);
        const name = r.pick(NAMES.filter((one) => !m.gone.includes(one)));
        list.splice(r.from(0, list.length), 0, local(r, { name, fresh: true }));
      },
    },
    {
      name: 'remove',
      apply: (m, r) => {
        const list = r.pick(m.functions as Local[][]);
        if (list.length === 0) return false;
        const at = r.below(list.length);
        // One of the name that came by an edit would be taken for this one, and rightly.
        if (m.functions.flat().some(({ name, fresh }: Local) => fresh && name === list[at]!.name)) return false;
        m.gone.push(...list.splice(at, 1).map(({ name }) => name));
        return true;
      },
    },
    {
      name: 'inline',
      apply: (m) => {
        m.inner = !m.inner;
      },
    },
  ],
};
