import { STT_FUNC } from '../../elf';
import type { Context } from '../context';
import { isPrefixName } from '../symbols';
import { identityInObject, refersToSame } from './identity';
import type { ReferenceObject, ReferenceSymbol } from './object';

interface Body {
  object: ReferenceObject;
  symbol: ReferenceSymbol;
}

/**
 * An address is redirected for every name that stands there: GCC folds equal functions into one body (78 bodies in Linux 6.12), and where the
 * patch changes one of them the callers of the others must not get its code.
 */
export function checkAliases({ kernel, findings, replacements }: Context, objects: readonly ReferenceObject[]): void {
  if (kernel === null) return;
  const addresses = new Map<number, string>();
  for (const { object, name, sympos } of replacements.values()) {
    const old = object === 'vmlinux' ? kernel.at(object, name, sympos) : null;
    if (old !== null && typeof old !== 'string') addresses.set(old.address, name);
  }
  const names = kernel.namesAt(new Set(addresses.keys()));
  const wanted = new Set([...names.values()].flat());
  const bodies = new Map<string, Body[]>();
  for (const object of wanted.size === 0 ? [] : objects) {
    for (const symbol of object.named((type, name) => type === STT_FUNC && wanted.has(name))) {
      const list = bodies.get(symbol.name);
      if (list === undefined) bodies.set(symbol.name, [{ object, symbol }]);
      else list.push({ object, symbol });
    }
  }
  for (const { name, object, sympos, place } of replacements.values()) {
    const old = object === 'vmlinux' ? kernel.at(object, name, sympos) : null;
    if (old === null || typeof old === 'string') continue;
    for (const alias of names.get(old.address) ?? []) {
      const [ours, theirs] = [bodies.get(name) ?? [], bodies.get(alias) ?? []];
      if (alias === name || isPrefixName(alias) || ours.length === 0 || theirs.length === 0) continue;
      if (!ours.some((a) => theirs.some((b) => sameBody(a, b))))
        findings.add(
          'verify-klp-func',
          place,
          `${alias} stands at the address of ${name}, too, and is another function in the object: its callers would get the code of ${name}`,
        );
    }
  }
}

function sameBody(a: Body, b: Body): boolean {
  if (a.object === b.object && a.symbol.section === b.symbol.section && a.symbol.value === b.symbol.value) return true;
  if (a.symbol.size !== b.symbol.size || a.object !== b.object) return false;
  const { object } = a;
  const code = ({ symbol }: Body): Uint8Array =>
    object.elf.content(symbol.section).subarray(symbol.value, symbol.value + symbol.size);
  if (Buffer.compare(code(a), code(b)) !== 0) return false;
  const relasOf = ({ symbol }: Body) =>
    object
      .relas(symbol.section, (offset) => offset >= symbol.value && offset < symbol.value + symbol.size)
      .sort((x, y) => x.offset - y.offset);
  const [ours, theirs] = [relasOf(a), relasOf(b)];
  object.readSymbols(new Set([...ours, ...theirs].map(({ symbol }) => object.sectionOf(symbol))));
  return (
    ours.length === theirs.length &&
    ours.every((rela, i) => {
      const other = theirs[i]!;
      return (
        rela.offset - a.symbol.value === other.offset - b.symbol.value &&
        rela.type === other.type &&
        refersToSame(
          identityInObject(object, rela.symbol, rela.addend),
          identityInObject(object, other.symbol, other.addend),
        )
      );
    })
  );
}
