import { KlpflowError } from '../../diagnostics';
import { ElfObject, SHF_ALLOC, SHF_EXECINSTR, STT_FILE, STT_FUNC, STT_OBJECT, STT_SECTION } from '../../elf';
import { MappedFile } from '../../files/mapped-file';
import type { KernelSymbol } from '../kernel-list';
import { Module } from '../module';
import { unpacked } from './unpack';

/** A finished module of the running kernel, as far as positions go. */
export interface ShippedModule {
  path: string;
  name: string;
  vermagic: string | null;
  /** Symbols by name in the order of the module's table; each section has 4 GiB of addresses of its own. */
  symbols: ReadonlyMap<string, KernelSymbol[]>;
  sites: readonly number[];
  /** Numbers of those 4 GiB that the kernel drops after the module's initialization. */
  dropped: ReadonlySet<number>;
}

/** Addresses that no kernel has, between which a number still tells bytes apart. */
export const SECTION_ROOM = 2 ** 32;
const MOST_SECTIONS = 2 ** 14;

/** Reads modules as they are shipped, compressed or not. @throws KlpflowError `not-a-module`, `malformed-image`, `malformed-elf`, `unreadable` */
export async function readShippedModules(paths: readonly string[]): Promise<ShippedModule[]> {
  const modules: ShippedModule[] = [];
  for (const [i, path] of paths.entries()) {
    const { bytes } = MappedFile.open(path);
    modules.push(
      factsOf(new Module(new ElfObject(MappedFile.ofBytes((await unpacked(bytes, path)) ?? bytes, path))), i),
    );
  }
  return modules;
}

function factsOf(module: Module, number: number): ShippedModule {
  const info = module.modinfo();
  const name = info.find(({ key }) => key === 'name')?.value;
  const { path } = module;
  if (name === undefined || module.sections.length > MOST_SECTIONS)
    throw new KlpflowError('not-a-module', `${path} is not a finished kernel module: its .modinfo has no name`, {
      object: path,
    });
  const room = (section: number): number => (number + 1) * MOST_SECTIONS + section;
  const symbols = new Map<string, KernelSymbol[]>();
  for (const symbol of module.symbols) {
    const section = module.sectionOf(symbol);
    if (
      section === undefined ||
      symbol.type === STT_SECTION ||
      symbol.type === STT_FILE ||
      (section.flags & SHF_ALLOC) === 0
    )
      continue;
    const code = symbol.type === STT_FUNC || (symbol.type !== STT_OBJECT && (section.flags & SHF_EXECINSTR) !== 0);
    const found: KernelSymbol = {
      address: room(section.index) * SECTION_ROOM + symbol.value,
      size: symbol.size === 0 ? null : symbol.size,
      kind: code ? 'code' : 'data',
    };
    const known = symbols.get(symbol.name);
    if (known === undefined) symbols.set(symbol.name, [found]);
    else known.push(found);
  }
  const sites = module.relas.flatMap(({ section, symbol, addend }) => {
    const target = section.name === '__mcount_loc' ? module.sectionOf(symbol) : undefined;
    return target === undefined ? [] : [room(target.index) * SECTION_ROOM + symbol.value + addend];
  });
  const dropped = module.sections.filter((section) => section.name.startsWith('.init')).map(({ index }) => room(index));
  return {
    path,
    name: name.replaceAll('-', '_'),
    vermagic: info.find(({ key }) => key === 'vermagic')?.value ?? null,
    symbols,
    sites,
    dropped: new Set(dropped),
  };
}
