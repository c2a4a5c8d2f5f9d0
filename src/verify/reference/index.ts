import { R_X86_64_NONE, STT_FUNC } from '../../elf';
import type { Context } from '../context';
import { isVeneer } from '../aarch64/veneers';
import { isExecutable, isFunction, type ModuleSection, type ModuleSymbol } from '../module';
import { checkTypeHashes } from '../type-hash';
import { takesAddress } from './address-taken';
import { checkAliases } from './aliases';
import { compareCode, type Difference, type Pair } from './code';
import type { RuntimeConstant } from './constants';
import { compareData, namedData, type DataCandidate } from './data';
import { withoutNumbers } from './identity';
import { checkLiterals } from './literals';
import { ReferenceObject, type ReferenceRela, type ReferenceSymbol } from './object';
import { checkForeignTables } from './pieces';
import { TABLE_NAMES, compareTables } from './tables';

type Candidate = Omit<Pair, 'section' | 'symbol'>;

/** Made by hand for every livepatch, so that no object has them. */
const OWN = new Set(['init_module', 'cleanup_module']);
const CONSTANTS = 'runtime_';

/**
 * Compares every function of the module, its entries in the tables and named data with the objects that it was made from. This sees
 * what the module alone does not show: two references that were exchanged, an entry that is missing without a trace.
 */
export function checkAgainstObjects(context: Context, paths: readonly string[]): void {
  const { module, findings } = context;
  const functions: Array<{ section: ModuleSection; symbol: ModuleSymbol }> = [];
  for (const section of module.sections) {
    if (!isExecutable(section)) continue;
    const own = new Set(
      module
        .functionsIn(section)
        .filter(({ name }) => OWN.has(name))
        .map(({ value }) => value),
    );
    for (const symbol of module.functionsIn(section))
      if (isFunction(symbol) && symbol.size > 0 && !own.has(symbol.value) && !isVeneer(module, section, symbol))
        functions.push({ section, symbol });
  }
  const exact = new Set(functions.map(({ symbol }) => symbol.name));
  const bare = new Set([...exact].map(withoutNumbers));
  const data = namedData(context);
  const dataNames = new Set(data.map(({ symbol }) => symbol.name));
  const candidates = new Map<string, Candidate[]>();
  const sameData = new Map<string, DataCandidate[]>();
  const objects: ReferenceObject[] = [];
  for (const path of paths) {
    const object = new ReferenceObject(path, new Set(TABLE_NAMES), CONSTANTS);
    objects.push(object);
    const sections = new Set<number>();
    for (const original of object.named((type, name) =>
      type === STT_FUNC ? exact.has(name) || bare.has(withoutNumbers(name)) : dataNames.has(name),
    )) {
      const relas = relasOf(object, original);
      for (const { symbol } of relas.values()) sections.add(object.sectionOf(symbol));
      if (original.type === STT_FUNC)
        put(candidates, exact.has(original.name) ? original.name : withoutNumbers(original.name), {
          object,
          original,
          relas,
          constants: constantsOf(object, original),
        });
      else put(sameData, original.name, { object, original, relas });
    }
    object.readSymbols(sections);
  }
  for (const { section, symbol } of data) compareData(context, section, symbol, sameData.get(symbol.name) ?? []);

  const pairs: Pair[] = [];
  for (const { section, symbol } of functions) {
    // A ThinLTO build after another patch may have numbered the name anew (`__se_sys_newuname.llvm.8464344228277713093`).
    const list = [symbol.name, withoutNumbers(symbol.name)].flatMap((name, i, names) =>
      i > 0 && name === names[0] ? [] : (candidates.get(name) ?? []),
    );
    let best: { pair: Pair; differences: Difference[] } | undefined;
    for (const candidate of list) {
      const pair: Pair = { section, symbol, ...candidate };
      const differences = compareCode(context, pair);
      if (best === undefined || differences.length < best.differences.length) best = { pair, differences };
      if (differences.length === 0) break;
    }
    if (best === undefined) {
      findings.add(
        'verify-object-differs',
        { section, offset: symbol.value },
        `no object has a function ${symbol.name}`,
      );
      continue;
    }
    pairs.push(best.pair);
    for (const { offset, message } of best.differences)
      findings.add('verify-object-differs', { section, offset: symbol.value + offset }, message);
  }
  compareTables(context, pairs);
  checkLiterals(context, pairs);
  checkForeignTables(context, objects);
  checkAliases(context, objects);
  checkTypeHashes(context, (name) => objects.some((object) => takesAddress(object, name)));
}

function put<T>(found: Map<string, T[]>, name: string, value: T): void {
  const list = found.get(name);
  if (list === undefined) found.set(name, [value]);
  else list.push(value);
}

function relasOf(object: ReferenceObject, { section, value, size }: ReferenceSymbol): Map<number, ReferenceRela> {
  const relas = object
    .relas(section, (offset) => offset >= value && offset < value + size)
    .filter(({ type }) => type !== R_X86_64_NONE);
  return new Map(relas.map((rela) => [rela.offset - value, rela]));
}

/** Places of a function that boot code fills in, and with what: entries of `runtime_KIND_X`. */
function constantsOf(object: ReferenceObject, original: ReferenceSymbol): Map<number, RuntimeConstant> {
  const found = new Map<number, RuntimeConstant>();
  for (const section of object.sections(CONSTANTS)) {
    const [, kind = '', variable = ''] = /^runtime_([^_]+)_(.+)$/.exec(object.elf.name(section)) ?? [];
    for (const rela of object.relas(section, (_, symbol) => object.sectionOf(symbol) === original.section)) {
      const at = object.symbol(rela.symbol).value + rela.addend - original.value;
      if (at >= 0 && at < original.size) found.set(at, { kind, variable });
    }
  }
  return found;
}
