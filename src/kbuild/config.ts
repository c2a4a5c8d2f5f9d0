/** A kernel's configuration: what a livepatch needs of it, and whether the tree takes it as it is. */
import { diagnostic, type Diagnostic } from '../diagnostics';

/** Options that are set, by name without `CONFIG_`: `y`, `m`, numbers, quoted texts. */
export type Config = ReadonlyMap<string, string>;

export function parseConfig(text: string): Config {
  return new Map([...text.matchAll(/^CONFIG_(\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!]));
}

/** What must be `y`, and what comes of it if it is not. */
const NEEDED: ReadonlyArray<[option: string, why: string]> = [
  ['LIVEPATCH', 'the kernel has no livepatch core'],
  ['MODULES', 'the kernel loads no modules'],
  ['KALLSYMS_ALL', 'the livepatch core does not find variables'],
  ['DYNAMIC_FTRACE', 'the kernel cannot redirect functions'],
];

/** What makes two builds of one source differ, or the objects of single units say too little. */
const EXCLUDED: ReadonlyArray<[option: string, why: string]> = [
  ['RANDSTRUCT', 'layouts of structs are drawn by a seed that is not shipped'],
  ['RANDSTRUCT_FULL', 'layouts of structs are drawn by a seed that is not shipped'],
  ['RANDSTRUCT_PERFORMANCE', 'layouts of structs are drawn by a seed that is not shipped'],
  ['GCC_PLUGIN_RANDSTRUCT', 'layouts of structs are drawn by a seed that is not shipped'],
  ['GCC_PLUGIN_LATENT_ENTROPY', 'each compilation puts random numbers into code'],
  ['GCOV_KERNEL', 'code counts how often it runs'],
  ['LD_DEAD_CODE_DATA_ELIMINATION', 'the last link drops code and data that objects have'],
  [
    'TRIM_UNUSED_KSYMS',
    'which symbols are exported is decided by all of a build; a kernel with it has no livepatch core',
  ],
];

/** What a kernel is compiled with whose units have no machine code before the link. */
export function ltoOf(config: Config): string | undefined {
  return ['LTO_CLANG', 'LTO_GCC'].find((option) => config.get(option) === 'y');
}

/** @returns `build-config`, one for all */
export function checkConfig(config: Config, path: string, scope: 'units' | 'whole'): Diagnostic[] {
  const lto = scope === 'units' ? ltoOf(config) : undefined;
  const wrong = [
    ...NEEDED.filter(([option]) => config.get(option) !== 'y').map(
      ([option, why]) => `CONFIG_${option} is not set (${why})`,
    ),
    ...EXCLUDED.filter(([option]) => config.get(option) === 'y').map(
      ([option, why]) => `CONFIG_${option} is set (${why})`,
    ),
    ...(lto === undefined
      ? []
      : [`CONFIG_${lto} is set (single units have no machine code before the link: --scope whole)`]),
  ];
  return wrong.length === 0 ? [] : [diagnostic('build-config', `${path}: ${wrong.join('; ')}`, { object: path })];
}

/**
 * Names that say what built the kernel or signs its modules and change no kernel code that a livepatch could touch: the compiler's own text,
 * versions of tools that are not used, keys that distributions take out of what they ship.
 */
const NO_MATTER =
  /^(?:CC_VERSION_TEXT|BUILD_SALT|(?:RUSTC|BINDGEN|PAHOLE)_\w*|PAHOLE_VERSION|RUST_IS_AVAILABLE|RUSTC?_\w+|HAVE_RUST|MODULE_SIG_(?:KEY|ALL|FORCE)|SYSTEM_(?:TRUSTED|REVOCATION)_KEYS|LOCALVERSION(?:_AUTO)?)$/;

/** Options of the kernel that the tree changed when it read its configuration (`olddefconfig`): of another version, or for want of a tool. */
export function changedOptions(shipped: Config, taken: Config): string[] {
  const names = new Set([...shipped.keys(), ...taken.keys()]);
  return [...names]
    .filter((name) => shipped.get(name) !== taken.get(name) && !NO_MATTER.test(name))
    .map((name) => `CONFIG_${name} (${shipped.get(name) ?? 'not set'}, now ${taken.get(name) ?? 'not set'})`);
}
