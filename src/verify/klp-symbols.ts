import { SHF_ALLOC, SHF_RELA_LIVEPATCH, SHN_LIVEPATCH, SHT_RELA } from '../elf';
import type { Context } from './context';
import { isKlpName, parseKlpSection, parseKlpSymbol } from './klp-name';
import type { ModuleSection } from './module';

/** The form of `.klp.rela.*` sections and klp symbols, and that each symbol is where it says. @returns the number of klp symbols */
export function checkKlpSymbols(context: Context): number {
  const { module, findings, kernel } = context;
  for (const section of module.sections) checkSection(context, section);

  const unlisted = new Set<string>();
  let count = 0;
  for (const symbol of module.symbols) {
    if (symbol.section !== SHN_LIVEPATCH && !isKlpName(symbol.name)) continue;
    count++;
    // A tombstone of the upstream chain is SHN_LIVEPATCH so that nobody resolves it; its relocations are of type NONE.
    if (!isKlpName(symbol.name) && !module.relas.some((rela) => rela.symbol === symbol)) continue;
    if (symbol.section !== SHN_LIVEPATCH)
      findings.add(
        'verify-klp-symbol',
        { symbol },
        `${symbol.name}: its section index is 0x${symbol.section.toString(16)}, not SHN_LIVEPATCH (0xff20)`,
      );
    const name = parseKlpSymbol(symbol.name);
    if (name === undefined) {
      findings.add(
        'verify-klp-symbol',
        { symbol },
        `${symbol.name}: not of the form .klp.sym.OBJECT.NAME,POSITION with an object of up to 55 and a name of up to 511 characters`,
      );
      continue;
    }
    if (kernel === null) continue;
    const found = kernel.at(name.object, name.name, name.sympos);
    if (found === null) unlisted.add(name.object);
    else if (typeof found === 'string') findings.add('verify-unresolved', { symbol }, `${symbol.name}: ${found}`);
    else if (kernel.isDiscarded(found.address))
      findings.add(
        'verify-discarded-target',
        { symbol },
        `${symbol.name}: ${name.name} lies in memory that is given back after initialization`,
      );
  }
  if (kernel === null && count > 0)
    findings.add(
      'verify-not-checked',
      undefined,
      `${count} klp symbols and what they refer to: no --vmlinux was given`,
    );
  for (const object of unlisted)
    findings.add(
      'verify-not-checked',
      undefined,
      `klp symbols of module ${object}: ${kernel!.path} does not list that module`,
    );
  return count;
}

function checkSection({ module, findings }: Context, section: ModuleSection): void {
  const named = section.name.startsWith('.klp.rela.');
  const flagged = (section.flags & SHF_RELA_LIVEPATCH) !== 0;
  if (!named && !flagged) return;
  const add = (message: string): void => findings.add('verify-klp-section', { section }, message);
  const object = parseKlpSection(section.name);
  if (object === undefined) add('not called .klp.rela.OBJECT.SECTION with an object of up to 55 characters');
  if (section.type !== SHT_RELA) add('not of type SHT_RELA');
  if (!flagged)
    add('the flag SHF_RELA_LIVEPATCH (0x100000) is missing: the loader would apply it as ordinary relocations');
  if ((section.flags & SHF_ALLOC) === 0)
    add("the flag SHF_ALLOC is missing: the livepatch core reads it again from the module's memory");
  const target = module.sections[section.info];
  if (target === undefined || (target.flags & SHF_ALLOC) === 0) {
    add(
      `it applies to ${target === undefined ? `section ${section.info}` : target.name || 'no section'}, which is not loaded: the loader passes over it`,
    );
    return;
  }
  if (section.link !== module.elf.symtabSection) add('sh_link is not the symbol table');
  if (object !== undefined && section.name !== `.klp.rela.${object}.${target.name}`)
    add(`it applies to ${target.name}, by its name it should not`);
  for (const { symbol, offset } of module.relasOf(target).filter(({ livepatch }) => livepatch === section)) {
    const place = { section: target, offset };
    if (symbol.section !== SHN_LIVEPATCH) {
      // One that is called like a klp symbol is reported once, as a symbol.
      if (!isKlpName(symbol.name))
        findings.add(
          'verify-klp-symbol',
          place,
          `its klp relocation is against ${symbol.name || 'a section symbol'}, which is not SHN_LIVEPATCH: the livepatch core refuses it`,
        );
      continue;
    }
    const owner = parseKlpSymbol(symbol.name)?.object;
    if (object !== undefined && owner !== undefined && (object === 'vmlinux') !== (owner === 'vmlinux')) {
      findings.add(
        'verify-klp-symbol',
        place,
        `${symbol.name} stands in ${section.name}: ${object === 'vmlinux' ? 'the section of vmlinux takes symbols of vmlinux only' : 'symbols of vmlinux belong into a section of vmlinux'}`,
      );
    }
  }
}
