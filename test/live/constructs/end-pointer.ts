/** Loops from a table's start to its end: the end's address is also that of whatever comes behind. */
import type { Model } from '../model';
import type { Construct } from '../construct';

const values = (m: Model): string => `{ ${m.values.join(', ')} }`;
const constant = (m: Model): boolean => m.place === 'const' || m.place === 'init';
const attribute: Record<string, string> = {
  const: 'const ',
  data: '',
  bss: '',
  mostly: '__read_mostly ',
  init: '__ro_after_init ',
};

/** Where the loop stands: up to the end, down from it, or with the end handed to another function. */
const LOOPS: Record<string, (t: string, type: string) => string> = {
  up: (t, type) => `for (const ${type} *p = ${t}; p < ${t} + ARRAY_SIZE(${t}); p++) acc = acc * 3 + (u32)*p;`,
  down: (t, type) => `for (const ${type} *p = ${t} + ARRAY_SIZE(${t}); p-- > ${t}; ) acc = acc * 3 + (u32)*p;`,
  unequal: (t, type) =>
    `for (const ${type} *p = ${t}; p != &${t}[ARRAY_SIZE(${t})]; p++) { acc = acc * 5 + (u32)*p; acc = ext(acc); }`,
  found: (t, type) =>
    `for (const ${type} *p = ${t}; p < ${t} + ARRAY_SIZE(${t}); p++) { if ((u32)*p == k) acc += 5; acc = ext(acc + (u32)*p); }`,
  range: (t) => `acc += digest_range(${t}, ${t} + ARRAY_SIZE(${t}));`,
  digest: (t) => `acc += digest(${t}, (const char *)(${t} + ARRAY_SIZE(${t})) - (const char *)${t});`,
};

export const endPointer: Construct = {
  kind: 'end-pointer',
  slots: ['a', 'b', 'c'],
  make: (r) => ({
    type: r.pick(['u8', 'u16', 'u32', 'u64']),
    place: r.weighted({ const: 4, data: 3, bss: 4, mostly: 3, init: 2 }),
    values: Array.from({ length: r.from(3, 11) }, () => r.from(1, 200)),
    loop: r.pick(Object.keys(LOOPS)),
    neighbours: r.from(0, 2),
    before: r.one(2),
    added: 0,
  }),
  emit(m, n) {
    const [t, w] = [n.s('tab'), n.s('weight')];
    const size = m.values.length;
    const head = `static ${attribute[m.place]}${m.type} ${t}[${size}]`;
    const table = `${head}${m.place === 'bss' ? '' : ` = ${values(m)}`};\n`;
    const beside = Array.from(
      { length: m.neighbours + m.added },
      (_, i) =>
        `static ${attribute[m.place]}${m.type} ${w}_${i}[4]${m.place === 'bss' ? '' : ` = { ${i + 1}, 7, 9, ${i + 40} }`};\n`,
    );
    const use = beside.map((_, i) => `\tacc += (u32)${w}_${i}[k & 3];\n`).join('');
    const write = constant(m)
      ? ''
      : `\t${n.warm(`for (u32 i = 0; i < ${Math.min(size, 3)}; i++) ${t}[i] = (${m.type})(i * 7 + 3);`)}\n`;
    const bump = constant(m)
      ? ''
      : `\tif (k == 3) { ${t}[k % ${size}] += 2; ${beside.map((_, i) => `${w}_${i}[2] += 1; `).join('')}}\n`;
    return `${m.before ? beside.join('') + table : table + beside.join('')}
${n.entry('sum')}
{
	u32 acc = k;
${write}${n.slot('a')}	${LOOPS[m.loop]!(t, m.type)}
${n.slot('b')}	return acc;
}

${n.entry('weigh')}
{
	u32 acc = 1;
${use}${bump}${n.slot('c')}	return acc + (u32)${t}[k % ${size}];
}
`;
  },
  edits: [
    {
      name: 'loop',
      apply: (m, r) => {
        m.loop = r.pick(Object.keys(LOOPS).filter((loop) => loop !== m.loop));
      },
    },
    {
      name: 'value',
      apply: (m, r) => {
        if (m.place !== 'const') return false;
        m.values[r.below(m.values.length)] += 5;
        return true;
      },
    },
    {
      name: 'grow',
      apply: (m, r) => {
        if (m.place !== 'const') return false;
        m.values.push(r.from(1, 99));
        return true;
      },
    },
    {
      name: 'order',
      apply: (m) => {
        m.before = !m.before;
      },
    },
    {
      name: 'neighbour',
      weight: 4,
      apply: (m) => {
        m.added++;
      },
    },
    {
      name: 'neighbour-gone',
      weight: 3,
      apply: (m) => {
        if (m.neighbours + m.added === 0) return false;
        m.added--;
        return true;
      },
    },
    {
      name: 'data-value',
      mayRefuse: true,
      apply: (m, r) => {
        if (m.place !== 'data') return false;
        m.values[r.below(m.values.length)] += 5;
        return true;
      },
    },
    {
      name: 'data-grow',
      mayRefuse: true,
      apply: (m) => {
        if (constant(m)) return false;
        m.values.push(9);
        return true;
      },
    },
  ],
};
