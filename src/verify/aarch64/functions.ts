import type { Context } from '../context';
import { Entry } from '../entries';
import { hex } from '../findings';
import { isExecutable, isFunction } from '../module';
import { describe, fieldOf, targetInData } from '../references';
import { isTable, type Sites } from '../tables';
import { hashBefore } from './hash';
import { BTI_C, BUG, NOP, wordAt } from './words';

const SITE = 8;
const TABLE = '__patchable_function_entries';

/** Each place that ftrace is told of is a function's, begins with two NOPs, and is told once: anything else makes it turn itself off. */
export function checkSites(context: Context): void {
  const { module, findings } = context;
  const listed = new Set<string>();
  for (const section of module.sections) {
    if (section.name !== TABLE) continue;
    if (section.size % SITE !== 0)
      findings.add('verify-entry', { section }, `${section.size} bytes are not whole pointers`);
    for (let offset = 0; offset + SITE <= section.bytes.length; offset += SITE) {
      const entry = new Entry(context, section, offset, SITE);
      const site = entry.site(0, 8);
      if (site === null) continue;
      const { section: code, offset: at } = site;
      const starts = (place: number): boolean => module.symbolsAt(code, place).some(isFunction);
      const padded = starts(at + 8) && !starts(at);
      const bti = starts(at - 4) && wordAt(code, at - 4) === BTI_C;
      if (!starts(at) && !padded && !bti)
        entry.add(`it points at ${entry.name(site)}, which is not the start of a function`);
      const first = padded ? at + 8 + (wordAt(code, at + 8) === BTI_C ? 4 : 0) : at;
      if ([...(padded ? [at, at + 4] : []), first, first + 4].some((place) => wordAt(code, place) !== NOP))
        entry.add(`it points at ${entry.name(site)}, where ftrace finds no NOPs to change`);
      if (padded && (at % 8 !== 0 || code.align % 8 !== 0)) entry.add('the function is not aligned to 8 bytes');
      const key = `${code.index}:${first}`;
      if (listed.has(key)) entry.add(`${entry.name(site)} is listed twice`);
      listed.add(key);
    }
  }
  for (const section of module.sections) {
    if (!isExecutable(section)) continue;
    for (const symbol of module.functionsIn(section).filter(isFunction)) {
      const at = symbol.value + (wordAt(section, symbol.value) === BTI_C ? 4 : 0);
      if (wordAt(section, at) === NOP && wordAt(section, at + 4) === NOP && !listed.has(`${section.index}:${at}`))
        findings.add(
          'verify-missing-entry',
          { section, offset: at },
          `the NOPs of an ftrace site have no entry in ${TABLE}`,
        );
    }
  }
}

/** Every `brk` of BUG() and WARN() has its record: without, a warning is an oops. */
export function checkTraps({ module, code, findings }: Context, sites: Sites): void {
  for (const section of module.sections) {
    if (!isExecutable(section)) continue;
    for (const { offset, kind } of code.of(section))
      if (kind === 'undefined' && wordAt(section, offset) === BUG && !sites.has('bugs', section, offset))
        findings.add('verify-missing-entry', { section, offset }, 'a trap has no entry in __bug_table');
  }
}

/** Hashes of `int (void)` and `void (void)` as Clang computes them, plain and with normalised integers. */
const ENTRIES: ReadonlyArray<readonly [name: string, hashes: readonly number[]]> = [
  ['init_module', [0x36b1c5a6, 0x6fbb3035]],
  ['cleanup_module', [0xa540670c, 0xe5c47d60]],
];

/** kCFI: what is called through pointers has its type before it, the entry functions theirs. A module shows that it is of such a kernel by any hash. */
export function checkHashes(context: Context): void {
  const { module, code, findings, template, replacementPointers } = context;
  const all = module.sections
    .filter(isExecutable)
    .flatMap((section) =>
      module
        .functionsIn(section)
        .map((symbol) => ({ section, symbol, hash: hashBefore(module, section, symbol.value) })),
    );
  const wanted = template?.types ?? new Map<string, number>();
  if (wanted.size === 0 && all.every(({ hash }) => hash === undefined)) return;
  for (const [name, hashes] of ENTRIES) {
    const own = all.find(({ symbol }) => symbol.name === name);
    if (own === undefined) continue;
    const other = wanted.get(name);
    if (own.hash === undefined)
      findings.add(
        'verify-type-hash',
        { symbol: own.symbol },
        `${name} has no type hash before it: the kernel's call of it would trap`,
      );
    else if (other === undefined ? !hashes.includes(own.hash) : other !== own.hash)
      findings.add(
        'verify-type-hash',
        { symbol: own.symbol },
        `${name} has the type hash ${hex(own.hash)}, ${other === undefined ? 'which is not that of its type' : `in ${template!.path} it has ${hex(other)}`}`,
      );
  }
  const hashed = new Set(
    all.filter(({ hash }) => hash !== undefined).map(({ section, symbol }) => `${section.index}:${symbol.value}`),
  );
  for (const rela of module.relas) {
    const { section, offset } = rela;
    if (isTable(section.name) || replacementPointers.has(`${section.index}:${offset}`)) continue;
    const instruction = isExecutable(section) ? code.covering(section, offset) : undefined;
    if (instruction !== undefined && fieldOf(instruction, rela)?.kind === 'branch') continue;
    const target = targetInData(module, rela);
    if (target.in !== 'module' || !module.symbolsAt(target.section, target.offset).some(isFunction)) continue;
    if (!hashed.has(`${target.section.index}:${target.offset}`))
      findings.add(
        'verify-type-hash',
        { section, offset },
        `the address of ${describe(module, target)} is kept, which has no type hash before it: a call through it would trap`,
      );
  }
}

/** `movz xD, #0xcdef; movk xD, #0x89ab, lsl #16`: what only the kernel's own code has filled in at boot. */
export function checkPlaceholders({ module, code, findings }: Context): void {
  for (const section of module.sections) {
    if (section.name.startsWith('runtime_'))
      findings.add('verify-runtime-constant', { section }, 'the kernel does not read this table from modules');
    if (!isExecutable(section)) continue;
    for (const { offset } of code.of(section)) {
      const [word, next] = [wordAt(section, offset), wordAt(section, offset + 4)];
      const register = word & 0x1f;
      if (word === (0xd299bde0 | register) >>> 0 && next === (0xf2b13560 | register) >>> 0)
        findings.add(
          'verify-runtime-constant',
          { section, offset },
          'the placeholder 0x0123456789abcdef is in the code',
        );
    }
  }
}
