/** arm64's assembly: local labels, tables of them, code behind the function, literals, functions and data of the assembler, with sizes and without. */
import type { Construct } from '../construct';

export const assemblyArm64: Construct = {
  kind: 'assembly-arm64',
  target: 'arm64',
  slots: ['a', 'b', 'c'],
  outline: true,
  make: (r) => ({
    c: r.from(1, 90),
    sized: r.one(2),
    table: [r.from(1, 90), r.from(1, 90), r.from(1, 90)],
    loop: r.from(1, 5),
    inner: r.from(1, 50),
    embedded: r.from(1, 90),
  }),
  emit(m, n) {
    const [fn, table] = [n.g('asm_mix'), n.g('asm_table')];
    return `extern u32 ${fn}(u32 k);
asm(".pushsection .text.${fn},\\"ax\\"\\n.globl ${fn}\\n.type ${fn},%function\\n${fn}:\\n\\thint 34\\n\\tadd w1, w0, w0, lsl 1\\n\\tadd w1, w1, ${m.c}\\n\\ttbz w0, 0, 1f\\n\\teor w1, w1, 0x55555555\\n1:\\tmov w0, w1\\n\\tret\\n${m.sized ? `.size ${fn}, . - ${fn}\\n` : ''}.popsection\\n");

extern u32 ${fn}_far(u32 k);
asm(".pushsection .text.${fn}_far,\\"ax\\"\\n.globl ${fn}_far\\n.type ${fn}_far,%function\\n${fn}_far:\\n\\thint 34\\n\\tldr w1, .Lk${fn}\\n\\tadd w0, w0, w1\\n\\tret\\n.size ${fn}_far, . - ${fn}_far\\n.Lk${fn}: .long ${m.embedded}\\n.popsection\\n");

extern const u32 ${table}[];
asm(".pushsection .rodata.${table},\\"a\\"\\n.globl ${table}\\n.balign 4\\n${m.sized ? `.type ${table},%object\\n` : ''}${table}:\\n\\t.long ${m.table.join(', ')}\\n${m.sized ? `.size ${table}, . - ${table}\\n` : ''}.popsection\\n");

${n.entry('mix')}
{
	u32 acc = ${fn}(k) + ${table}[k % 3] + ${fn}_far(k);
${n.slot('a')}	return acc;
}

${n.entry('rounds')}
{
	u32 acc = k, n = ${m.loop};
	asm volatile("1:\\tadd %w0, %w0, ${m.inner}\\n\\tror %w0, %w0, 3\\n\\tsubs %w1, %w1, 1\\n\\tb.ne 1b" : "+r"(acc), "+r"(n) : : "cc");
${n.slot('b')}	return acc;
}

${n.entry('dispatch')}
{
	u32 acc = k;
	u64 to;
	/* A table of distances from a label in the function, and one of addresses, and code out of line as alternatives have it. */
	asm volatile("adrp %1, 3f\\n\\tadd %1, %1, :lo12:3f\\n\\tldr %1, [%1, %2, lsl 3]\\n\\tcbz %w0, 5f\\n\\tbr %1\\n1:\\thint 36\\n\\tadd %w0, %w0, 7\\n\\tb 4f\\n2:\\thint 36\\n\\teor %w0, %w0, 0x3f\\n\\tb 4f\\n"
		".subsection 1\\n5:\\tadd %w0, %w0, ${m.inner}\\n\\tb 4f\\n.previous\\n"
		".pushsection .rodata.${n.g('dispatch')},\\"a\\"\\n\\t.balign 8\\n3:\\t.quad 1b, 2b, 4f\\n\\t.popsection\\n4:\\thint 36" : "+r"(acc), "=&r"(to) : "r"((u64)(k % 3)) : "cc");
${n.slot('c')}	return acc * 3;
}
`;
  },
  edits: [
    {
      name: 'loop',
      apply: (m) => {
        m.loop += 1;
      },
    },
    {
      name: 'inner',
      weight: 2,
      apply: (m) => {
        m.inner += 1;
      },
    },
    {
      name: 'table',
      mayRefuse: true,
      apply: (m, r) => {
        m.table[r.below(3)] += 1;
      },
    },
    {
      name: 'embedded',
      mayRefuse: true,
      apply: (m) => {
        m.embedded += 1;
      },
    },
    {
      name: 'function',
      mayRefuse: true,
      apply: (m) => {
        m.c += 1;
      },
    },
  ],
};
