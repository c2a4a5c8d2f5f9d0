/** Switches: jump tables dense and sparse, and tables of results that compilers make of them. */
import type { Model } from '../model';
import type { Construct } from '../construct';

const CASES: Record<string, (value: number) => string> = {
  code: (c) => `acc += ext(${c}) + k; break;`,
  // A table of results instead of jumps.
  result: (c) => `result = ${c}; break;`,
  name: (c) => `name = "${c % 2 ? 'odd' : 'even'} ${c}"; break;`,
  call: (c) => `acc = ext(acc ^ ${c}); acc += k * ${c % 5}; break;`,
  text: (c) => `acc += digest_str("case ${c}"); break;`,
};

function cases(m: Model): string {
  return m.values.map((value: number, i: number) => `\tcase ${m.at[i]}: ${CASES[m.style]!(value)}\n`).join('');
}

export const switches: Construct = {
  kind: 'switch',
  slots: ['a', 'b', 'c'],
  stateless: true,
  make(r) {
    const count = r.from(5, 12);
    const sparse = r.one(4);
    return {
      style: r.pick(Object.keys(CASES)),
      at: Array.from({ length: count }, (_, i) => (sparse ? i * r.from(1, 4) + i * i * 3 : i)),
      values: Array.from({ length: count }, () => r.from(1, 250)),
      other: r.from(1, 99),
      inlined: r.one(3),
    };
  },
  emit(m, n) {
    const head = m.inlined
      ? `static __always_inline u32 ${n.s('choose')}(u32 k, u32 acc)`
      : `static noinline u32 ${n.s('choose')}(u32 k, u32 acc)`;
    return `${head}
{
	u32 result = 0;
	const char *name = "none";
${n.slot('a')}	switch (k) {
${cases(m)}	default: ${m.style === 'result' ? `result = ${m.other}` : m.style === 'name' ? 'name = "other"' : `acc += ${m.other}`};
	}
	acc += result;${m.style === 'name' ? ' acc ^= digest_str(name);' : ''}
	return acc;
}

${n.entry('choice')}
{
	u32 acc = ${n.s('choose')}(k, 5);
${n.slot('b')}	return acc;
}

${n.entry('second')}
{
	u32 acc = k & 1;
${n.slot('c')}	return ${n.s('choose')}(k + 1, acc) * 3;
}
`;
  },
  edits: [
    {
      name: 'case',
      apply: (m, r) => {
        m.values[r.below(m.values.length)] += 3;
      },
    },
    {
      name: 'new-case',
      apply: (m, r) => {
        m.at.push(Math.max(...m.at) + r.from(1, 2));
        m.values.push(r.from(1, 250));
      },
    },
    {
      name: 'less-cases',
      apply: (m) => {
        if (m.at.length < 6) return false;
        m.at.pop();
        m.values.pop();
        return true;
      },
    },
    {
      name: 'default',
      apply: (m) => {
        m.other += 11;
      },
    },
    {
      name: 'style',
      apply: (m, r) => {
        m.style = r.pick(Object.keys(CASES).filter((style) => style !== m.style));
      },
    },
    {
      name: 'inline',
      apply: (m) => {
        m.inlined = !m.inlined;
      },
    },
  ],
};
