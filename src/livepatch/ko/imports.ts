import { diagnostic, type Diagnostic } from '../../diagnostics';
import { STB_WEAK } from '../../elf';
import type { Symvers } from '../../kernel/symvers';
import type { ModuleImage } from './image';
import type { Platform } from './platform';
import { NAME_ROOM, type ModuleTemplate } from './template';
import type { ModuleOptions } from './types';

/** What the module asks of the kernel and of other modules. */
export interface Imports {
  namespaces: string[];
  /** Modules whose exports it uses. */
  depends: string[];
  versions: Version[];
}

/** An imported symbol's checksum. */
export interface Version {
  name: string;
  crc: number;
}

/** The symbol whose version stands for the layout of struct module and its kin. */
const LAYOUT = 'module_layout';
/** THIS_MODULE. Left to the linker it would be the livepatch, whose unloading nothing would hold up then. */
const SELF = '__this_module';

/**
 * Resolves what is left undefined and somebody refers to. Appends to `found` what the module loader would refuse: symbols that
 * nobody exports, or not to this module, and versions that are missing or other than those of the kernel's own modules.
 */
export function resolveImports(
  image: ModuleImage,
  symvers: Symvers,
  platform: Platform,
  template: ModuleTemplate | undefined,
  { name }: ModuleOptions,
  found: Diagnostic[],
): Imports {
  const used = new Set(image.sections.flatMap((section) => section.relas.map(({ symbol }) => symbol)));
  const namespaces = new Set<string>();
  const depends = new Set<string>();
  const versions: Version[] = [];
  for (const symbol of used) {
    if (symbol.section !== 'undefined') continue;
    const exported = symvers.get(symbol.name);
    const refuse = (why: string): unknown =>
      found.push(diagnostic('not-exported', `${symbol.name} ${why}`, { symbol: symbol.name }));
    if (exported === undefined) {
      // Nobody has to define a weak one: it is 0 then.
      if (symbol.info >> 4 !== STB_WEAK)
        refuse(
          symbol.name === SELF
            ? 'means the patched module, which a livepatch cannot import'
            : 'is neither exported (by Module.symvers) nor defined by the livepatch',
        );
      continue;
    }
    const { namespace, owner, crc } = exported;
    if (namespace.startsWith('module:')) {
      if (!namespace.slice('module:'.length).split(',').includes(name))
        refuse(`is exported to the modules ${namespace.slice('module:'.length)} alone`);
    } else if (namespace !== '') namespaces.add(namespace);
    if (owner !== 'vmlinux') depends.add(owner);
    versions.push({ name: symbol.name, crc });
  }
  return {
    namespaces: [...namespaces].sort(),
    depends: [...depends].sort(),
    versions: platform.modversions ? withLayout(versions, symvers, template, found) : [],
  };
}

function withLayout(
  versions: Version[],
  symvers: Symvers,
  template: ModuleTemplate | undefined,
  found: Diagnostic[],
): Version[] {
  const layout = symvers.get(LAYOUT);
  if (layout === undefined)
    found.push(
      diagnostic(
        'no-symbol-version',
        `the kernel checks versions of symbols, and Module.symvers has none for ${LAYOUT}`,
        { symbol: LAYOUT },
      ),
    );
  const all = [...(layout === undefined ? [] : [{ name: LAYOUT, crc: layout.crc }]), ...versions].sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  for (const { name, crc } of all) {
    if (Buffer.byteLength(name) >= NAME_ROOM && template?.extended !== true) {
      found.push(
        diagnostic(
          'no-symbol-version',
          `the name ${name} is too long for a version record (${NAME_ROOM} bytes), and this kernel's modules have no longer ones`,
          { symbol: name },
        ),
      );
    }
    const theirs = template?.versions.get(name);
    if (theirs !== undefined && theirs !== crc) {
      const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`;
      found.push(
        diagnostic(
          'kernel-mismatch',
          `${name} has version ${hex(crc)} in Module.symvers and ${hex(theirs)} in ${template!.path}: they are of different builds`,
          { object: template!.path, symbol: name },
        ),
      );
    }
  }
  return all;
}
