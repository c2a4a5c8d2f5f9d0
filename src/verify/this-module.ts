import { STT_FUNC } from '../elf';
import type { Context } from './context';
import { hex } from './findings';
import { isExecutable } from './module';
import { targetInData } from './references';
import { THIS_MODULE } from './template';

/** `name` of struct module, on every 64-bit kernel. */
const NAME_AT = 24;
const NAME_BYTES = 56;

/** `.gnu.linkonce.this_module`: the struct module that the loader fills in. @returns the module's name, as far as it can be read */
export function checkThisModule({ module, findings, types, template }: Context): string {
  const section = module.section(THIS_MODULE);
  if (section === undefined) return '';
  const add = (message: string, offset?: number): void =>
    findings.add('verify-module-struct', offset === undefined ? { section } : { section, offset }, message);
  const layout = types?.get('module');
  const expected: Array<{ from: string; size: number; init: number | undefined; exit: number | undefined }> = [];
  if (layout !== undefined)
    expected.push({
      from: 'BTF',
      size: layout.size,
      init: layout.members.get('init'),
      exit: layout.members.get('exit'),
    });
  if (template?.thisModule !== undefined) expected.push({ from: 'the template', ...template.thisModule });
  if (expected.length === 0)
    findings.add(
      'verify-not-checked',
      undefined,
      'the size of struct module and the places of init and exit: neither --btf nor --template was given',
    );
  for (const { from, size } of expected)
    if (section.size !== size) add(`it has ${section.size} bytes, by ${from} struct module has ${size}`);
  const symbol = module.symbol('__this_module');
  if (symbol === undefined || symbol.section !== section.index || symbol.value !== 0)
    add('no symbol __this_module at its start');
  else if (symbol.size !== section.size)
    add(`the symbol __this_module has ${symbol.size} bytes, the section ${section.size}`);

  for (const [pointer, called] of [
    ['init', 'init_module'],
    ['exit', 'cleanup_module'],
  ] as const) {
    const rela = module.relasOf(section).find((candidate) => candidate.symbol.name === called);
    if (rela === undefined) {
      add(`no relocation to ${called}`);
      continue;
    }
    for (const { from, [pointer]: at } of expected)
      if (at !== undefined && at !== rela.offset)
        add(`${called} is entered at offset ${hex(rela.offset)}, by ${from} ${pointer} is at ${hex(at)}`, rela.offset);
    const target = targetInData(module, rela);
    const starts =
      target.in === 'module' &&
      isExecutable(target.section) &&
      module
        .functionsIn(target.section)
        .some(({ value, type, size }) => value === target.offset && type === STT_FUNC && size > 0);
    if (rela.type !== module.machine.pointer || !starts)
      add(`${called} is not a pointer to the start of a sized function`, rela.offset);
  }
  for (const rela of module.relasOf(section)) {
    if (!['init_module', 'cleanup_module'].includes(rela.symbol.name))
      add(`a relocation to ${rela.symbol.name || 'a section'}: only init and exit are set in the file`, rela.offset);
  }
  const nonzero = section.bytes.findIndex((byte, at) => byte !== 0 && (at < NAME_AT || at >= NAME_AT + NAME_BYTES));
  if (nonzero >= 0) add('a byte outside the name is not zero', nonzero);
  const name = Buffer.from(section.bytes.subarray(NAME_AT, NAME_AT + NAME_BYTES)).toString('latin1');
  const end = name.indexOf('\0');
  if (end <= 0) add(end < 0 ? `the name is not ended within ${NAME_BYTES} bytes` : 'the name is empty', NAME_AT);
  return end < 0 ? name : name.slice(0, end);
}
