import { diagnostic, type Diagnostic } from '../../../diagnostics';
import { SectionClass } from '../../../kernel/section-class';
import type { Side } from '../../side/side';
import type { KernelCode } from './kernel-code';

/** What objtool writes for code of a kernel that has it, and the names that code with such entries refers to; null: any code. */
const WRITTEN_LATE: ReadonlyArray<readonly [section: string, of: RegExp | null]> = [
  ['.orc_unwind_ip', null],
  ['.return_sites', /^__x86_return_thunk$/],
  ['.retpoline_sites', /^__x86_indirect_(?:call_|jump_)?thunk_/],
  ['.static_call_sites', /^__SCT__/],
];

/**
 * The last pass of the kernel's build that a unit lacks. `make unit.o` of a kernel with IBT or LTO leaves objtool out, which then runs on vmlinux.o: a livepatch of
 * that unit loads, and its stacks are unreliable, its returns and indirect calls are not rewritten by the kernel.
 */
export function withoutLatePass(orig: Side, { memory }: KernelCode): Diagnostic[] {
  const { object, table } = orig;
  const has = (name: string): boolean => object.sectionsNamed(name).length > 0;
  const code = table.sectionClass.some((bits, section) => (bits & SectionClass.EXEC) !== 0 && object.size(section) > 0);
  if (!code) return [];
  for (const [section, of] of WRITTEN_LATE) {
    if (!memory.has(section) || has(section)) continue;
    const because = of === null ? '' : refersTo(orig, of);
    if (because === undefined) continue;
    return [
      diagnostic(
        'before-objtool',
        `${object.path} has no ${section}, which the kernel has${because === '' ? '' : ` and code that calls ${because} needs`}: objtool has not run on it`,
        { object: object.path, section },
      ),
    ];
  }
  return [];
}

/** An undefined name of the object that fits. */
function refersTo(orig: Side, pattern: RegExp): string | undefined {
  const { table } = orig;
  for (let symbol = 1; symbol < table.symbols; symbol++)
    if (table.section[symbol] === 0 && pattern.test(orig.name(symbol))) return orig.name(symbol);
  return undefined;
}
