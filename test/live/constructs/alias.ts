/** One function by several names: aliases, weak ones; edits move a name to another function. */
import type { Model } from '../model';
import type { Construct } from '../construct';

const attribute = (m: Model): string => (m.weak ? '__weak ' : '');

export const alias: Construct = {
  kind: 'alias',
  slots: ['a', 'b', 'c'],
  stateless: true,
  make: (r) => ({ bodies: [r.from(1, 50), r.from(51, 99)], to: 0, weak: r.one(2), calls: r.below(3) }),
  emit(m, n) {
    const [one, two, other] = [n.g('impl'), n.g('impl2'), n.g('named')];
    const named =
      m.to === 2
        ? `${attribute(m)}noinline u32 ${other}(u32 k)\n{\n\treturn ext(k ^ 77) + 5;\n}`
        : `u32 ${other}(u32 k) ${attribute(m)}__alias(${m.to === 0 ? one : two});`;
    return `noinline u32 ${one}(u32 k)
{
	u32 acc = ext(k + ${m.bodies[0]});
${n.slot('a')}	return acc;
}

noinline u32 ${two}(u32 k)
{
	u32 acc = ext(k * 3 + ${m.bodies[1]});
	return acc + 2;
}

${named}

${n.entry('by_alias')}
{
	u32 acc = ${other}(k) + 3;
${n.slot('b')}	return acc;
}

${n.entry('by_name')}
{
	u32 acc = ${one}(k) ^ 4;
${m.calls === 1 ? `	acc += ${two}(k);\n` : ''}${n.slot('c')}	return acc;
}
`;
  },
  edits: [
    {
      name: 'body',
      weight: 3,
      apply: (m, r) => {
        m.bodies[r.below(2)] += 5;
      },
    },
    {
      name: 'retarget',
      apply: (m) => {
        m.to = m.to === 0 ? 1 : 0;
      },
    },
    {
      name: 'split',
      apply: (m) => {
        m.to = 2;
      },
    },
    {
      name: 'weak',
      apply: (m) => {
        m.weak = !m.weak;
      },
    },
    {
      name: 'calls',
      apply: (m) => {
        m.calls = m.calls === 1 ? 0 : 1;
      },
    },
  ],
};
