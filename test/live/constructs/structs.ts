/** Bit fields, struct copies, and initial values of locals: constants that have no name. */
import type { Construct } from '../construct';

export const structs: Construct = {
  kind: 'structs',
  slots: ['a', 'b', 'c'],
  make: (r) => ({
    fields: [r.from(1, 7), r.from(1, 31), r.from(1, 200)],
    list: Array.from({ length: r.from(3, 9) }, () => r.from(1, 5000)),
    wideBits: r.from(5, 12),
    readOnly: r.one(2),
    big: r.one(2),
  }),
  emit(m, n) {
    // Bits move from edit to edit: the warm-up leaves them 0. Those that no field names would be what happens to lie on the stack.
    const type = `struct ${n.g('opts')}`;
    const [f, g, h] = m.fields;
    return `${type} { u32 kind : 3, level : ${m.wideBits}, on : 1, spare : ${28 - m.wideBits}; u8 rest[${m.big ? 40 : 8}]; u32 id; };
static ${m.readOnly ? 'const ' : ''}${type} ${n.s('defaults')} = { .kind = ${f}, .level = ${g}, .on = 1, .rest = { 3, 1, 4, ${h} }, .id = ${h} };
static ${type} ${n.s('current')};

${n.entry('apply')}
{
	${type} opts = ${n.s('defaults')};
	u32 acc = opts.level;
${n.slot('a')}	opts.kind ^= k;
	opts.level += k;
	${n.s('current')} = opts;
	${n.warm(`${n.s('current')} = (${type}){ .id = 123 };`)}
	return acc + opts.kind * 3 + opts.level + opts.rest[k & 3];
}

${n.entry('show')}
{
	u32 acc = ${n.s('current')}.id + ${n.s('current')}.level;
	${n.s('current')}.on ^= 1;
	${n.warm(`${n.s('current')}.on = 0;`)}
${n.slot('b')}	return acc * 2 + ${n.s('current')}.on;
}

${n.entry('local_list')}
{
	u32 list[] = { ${m.list.join(', ')} };
	u32 acc = 0;
	list[k % ARRAY_SIZE(list)] ^= k;
${n.slot('c')}	return acc + digest(opaque(list), sizeof(list)) + digest(&(${type}){ .level = ${g}, .id = k }, 4);
}
`;
  },
  edits: [
    {
      name: 'list',
      apply: (m, r) => {
        m.list[r.below(m.list.length)] += 1;
      },
    },
    {
      name: 'list-longer',
      apply: (m, r) => {
        m.list.push(r.from(1, 5000));
      },
    },
    {
      name: 'const-field',
      apply: (m, r) => {
        if (!m.readOnly) return false;
        m.fields[r.below(3)] ^= 1;
        return true;
      },
    },
    {
      name: 'data-field',
      mayRefuse: true,
      apply: (m) => {
        if (m.readOnly) return false;
        m.fields[2] ^= 1;
        return true;
      },
    },
    {
      name: 'bits',
      mayRefuse: true,
      apply: (m) => {
        m.wideBits += 1;
      },
    },
  ],
};
