import type { Context } from './context';
import { isExecutable, isFunction, type ModuleSection } from './module';
import { targetInCode, targetInData, type Target } from './references';
import { isReplacement } from './special';
import { prefixBytes } from './template';
import { PREAMBLE, isPreamble } from './type-hash';

const NOP = 0x90;

/** What holds for code whatever it refers to: instructions that exist, padding before functions. */
export function checkFunctions(context: Context): void {
  const { module, code, findings, template } = context;
  const prefix = Math.max(prefixBytes(module), template?.prefix ?? 0);
  const entered = prefix > 0 ? enteredFunctions(context) : new Set<string>();
  for (const section of module.sections) {
    if (!isExecutable(section)) continue;
    const invalid = code
      .of(section)
      .filter(({ kind }) => kind === 'invalid')
      .map(({ offset }) => offset);
    for (const symbol of module.functionsIn(section)) {
      const { value, size, name } = symbol;
      if (value + size > section.bytes.length)
        findings.add(
          'verify-elf-form',
          { section, offset: value },
          `${name} has ${size} bytes and ends past the section`,
        );
      const broken = invalid.find((offset) => offset >= value && offset < value + size);
      if (broken !== undefined)
        findings.add(
          'verify-relocation',
          { section, offset: broken },
          `${name} has bytes that are no instruction: it was cut, or its code was overwritten`,
        );
      if (
        prefix > 0 &&
        section.name !== '.static_call.text' &&
        isFunction(symbol) &&
        size > 0 &&
        entered.has(`${section.index}:${value}`)
      )
        checkPrefix(context, section, value, name, prefix);
    }
  }
}

/** Functions that are called or traced, by section and offset. Pieces of assembly that are neither (kvm's `setcc`) have no padding. */
function enteredFunctions({ module, code }: Context): Set<string> {
  const entered = new Set<string>();
  for (const name of ['init_module', 'cleanup_module']) {
    const symbol = module.symbol(name);
    if (symbol !== undefined) entered.add(`${symbol.section}:${symbol.value}`);
  }
  for (const section of module.sections) {
    for (const instruction of code.of(section)) {
      if (instruction.kind !== 'call' || isReplacement(section)) continue;
      const field = instruction.fields[0];
      const rela = field && module.relaAt(section, instruction.offset + field.at);
      const target: Target | undefined =
        rela === undefined
          ? { in: 'module', section, offset: instruction.target ?? -1 }
          : module.machine.relative.has(rela.type)
            ? targetInCode(module, rela, instruction)
            : undefined;
      if (target?.in === 'module') entered.add(`${target.section.index}:${target.offset}`);
    }
  }
  for (const rela of module.relas) {
    if (rela.section.name !== '__mcount_loc') continue;
    const { in: where, ...site } = targetInData(module, rela);
    if (where !== 'module' || !('section' in site)) continue;
    entered.add(`${site.section.index}:${site.offset}`).add(`${site.section.index}:${site.offset - 4}`);
  }
  return entered;
}

/** `prefix` bytes before the function, on its alignment: NOPs, behind the kCFI hash where there is one. */
function checkPrefix(
  { module, findings }: Context,
  section: ModuleSection,
  value: number,
  name: string,
  prefix: number,
): void {
  const add = (message: string): void =>
    findings.add('verify-prefix', { section, offset: value }, `${name} ${message}`);
  if (value % prefix !== 0 || section.align % prefix !== 0) add(`is not aligned to ${prefix} bytes`);
  if (value < prefix) {
    add(`has ${value} bytes before it, ${prefix} are needed`);
    return;
  }
  const before = section.bytes.subarray(value - prefix, value);
  const hash = isPreamble(before[0]) ? PREAMBLE : 0;
  if (!before.subarray(hash).every((byte) => byte === NOP)) add(`has not ${prefix} bytes of NOP (0x90) before it`);
  const overlapping =
    module.covering(section, value - 1).find(isFunction) ?? module.covering(section, value - prefix).find(isFunction);
  if (overlapping !== undefined) add(`has its padding in ${overlapping.name}`);
}
