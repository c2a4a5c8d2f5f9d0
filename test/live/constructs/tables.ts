/** Constant tables, tables in tables, tables of functions. */
import type { Model } from '../model';
import type { Construct } from '../construct';

const rows = (m: Model, n: { s(base: string): string }): string =>
  m.rows
    .map((row: Row) => `	{ ${row.id}, "${row.name}", ${n.s('values')}_${row.values}, ${n.s('act')}_${row.act} },\n`)
    .join('');

interface Row {
  id: number;
  name: string;
  values: number;
  act: number;
}

export const tables: Construct = {
  kind: 'tables',
  slots: ['a', 'b', 'c'],
  stateless: true,
  make(r) {
    return {
      values: Array.from({ length: 2 }, () => Array.from({ length: 4 }, () => r.from(1, 90))),
      acts: Array.from({ length: 3 }, () => r.from(1, 90)),
      rows: Array.from({ length: r.from(2, 5) }, (_, i) => ({
        id: i * 10 + r.below(9),
        name: r.pick(['red', 'green', 'blue', 'white']),
        values: r.below(2),
        act: r.below(3),
      })),
      direct: r.one(2),
    };
  },
  emit(m, n) {
    return `${m.values.map((list: number[], i: number) => `static const u32 ${n.s('values')}_${i}[] = { ${list.join(', ')} };\n`).join('')}
${m.acts.map((c: number, i: number) => `static noinline u32 ${n.s('act')}_${i}(u32 k)\n{\n\tu32 acc = ext(k + ${c});\n${i === 0 ? n.slot('a') : ''}	return acc * ${i + 3};\n}\n`).join('')}
struct ${n.g('row')} { u32 id; const char *name; const u32 *values; u32 (*act)(u32 k); };
static const struct ${n.g('row')} ${n.s('rows')}[] = {
${rows(m, n)}};

${n.entry('act')}
{
	const struct ${n.g('row')} *row = &${n.s('rows')}[k % ARRAY_SIZE(${n.s('rows')})];
	u32 acc = row->id + row->act(k);
${n.slot('b')}	return acc + digest_str(row->name);
}

${n.entry('look')}
{
	u32 acc = 0;
	for (u32 i = 0; i < ARRAY_SIZE(${n.s('rows')}); i++) acc = acc * 3 + ${n.s('rows')}[i].values[k & 3] + (${n.s('rows')}[i].act == ${n.s('act')}_0);
${n.warm(`${n.s('act')}_0(0);`)}
${n.slot('c')}${m.direct ? `	acc += ${n.s('act')}_1(k);\n` : ''}	return acc;
}
`;
  },
  edits: [
    {
      name: 'act',
      apply: (m, r) => {
        m.acts[r.below(3)] += 7;
      },
    },
    {
      name: 'value',
      apply: (m, r) => {
        m.values[r.below(2)][r.below(4)] += 7;
      },
    },
    {
      name: 'row',
      apply: (m, r) => {
        r.pick(m.rows as Row[]).id += 5;
      },
    },
    {
      name: 'row-act',
      apply: (m, r) => {
        const row = r.pick(m.rows as Row[]);
        row.act = (row.act + 1) % 3;
      },
    },
    {
      name: 'row-name',
      apply: (m, r) => {
        r.pick(m.rows as Row[]).name = r.pick(['black', 'grey']);
      },
    },
    {
      name: 'new-row',
      apply: (m, r) => {
        m.rows.push({ id: 91, name: 'new', values: r.below(2), act: r.below(3) });
      },
    },
    {
      name: 'new-act',
      apply: (m, r) => {
        m.acts.push(r.from(1, 90));
        r.pick(m.rows as Row[]).act = m.acts.length - 1;
      },
    },
    {
      name: 'direct',
      apply: (m) => {
        m.direct = !m.direct;
      },
    },
  ],
};
