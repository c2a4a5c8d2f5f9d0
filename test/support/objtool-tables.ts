/**
 * What objtool adds to a module's code, made from the compiler's assembly: the stack's state at each instruction (`.orc_unwind`), and the
 * sites that the kernel rewrites. For code without a frame pointer that returns and calls through thunks.
 */
import { ElfObject } from '../../src/elf';

/** The last word of struct orc_entry where the stack pointer is the base, before and after rbp is saved. The numbers in it differ by release. */
export interface OrcWords {
  atStart: number;
  rbpSaved: number;
}

/** The words as objtool has written them into an object. @throws where it has no such function */
export function orcWordsOf(path: string): OrcWords {
  const elf = ElfObject.open(path);
  const section = Array.from({ length: elf.sectionCount }, (_, i) => i).find(
    (i) => i > 0 && elf.name(i) === '.orc_unwind',
  )!;
  const content = Buffer.from(elf.content(section));
  const entries = Array.from({ length: content.length / 6 }, (_, i) => ({
    sp: content.readInt16LE(i * 6),
    bp: content.readInt16LE(i * 6 + 2),
    word: content.readUInt16LE(i * 6 + 4),
  }));
  const atStart = entries.find(({ sp, bp }) => sp === 8 && bp === 0)!.word;
  // The low four bits name the base.
  return { atStart, rbpSaved: entries.find(({ bp, word }) => bp === -16 && (word & 15) === (atStart & 15))!.word };
}

/** DWARF's numbers of registers. */
const RBP = '6';
const RSP = '7';

interface Stack {
  /** Bytes from the stack pointer to where it was before the call. */
  depth: number;
  /** Bytes from there to the saved rbp; 0 where it is not saved. */
  rbp: number;
}

/** @throws for what these tables cannot say */
export function withObjtoolTables(assembly: string, words: OrcWords): string {
  const lines: string[] = [];
  const states: Stack[] = [];
  let stack: Stack = { depth: 8, rbp: 0 };
  let labels = 0;
  const record = (table: string): void => {
    const label = `.Lsite${labels++}`;
    lines.push(`${label}:`, `\t.pushsection ${table},"a",@progbits`, `\t.long ${label} - .`, '\t.popsection');
  };
  const orc = (entry: readonly number[]): void => {
    record('.orc_unwind_ip');
    lines.push('\t.pushsection .orc_unwind,"a",@progbits', `\t.short ${entry.join(', ')}`, '\t.popsection');
  };
  for (const line of assembly.split('\n')) {
    const [, directive, operands = ''] = /^\t\.cfi_(\w+)\s*(.*)$/.exec(line) ?? [];
    if (directive === undefined) {
      if (/^\tjmp\t__x86_return_thunk/.test(line)) record('.return_sites');
      else if (/^\t(call|jmp)\t__x86_indirect_thunk_/.test(line)) record('.retpoline_sites');
      else if (/^\tcall\t\w/.test(line)) record('.call_sites');
      lines.push(line);
      continue;
    }
    const [register, offset] = operands.split(',').map((operand) => operand.trim());
    if (directive === 'startproc') stack = { depth: 8, rbp: 0 };
    else if (directive === 'def_cfa_offset') stack = { ...stack, depth: Number(operands) };
    else if (directive === 'def_cfa' && register === RSP) stack = { ...stack, depth: Number(offset) };
    else if (directive === 'offset' && register === RBP) stack = { ...stack, rbp: Number(offset) };
    else if (directive === 'restore' && register === RBP) stack = { ...stack, rbp: 0 };
    else if (directive === 'remember_state') states.push(stack);
    else if (directive === 'restore_state') stack = states.pop()!;
    else if (directive !== 'offset' && directive !== 'restore' && directive !== 'endproc')
      throw new Error(`no ORC for ${line}`);
    // Nothing is known behind a function.
    if (directive === 'endproc') orc([0, 0, 0]);
    else if (directive !== 'remember_state')
      orc([stack.depth, stack.rbp, stack.rbp === 0 ? words.atStart : words.rbpSaved]);
  }
  return lines.join('\n');
}
