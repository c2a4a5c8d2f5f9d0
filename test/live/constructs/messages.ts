/** Messages: levels, names of functions and files, lines that move and numbers that only look like lines. */
import type { Construct } from '../construct';
import { hasState } from '../statements';

export const messages: Construct = {
  kind: 'messages',
  slots: ['a', 'b'],
  stateless: true,
  make: (r) => ({
    text: r.pick(['no carrier', 'reset', 'queue %u']),
    level: r.pick(['KERN_ERR', 'KERN_INFO', '']),
    limit: r.from(50, 200),
    most: r.from(50, 200),
    timeout: r.from(50, 200),
    name: r.below(2),
    lines: r.from(0, 3),
    from: r.pick(['timer.c', 'core.c']),
    shared: r.one(2),
  }),
  emit(m, n) {
    const helper = `${n.s('report')}${m.name ? '_all' : ''}`;
    return `${'\n'.repeat(m.lines)}static noinline u32 ${helper}(u32 k)
{
	u32 acc = k * 3;
	_printk(${m.level} "%s: ${m.text}\\n", __func__, k);
	WARN_ON(k == 6);
	if (k == 5) _printk(${m.level} "%s: at most %d of %d\\n", __FILE__, ${m.most}, k);
	if (k == 7) _printk("%s: timeout is %u ms\\n", "${m.from}", ${m.timeout});
	if (k == 4) log_value("${m.from}", ${m.limit}, " ms");
${n.slot('a')}	return acc;
}

${n.entry('monitor')}
{
	u32 acc = k > 3 ? ${helper}(k) : 1;
	if (k == 1) { _printk(${m.shared ? `"%s: ${m.text}\\n"` : `"other %s %u\\n"`}, __FILE__, k); warn_at(__FILE__, __LINE__, __func__); }
${n.slot('b')}	return acc + WARN_ON(acc == 12);
}
`;
  },
  edits: [
    {
      name: 'text',
      apply: (m) => {
        m.text += '!';
      },
    },
    {
      name: 'level',
      apply: (m, r) => {
        m.level = r.pick(['KERN_ERR', 'KERN_INFO', ''].filter((level) => level !== m.level));
      },
    },
    {
      name: 'limit',
      weight: 3,
      apply: (m, r) => {
        m.limit += r.from(1, 60);
      },
    },
    {
      name: 'number',
      weight: 4,
      apply: (m, r) => {
        m[r.pick(['most', 'timeout'])] += r.from(1, 60);
      },
    },
    {
      name: 'rename',
      apply: (m, _, item) => {
        if (hasState(item)) return false;
        m.name = 1 - m.name;
        return true;
      },
    },
    {
      name: 'lines',
      weight: 3,
      apply: (m, r) => {
        m.lines += r.from(1, 3);
      },
    },
    {
      name: 'shared',
      apply: (m) => {
        m.shared = !m.shared;
      },
    },
  ],
};
