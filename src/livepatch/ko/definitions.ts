import { diagnostic, type Diagnostic } from '../../diagnostics';
import { STB_LOCAL } from '../../elf';
import type { LivepatchObject, OutputSymbol } from '../object';
import type { Symvers } from '../../kernel/symvers';

/** What the module itself defines. */
const OWN = new Set(['init_module', 'cleanup_module', '__this_module']);

interface Definition {
  object: LivepatchObject;
  symbol: OutputSymbol;
}

/** Global names of all objects: who defines them, and to whom an undefined one belongs. */
export class Definitions {
  private readonly byName = new Map<string, Definition[]>();
  private readonly localised = new Set<OutputSymbol>();

  constructor(
    objects: readonly LivepatchObject[],
    private readonly symvers: Symvers,
    private readonly found: Diagnostic[],
  ) {
    for (const object of objects) {
      for (const symbol of object.symbols) {
        if (symbol.section !== 'undefined' && symbol.name !== '' && symbol.info >> 4 !== STB_LOCAL)
          this.add({ object, symbol });
      }
    }
    // Kernel and modules are linked apart and may use a name twice; in one module each of them keeps its own.
    for (const definitions of this.byName.values())
      if (definitions.length > 1) for (const { symbol } of definitions) this.localised.add(symbol);
  }

  private add(definition: Definition): void {
    const {
      object,
      symbol: { name },
    } = definition;
    const known = this.byName.get(name) ?? [];
    const twice = known.some((other) => other.object === object);
    if (twice || OWN.has(name)) {
      const message = twice
        ? `${object.name} defines ${name} twice`
        : `${object.name} defines ${name}, which is the livepatch's own`;
      this.found.push(diagnostic('duplicate-definition', message, { object: object.name, symbol: name }));
    }
    this.byName.set(name, [...known, definition]);
  }

  /** st_info of a defined symbol in the module. */
  infoOf(symbol: OutputSymbol): number {
    return this.localised.has(symbol) ? (STB_LOCAL << 4) | (symbol.info & 0xf) : symbol.info;
  }

  /**
   * The other object's symbol that an undefined one means; undefined for an import. What symvers says another exports is not
   * meant, though it has the name: each of kernel and modules has global names of its own.
   */
  bind(object: LivepatchObject, { name }: OutputSymbol): OutputSymbol | undefined {
    const owner = this.symvers.get(name)?.owner;
    const candidates = (this.byName.get(name) ?? []).filter(
      (definition) => definition.object !== object && (owner === undefined || owner === definition.object.name),
    );
    if (candidates.length > 1) {
      const message = `${object.name} refers to ${name}, which ${candidates.map((candidate) => candidate.object.name).join(' and ')} both define`;
      this.found.push(diagnostic('duplicate-definition', message, { object: object.name, symbol: name }));
    }
    return candidates[0]?.symbol;
  }
}
