/** Assembly: local labels, tables of them, functions and data of the assembler, with sizes and without. */
import type { Construct } from '../construct';

export const assembly: Construct = {
  kind: 'assembly',
  target: 'x86-64',
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
asm(".pushsection .text.${fn},\\"ax\\"\\n.globl ${fn}\\n.type ${fn},@function\\n${fn}:\\n\\tleal ${m.c}(%rdi,%rdi,2), %eax\\n\\ttestl $1, %edi\\n\\tjz 1f\\n\\txorl $0x55, %eax\\n1:\\tret\\n${m.sized ? `.size ${fn}, . - ${fn}\\n` : ''}.popsection\\n");

extern u32 ${fn}_far(u32 k);
asm(".pushsection .text.${fn}_far,\\"ax\\"\\n.globl ${fn}_far\\n.type ${fn}_far,@function\\n${fn}_far:\\n\\tmovl .Lk${fn}(%rip), %eax\\n\\taddl %edi, %eax\\n\\tret\\n.size ${fn}_far, . - ${fn}_far\\n.Lk${fn}: .long ${m.embedded}\\n.popsection\\n");

extern const u32 ${table}[];
asm(".pushsection .rodata.${table},\\"a\\"\\n.globl ${table}\\n.balign 4\\n${m.sized ? `.type ${table},@object\\n` : ''}${table}:\\n\\t.long ${m.table.join(', ')}\\n${m.sized ? `.size ${table}, . - ${table}\\n` : ''}.popsection\\n");

${n.entry('mix')}
{
	u32 acc = ${fn}(k) + ${table}[k % 3] + ${fn}_far(k);
${n.slot('a')}	return acc;
}

${n.entry('rounds')}
{
	u32 acc = k, n = ${m.loop};
	asm volatile("1:\\taddl $${m.inner}, %0\\n\\trorl $3, %0\\n\\tdecl %1\\n\\tjnz 1b" : "+r"(acc), "+r"(n) : : "cc");
${n.slot('b')}	return acc;
}

${n.entry('dispatch')}
{
	u32 acc = k;
	u64 to;
	asm volatile("movq 3f(,%2,8), %1\\n\\tjmp *%1\\n1:\\taddl $7, %0\\n\\tjmp 4f\\n2:\\txorl $${m.inner}, %0\\n\\tjmp 4f\\n"
		".pushsection .rodata.${n.g('dispatch')},\\"a\\"\\n\\t.balign 8\\n3:\\t.quad 1b, 2b, 4f\\n\\t.popsection\\n4:" : "+r"(acc), "=&r"(to) : "r"((u64)(k % 3)) : "cc");
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
