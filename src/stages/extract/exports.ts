import { STB_LOCAL, STB_WEAK, type SymbolIndex } from '../../elf';
import type { Export } from '../../kernel/symvers';
import { Kind } from '../scan';
import type { Link } from './link';
import type { ExtractInput } from './types';

/** A namespace that lets in named modules only (6.16 on): a livepatch is none of them. */
const NAMED_MODULES = 'module:';

/** Exports as the patched object sees them. */
export class Exports {
  /** Modules whose exports ORIG uses. */
  private dependencies: Set<string> | undefined;

  constructor(private readonly input: ExtractInput) {}

  /** How a symbol of PATCHED is reached by its export; undefined where the object does not export it. Others may export a name that is none of theirs here. */
  own(symbol: SymbolIndex): Link | undefined {
    const { patched, symvers, objectName } = this.input;
    const info = patched.table.info[symbol]!;
    const name = patched.name(symbol);
    const exported = info >>> 4 === STB_LOCAL ? undefined : symvers.get(name);
    return exported?.owner === objectName ? exportLink(exported, name, info) : undefined;
  }

  /**
   * Whether what `owner` exports is there whenever the patched object is: the livepatch core resolves names while the patched
   * module is loaded, and fails that where the other module is not.
   */
  dependsOn(owner: string): boolean {
    const {
      orig: { object, table },
      symvers,
      objectName,
    } = this.input;
    if (owner === 'vmlinux' || owner === objectName) return true;
    if (this.dependencies === undefined) {
      this.dependencies = new Set();
      for (let symbol = 1; symbol < table.symbols; symbol++) {
        if (table.kind[symbol] !== Kind.UNDEFINED || table.bindOf(symbol) === STB_WEAK) continue;
        this.dependencies.add(symvers.get(object.symbolName(symbol))?.owner ?? '');
      }
    }
    return this.dependencies.has(owner);
  }
}

/** By the module loader, or by the livepatch core where the loader would not let the reference in. */
export function exportLink(
  { owner, namespace }: Export,
  name: string,
  info: number,
): Exclude<Link, { kind: 'clone' | 'refused' }> {
  if (owner === 'vmlinux' && !namespace.startsWith(NAMED_MODULES)) return { kind: 'import', name };
  return { kind: 'klp', target: { module: owner, name, sympos: 0, evidence: 'export', patchedName: name, info } };
}
