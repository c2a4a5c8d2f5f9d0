import { KlpflowError } from '../../diagnostics';
import { archOf } from '../../arch';
import {
  SHT_GROUP,
  SHT_NOBITS,
  SHT_NULL,
  SHT_RELA,
  SHT_STRTAB,
  SHT_SYMTAB,
  SHT_SYMTAB_SHNDX,
  type ElfObject,
} from '../../elf';
import { LivepatchObject } from '../object';
import { Content } from './content';
import { Descriptors } from './descriptors';
import { decodeFacts, type RecordedFacts } from './facts';
import { FACTS, FUNCS, MODINFO, OBJECTS, STRINGS, isKlpRelocs } from './layout';
import { relasBySection } from './rows';

/** Sections that ELF itself needs. */
const OWN_TABLES = new Set([SHT_NULL, SHT_RELA, SHT_SYMTAB, SHT_STRTAB, SHT_SYMTAB_SHNDX]);

/**
 * The livepatch object that `writeKlpObject` wrote.
 *
 * Equal to what was written but for orders without meaning: local symbols stand before others, and relocations that the
 * livepatch core applies stand together by the section that lists them. Sections named `.discard*` come back for `build`.
 * @throws KlpflowError `not-klpflow-object` for a file that lacks klpflow's record of the target kernel, objtool's own
 *   output among them: a module cannot be finished without. `malformed-elf` where anything does not fit together
 */
export function readKlpObject(elf: ElfObject): LivepatchObject {
  const recorded = readFacts(elf);
  const sections = new SectionsByName(elf);
  const object = new LivepatchObject(recorded.name, elf.machine, recorded.facts, recorded.provenance);
  const relas = relasBySection(elf);
  const content = new Content(elf, object, relas);
  content.read(sections.content);
  const descriptors = new Descriptors(elf, object, recorded, content, relas);
  for (const section of sections.klpRelocs) descriptors.readKlpRelocs(section);
  content.expectNoTombstones();
  descriptors.readObject(sections.need(OBJECTS.name), sections.need(FUNCS.name), sections.need(STRINGS));
  const modinfo = sections.one(MODINFO);
  if (modinfo !== undefined) descriptors.readModinfo(modinfo);
  return object;
}

function readFacts(elf: ElfObject): RecordedFacts {
  let section = elf.sectionCount - 1;
  while (section > 0 && elf.name(section) !== FACTS) section--;
  if (section <= 0 || archOf(elf.machine, elf.path).modules === null) {
    throw new KlpflowError(
      'not-klpflow-object',
      `${elf.path} says nothing of the kernel it is for (no section ${FACTS}): klpflow did not write it`,
      { object: elf.path, section: FACTS },
    );
  }
  return (
    decodeFacts(elf.content(section)) ??
    elf.malformed(elf.offset(section), `${FACTS} is damaged, or of another version of klpflow`)
  );
}

/** Which section is what, by name. */
class SectionsByName {
  /** Numbers of sections with code and data of the livepatch. */
  readonly content: number[] = [];
  readonly klpRelocs: number[] = [];
  private readonly named = new Map<string, number>();

  constructor(private readonly elf: ElfObject) {
    const own: ReadonlySet<string> = new Set([FACTS, OBJECTS.name, FUNCS.name, STRINGS, MODINFO]);
    for (let section = 1; section < elf.sectionCount; section++) {
      const type = elf.type(section);
      if (OWN_TABLES.has(type)) continue;
      const name = elf.name(section);
      if (type === SHT_GROUP)
        elf.malformed(elf.offset(section), `section ${section} (${name}) is a group, which no livepatch object has`);
      const table = isKlpRelocs(name);
      if (!table && !own.has(name)) {
        this.content.push(section);
        continue;
      }
      if (this.named.has(name) || type === SHT_NOBITS)
        elf.malformed(elf.offset(section), `section ${section} (${name}) is there twice, or without bytes`);
      this.named.set(name, section);
      if (table) this.klpRelocs.push(section);
    }
  }

  one(name: string): number | undefined {
    return this.named.get(name);
  }

  need(name: string): number {
    return this.named.get(name) ?? this.elf.malformed(0, `there is no section ${name}`);
  }
}
