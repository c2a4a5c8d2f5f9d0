/** Functions that GCC clones: for constant arguments (constprop), without what is not used (isra), their rare half (part, cold). */
import type { Construct } from '../construct';

export const clones: Construct = {
  kind: 'clones',
  slots: ['a', 'b', 'c', 'd'],
  make: (r) => ({ mode: r.from(1, 5), mode2: 0, same: r.one(2), rare: r.from(1, 12), field: r.below(2) }),
  emit(m, n) {
    const s = (base: string): string => n.s(base);
    return `struct ${n.g('pack')} { u32 a, b, c; };
static noinline u32 ${s('scaled')}(u32 k, u32 mode)
{
	static u32 calls;
	u32 acc = mode == 3 ? ext(k) : ext(k) * mode;
${n.slot('a')}	calls++;
	${n.warm('calls = 70;')}
	return acc + calls;
}

static noinline u32 ${s('field')}(const struct ${n.g('pack')} *p, u32 k)
{
	u32 acc = ext(p->${m.field ? 'b' : 'a'});
${n.slot('b')}	return acc;
}

static u32 ${s('checked')}(u32 k)
{
	static u32 seen;
	u32 acc = k;
	${n.warm('seen = 90;')}
	if (likely(k != ${m.rare})) return acc + 1;
	seen += 2;
	${n.warm('seen = 90;')}
${n.slot('c')}	for (u32 i = 0; i < (k & 3) + 2; i++) { acc = ext(acc + i); _printk("rare %u\\n", acc); }
	warn_at("rare", 3, "taken");
	if (acc & 1) acc = ext(acc) + ext(acc + 1); else acc = ext(acc - 1) ^ ext(acc + 7);
	return acc + seen;
}

${n.entry('clone_a')}
{
	struct ${n.g('pack')} p = { k, k + 1, ext(k) };
	u32 acc = ${s('scaled')}(k, ${m.mode}) + ${s('field')}(&p, k);
${n.slot('d')}	return acc + ${s('checked')}(k);
}

${n.entry('clone_b')}
{
	struct ${n.g('pack')} p = { k * 2, 3, 4 };
	u32 acc = ${s('scaled')}(k + 1, ${m.same ? m.mode : m.mode + m.mode2 + 1});
	return acc + ${s('field')}(&p, k) + ${s('checked')}(k + 1) + ${s('checked')}(k + 2);
}
`;
  },
  edits: [
    {
      name: 'mode',
      weight: 2,
      apply: (m) => {
        m.mode += 1;
      },
    },
    {
      name: 'same',
      weight: 3,
      apply: (m) => {
        m.same = !m.same;
      },
    },
    {
      name: 'rare',
      apply: (m) => {
        m.rare += 1;
      },
    },
    {
      name: 'field',
      apply: (m) => {
        m.field = 1 - m.field;
      },
    },
  ],
};
