import { PLAIN_FUNC, PLAIN_LOCAL, PLAIN_OBJECT, type PlainElf, type PlainSymbol, type PlainTarget } from './plain-elf';

/** Both builds of a pair, as the tests' own reader sees them. */
export interface PlainPair {
  orig: PlainElf;
  patched: PlainElf;
}

/**
 * Whether what a pair is there for really is in its objects. Without it the pair may pass for the wrong reason: a patch
 * that was compiled away "needs no runtime constants".
 *
 * @throws for a premise of a kind that is not known: it would never fail
 */
export function holds(premise: string, { orig, patched }: PlainPair, changed: readonly string[]): boolean {
  const [kind, name = ''] = premise.split(/:(.*)/s);
  switch (kind) {
    case 'objects-differ':
      return !orig.bytes.equals(patched.bytes);
    case 'sealed': {
      const seals = orig.targets((section) => section === '.ibt_endbr_seal');
      return orig.named(name).some((symbol) => seals.some((seal) => starts(symbol, seal)));
    }
    case 'runtime-ptr': {
      const sites = patched.targets((section) => section.startsWith('runtime_ptr_'));
      return patched.named(name).some((symbol) => sites.some((site) => within(symbol, site)));
    }
    case 'special-entries': {
      const sites = patched.targets((section) => section === name);
      const symbols = changed.flatMap((listed) => patched.named(listed)).filter(({ type }) => type === PLAIN_FUNC);
      return symbols.some((symbol) => sites.some((site) => within(symbol, site)));
    }
    case 'new-static-local':
      return hasNewStaticLocal(name, orig, patched);
    default:
      throw new Error(`premise ${premise}: no such kind`);
  }
}

/** `function.variable` as Clang names it, `variable.<number>` as GCC does: one more than before, and the function refers to it. */
function hasNewStaticLocal(name: string, orig: PlainElf, patched: PlainElf): boolean {
  const [owner = '', variable = ''] = name.split('.');
  const isNamed = (symbol: PlainSymbol): boolean =>
    symbol.type === PLAIN_OBJECT &&
    symbol.binding === PLAIN_LOCAL &&
    (symbol.name === name || (symbol.name.startsWith(variable) && /^\.\d+$/.test(symbol.name.slice(variable.length))));
  const [before, after] = [orig.symbols.filter(isNamed), patched.symbols.filter(isNamed)];
  if (after.length <= before.length) return false;
  // With -ffunction-sections and -fdata-sections both have sections of their own.
  const owners = new Set(patched.named(owner).map(({ section }) => section));
  const used = new Set(patched.targets((_, section) => owners.has(section)).map(({ section }) => section));
  return after.some(({ section }) => used.has(section));
}

function starts(symbol: PlainSymbol, { section, value }: PlainTarget): boolean {
  return symbol.section === section && symbol.value === value;
}

function within(symbol: PlainSymbol, { section, value }: PlainTarget): boolean {
  return symbol.section === section && value >= symbol.value && value < symbol.value + symbol.size;
}

/** Whether two names of one object stand for the same body. */
export function areAliases(object: PlainElf, a: string, b: string): boolean {
  return object.named(a).some((one) => object.named(b).some((other) => starts(one, other)));
}
