/** What is done once: a flag in a section of its own and a key beside it, both called the same wherever the macro is used. */
import type { Model } from '../model';
import type { Construct } from '../construct';

interface Use {
  buffer: string;
  warm: number;
  fresh?: boolean;
}

function once({ buffer, warm, fresh }: Use): string {
  return `	{
		static u8 __section(".data..do_once") ___done;
		static struct { u32 on; void *entries; } ___once_key = { 1, 0 };
		if (${fresh ? '!rt_warming && ' : ''}___once_key.on && !___done) { ${buffer} = ext(${buffer} + ${warm}); ___done = 1; ___once_key.on = ${fresh ? 0 : 'rt_warming'}; _printk("once ${warm}\\n"); }
		acc += ___done * 2 + ___once_key.on;
	}
`;
}

const uses = (m: Model, f: number): string => m.functions[f].map(once).join('');

export const doOnce: Construct = {
  kind: 'do-once',
  slots: ['a', 'b'],
  make: (r) => ({
    functions: [r.from(1, 3), r.from(1, 2)].map((count) =>
      Array.from({ length: count }, () => ({ buffer: r.pick(['secret', 'other']), warm: r.from(1, 900) })),
    ),
  }),
  emit(m, n) {
    return `${n.entry('slot_of')}
{
	static u32 secret, other;
	u32 acc = k;
${uses(m, 0)}	if (rt_warming) secret = other = 5;
${n.slot('a')}	return acc * 3 + secret + (other >> 3);
}

${n.entry('short_slot_of')}
{
	static u32 secret, other;
	u32 acc = k + 1;
${uses(m, 1)}	if (rt_warming) secret = other = 6;
${n.slot('b')}	return acc + secret * 5 + other;
}
`;
  },
  edits: [
    {
      name: 'add',
      apply: (m, r) => {
        if (m.gone) return false;
        const list = r.pick(m.functions as Use[][]);
        list.splice(r.from(0, list.length), 0, { buffer: 'secret', warm: r.from(1, 900), fresh: true });
        return true;
      },
    },
    {
      name: 'remove',
      apply: (m, r) => {
        const list = r.pick(m.functions as Use[][]);
        if (list.length < 2 || m.functions.flat().some(({ fresh }: Use) => fresh)) return false;
        m.gone = true;
        list.splice(r.below(list.length), 1);
        return true;
      },
    },
  ],
};
