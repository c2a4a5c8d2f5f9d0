/** Variables of file scope: static and global, that units share; those whose initial values change cannot be livepatched. */
import type { Model } from '../model';
import type { Construct } from '../construct';
import type { Rng } from '../rng';

const PLACES = ['', '', '__read_mostly ', '__aligned(64) '];

/** A static may have a name that other units' have, too; one that becomes global, or was, may not. */
function named(r: Rng): { linkage: string; shared: boolean } {
  const linkage = r.pick(['static ', 'static ', '']);
  return { linkage, shared: linkage !== '' && r.one(2) };
}

function variable(m: Model, i: number, name: string): string {
  const { size, start, place, linkage } = m.vars[i];
  return `${linkage}u32 ${place}${name}${size > 1 ? `[${size}]` : ''}${start === 0 ? '' : size > 1 ? ` = { ${start}, 2 }` : ` = ${start}`};\n`;
}

export const globals: Construct = {
  kind: 'globals',
  slots: ['a', 'b'],
  plain: 4,
  make: (r) => ({
    vars: Array.from({ length: r.from(1, 3) }, (_, tag) => ({
      tag,
      size: r.pick([1, 1, 4]),
      start: r.pick([0, 7]),
      place: r.pick(PLACES),
      ...named(r),
      warm: r.from(100, 999),
    })),
    swapped: false,
    next: 10,
  }),
  emit(m, n) {
    const name = (i: number): string =>
      m.vars[i].name ?? (m.vars[i].shared ? n.s(`var_${m.vars[i].tag}`) : n.g(`var_${m.vars[i].tag}`));
    const at = (i: number): string => (m.vars[i].size > 1 ? `${name(i)}[k & 3]` : name(i));
    const all = m.vars.map((_: unknown, i: number) => i);
    const order = m.swapped ? [...all].reverse() : all;
    const warm = (i: number): string =>
      m.vars[i].fresh
        ? ''
        : n.warm(
            m.vars[i].size > 1
              ? `for (u32 i = 0; i < ${m.vars[i].size}; i++) ${name(i)}[i] = ${m.vars[i].warm} + i;`
              : `${name(i)} = ${m.vars[i].warm};`,
          );
    const live = (i: number): string => (m.vars[i].fresh ? 'if (!rt_warming) ' : '');
    return `${order.map((i: number) => variable(m, i, name(i))).join('')}
${n.entry('put')}
{
	u32 acc = k;
${all.map((i: number) => `	${live(i)}${at(i)} += k + ${i};\n	${warm(i)}\n`).join('')}${n.slot('a')}	return acc;
}

${n.entry('get')}
{
	u32 acc = 1;
${all.map((i: number) => `	acc = acc * 5 + ${at(i)};\n`).join('')}${n.slot('b')}	return acc;
}
`;
  },
  edits: [
    {
      name: 'linkage',
      weight: 2,
      apply: (m, r) => {
        const one = r.pick(m.vars as Model[]);
        if (one['shared']) return false;
        one['linkage'] = one['linkage'] ? '' : 'static ';
        return true;
      },
    },
    {
      name: 'add',
      weight: 2,
      apply: (m, r) => {
        m.vars.push({
          tag: m.next++,
          size: r.pick([1, 4]),
          start: r.pick([0, 7]),
          place: '',
          ...named(r),
          warm: 0,
          fresh: true,
        });
      },
    },
    {
      name: 'order',
      weight: 2,
      apply: (m) => {
        m.swapped = !m.swapped;
      },
    },
    {
      name: 'remove',
      weight: 2,
      apply: (m) => {
        if (m.vars.length < 2) return false;
        m.vars.pop();
        return true;
      },
    },
    {
      name: 'value',
      mayRefuse: true,
      apply: (m, r) => {
        r.pick(m.vars as Model[])['start'] += 1;
      },
    },
    {
      name: 'size',
      mayRefuse: true,
      apply: (m, r) => {
        const one = r.pick(m.vars as Model[]);
        if (one['size'] === 1) return false;
        one['size'] = 6;
        return true;
      },
    },
    {
      name: 'place',
      mayRefuse: true,
      apply: (m, r) => {
        const one = r.pick(m.vars as Model[]);
        one['place'] = one['place'] ? '' : '__read_mostly ';
      },
    },
  ],
};
