import type { Context } from './context';
import { entriesOf, opcode, type Entry } from './entries';
import { isExecutable, type Module } from './module';
import { targetInData } from './references';
import { isReplacement } from './special';
import { TABLES, entrySize, type Sites } from './tables';
import type { KernelTypes } from './types';

/** ALT_FLAG_DIRECT_CALL: the site is `call *pv_ops+N(%rip)`, the loader makes a direct call of it. */
const DIRECT_CALL = 2;

/** Where pieces of `.altinstr_replacement` start, before anything is decoded. */
export function replacementStarts(module: Module, types: KernelTypes | null): number[] {
  const starts: number[] = [];
  for (const section of module.sections) {
    if (!(TABLES.alternatives.names as readonly string[]).includes(section.name)) continue;
    const size = entrySize({ types }, TABLES.alternatives, section, module.machine.alternative);
    for (let offset = 0; offset + size <= section.bytes.length; offset += size) {
      const rela = module.relaAt(section, offset + 4);
      const target = rela && targetInData(module, rela);
      if (target?.in === 'module' && target.section.name === '.altinstr_replacement') starts.push(target.offset);
    }
  }
  return starts;
}

/** `.altinstructions`: site and replacement are whole instructions, and every replacement belongs to an entry. */
export function checkAlternatives(context: Context, sites: Sites): void {
  const { module, code, findings } = context;
  const used: Array<[number, number]> = [];
  for (const entry of entriesOf(context, 'alternatives')) {
    const { length, replacement, flags } = fieldsOf(entry);
    const site = entry.site(0);
    if (site !== null) {
      sites.add('alternatives', site.section, site.offset);
      sites.addReplaced(site.section, site.offset, site.offset + length);
      if (length === 0 || !code.isBoundary(site.section, site.offset + length))
        entry.add(`its ${length} bytes at ${entry.name(site)} are not whole instructions`);
      for (const rela of module.relasIn(site.section, site.offset, site.offset + length)) {
        if (rela.livepatch !== null && !rela.livepatch.name.startsWith('.klp.rela.vmlinux.'))
          entry.add(`${rela.livepatch.name} changes its site after the kernel has`, 0, 'verify-late-relocation');
      }
    }
    if (replacement > length) entry.add(`the replacement has ${replacement} bytes, the site ${length}`, entry.size - 1);
    // Without replacement bytes nothing is read there.
    const target = entry.target(4, 4, replacement > 0);
    if (replacement === 0 || target === null) continue;
    if (
      target.in !== 'module' ||
      !isExecutable(target.section) ||
      target.offset < 0 ||
      target.offset + replacement > target.section.size
    ) {
      entry.add(`the replacement of ${replacement} bytes is not in executable code of this module`, 4);
      continue;
    }
    if (isReplacement(target.section)) used.push([target.offset, target.offset + replacement]);
    if (
      code.at(target.section, target.offset) === undefined ||
      !code.isBoundary(target.section, target.offset + replacement)
    )
      entry.add(
        `the replacement at ${target.section.name}+0x${target.offset.toString(16)} of ${replacement} bytes is not whole instructions`,
        4,
      );
    if ((flags & DIRECT_CALL) !== 0 && site !== null) {
      const first = code.at(target.section, target.offset);
      const indirect =
        length === 6 && site.section.bytes[site.offset] === 0xff && site.section.bytes[site.offset + 1] === 0x15;
      if (!indirect || first === undefined || replacement !== 5 || opcode(target.section, first) !== 0xe8)
        entry.add(
          'a direct-call alternative that is not call *pv_ops+N(%rip) and call: the kernel would stop with BUG()',
        );
    }
  }
  const pool = module.section('.altinstr_replacement');
  if (pool === undefined) return;
  let covered = 0;
  for (const [start, end] of [
    ...used.sort(([a], [b]) => a - b),
    [pool.bytes.length, pool.bytes.length] as [number, number],
  ]) {
    // Alignment between pieces is zeros or NOPs.
    if (
      start > covered &&
      pool.bytes.subarray(covered, start).some((byte) => byte !== 0 && byte !== 0x90 && byte !== 0xcc)
    ) {
      findings.add(
        'verify-missing-entry',
        { section: pool, offset: covered },
        `${start - covered} bytes of replacement code belong to no entry of .altinstructions`,
      );
    }
    covered = Math.max(covered, end);
  }
}

/** Lengths stand at the end; 12-byte entries are those before Linux 6.3, 13-byte ones have a third length. */
function fieldsOf({ bytes, size }: Entry): { flags: number; length: number; replacement: number } {
  const at = size === 13 ? 10 : size - 2;
  return { flags: size >= 14 ? bytes[10]! : 0, length: bytes[at]!, replacement: bytes[at + 1]! };
}
