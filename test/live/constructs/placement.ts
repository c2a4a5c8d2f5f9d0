/** Code and data in sections of their own choosing; functions that cannot be traced. */
import type { Construct } from '../construct';

const TEXT = ['.sched.text', '.ref.text', '.text.hot_path', '.noinstr.text'];

export const placement: Construct = {
  kind: 'placement',
  slots: ['a', 'b', 'c'],
  plain: 5,
  make: (r) => ({
    text: r.pick(TEXT.slice(0, 3)),
    data: r.pick(['.data..read_mostly', '.data..own', '.data..cacheline_aligned']),
    c: r.from(1, 99),
    notrace: r.one(3),
    n: r.from(1, 50),
  }),
  emit(m, n) {
    const [knob, step, quiet] = [n.s('knob'), n.s('sched_step'), n.s('quiet')];
    return `static u32 __section("${m.data}") ${knob} = 11;
static u32 __section("${m.data}") ${knob}_end[2] = { 1, 2 };

static noinline u32 __section("${m.text}") ${step}(u32 k)
{
	u32 acc = ext(k + ${m.c});
${n.slot('a')}	return acc + ${knob};
}

static noinline ${m.notrace ? '__attribute__((no_instrument_function)) ' : ''}u32 ${quiet}(u32 k)
{
	return ext(k) + ${m.n};
}

${n.entry('schedule')}
{
	u32 acc = ${step}(k) + ${quiet}(k + 1);
	${knob} += 1;
	${n.warm(`${knob} = 55;`)}
${n.slot('b')}	return acc;
}

__section("${m.text}") ${n.entry('resched')}
{
	u32 acc = ${step}(k + 3) + ${knob}_end[k & 1]++;
	${n.warm(`${knob}_end[0] = 31; ${knob}_end[1] = 32;`)}
${n.slot('c')}	return acc;
}
`;
  },
  edits: [
    {
      name: 'constant',
      weight: 4,
      apply: (m) => {
        m.c += 1;
      },
    },
    {
      name: 'section',
      apply: (m, r) => {
        m.text = r.pick(TEXT.slice(0, 3).filter((text) => text !== m.text));
      },
    },
    {
      name: 'not-traced',
      mayRefuse: true,
      apply: (m) => {
        m.n += 1;
      },
    },
  ],
};
