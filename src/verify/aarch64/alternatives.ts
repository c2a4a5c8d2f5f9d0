import type { Context } from '../context';
import { Entry } from '../entries';
import { isExecutable, isFunction, type ModuleSection } from '../module';
import { describe } from '../references';
import { wordAt } from './words';

/** struct alt_instr: site, replacement, u16 feature, both lengths. */
/** Of the feature: the second field is a function that writes the code. */
const CALLBACK = 0x8000;
/** `mrs xN, tpidr_el1`: the per-CPU offset, which kernels that run at EL2 have in another register. */
const PER_CPU = 0xd538d080;

export interface Ranges {
  /** Code that alternatives replace, and what they replace it by. */
  sites: Array<{ section: ModuleSection; start: number; end: number }>;
  replacements: Array<{ section: ModuleSection; start: number; end: number }>;
}

/** `.altinstructions`: each replacement is code of this module that belongs to no function, as long as its site. */
export function checkAlternatives(context: Context): Ranges {
  const { module, kernel, types } = context;
  const ranges: Ranges = { sites: [], replacements: [] };
  const size = types?.get('alt_instr')?.size ?? module.machine.alternative;
  for (const section of module.sections) {
    if (section.name !== '.altinstructions') continue;
    if (section.size % size !== 0)
      context.findings.add('verify-entry', { section }, `${section.size} bytes are not whole entries of ${size}`);
    for (let offset = 0; offset + size <= section.bytes.length; offset += size) {
      const entry = new Entry(context, section, offset, size);
      const [low, high, length, replaced] = entry.bytes.subarray(8, 12) as unknown as [number, number, number, number];
      const site = entry.site(0);
      if (site !== null) {
        ranges.sites.push({ section: site.section, start: site.offset, end: site.offset + length });
        if (length === 0 || length % 4 !== 0 || site.offset + length > site.section.size)
          entry.add(`its ${length} bytes at ${entry.name(site)} are not whole instructions`);
        const late = module
          .relasIn(site.section, site.offset, site.offset + length)
          .find(({ livepatch }) => livepatch !== null && !livepatch.name.startsWith('.klp.rela.vmlinux.'));
        if (late !== undefined)
          entry.add(`${late.livepatch!.name} changes its site after the kernel has`, 0, 'verify-late-relocation');
      }
      const target = entry.target(4, 4);
      if (target === null) continue;
      if ((((high << 8) | low) & CALLBACK) !== 0) {
        if (replaced !== 0) entry.add('a callback has no replacement, and its length is not 0', 11);
        if (target.in === 'module' || target.in === 'nowhere')
          entry.add(`${describe(module, target)} is called to write code: only core code of the kernel may`, 4);
        const list = target.in === 'klp' ? kernel?.at(target.name.object, target.name.name, target.name.sympos) : null;
        if (typeof list === 'object' && list?.kind === 'data') entry.add(`${describe(module, target)} is data`, 4);
        continue;
      }
      if (replaced !== length)
        entry.add(`the replacement has ${replaced} bytes, the site ${length}: the kernel stops with BUG()`, 11);
      if (target.in !== 'module' || !isExecutable(target.section) || target.offset % 4 !== 0) {
        entry.add(`the replacement ${describe(module, target)} is not in executable code of this module`, 4);
        continue;
      }
      checkReplacement(context, entry, target.section, target.offset, replaced);
      ranges.replacements.push({ section: target.section, start: target.offset, end: target.offset + replaced });
    }
  }
  return ranges;
}

function checkReplacement(
  { module }: Context,
  entry: Entry,
  section: ModuleSection,
  start: number,
  length: number,
): void {
  const add = (message: string): void =>
    entry.add(`its replacement at ${section.name}+0x${start.toString(16)} ${message}`, 4);
  if (start < 0 || start + length > section.bytes.length) {
    add('ends past the section');
    return;
  }
  const inside = module
    .functionsIn(section)
    .find((one) => isFunction(one) && start < one.value + one.size && start + length > one.value);
  if (inside !== undefined) add(`is code of ${inside.name}`);
  for (let at = start; at < start + length; at += 4) {
    const word = wordAt(section, at);
    // adr and loads of literals count from where they stand, and the kernel corrects branches and adrp only.
    if ((word & 0x9f000000) >>> 0 === 0x10000000 || (word & 0x3b000000) >>> 0 === 0x18000000)
      add('has an instruction that counts from its own place');
    const late = module.relaAt(section, at)?.livepatch;
    if (late != null && !late.name.startsWith('.klp.rela.vmlinux.'))
      entry.add(`${late.name} changes its replacement after the kernel has used it`, 4, 'verify-late-relocation');
  }
}

/** Every read of the per-CPU offset has its alternative: without, it is another register's on every machine whose kernel runs at EL2. */
export function checkPerCpu({ module, code, findings }: Context, { sites, replacements }: Ranges): void {
  for (const section of module.sections) {
    if (!isExecutable(section)) continue;
    for (const { offset, kind } of code.of(section)) {
      if (kind !== 'other' || (wordAt(section, offset) & ~0x1f) >>> 0 !== PER_CPU) continue;
      const within = (all: Ranges['sites']): boolean =>
        all.some((range) => range.section === section && offset >= range.start && offset < range.end);
      if (!within(sites) && !within(replacements))
        findings.add(
          'verify-missing-entry',
          { section, offset },
          'a read of tpidr_el1 has no entry in .altinstructions',
        );
    }
  }
}
