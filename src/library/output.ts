import { extname } from 'node:path';
import { KlpflowError, emptyName } from '../diagnostics';
import { FORMATS, formatOfPath, type Format, type OutputFormat } from '../livepatch/formats';
import type { KlpState } from '../livepatch/ko';
import type { OutputRequest } from '../pipeline/output';

/** What a finished module needs or may say. */
export interface ModuleOptions {
  /** Any module of the running kernel: its vermagic, and struct layouts where there is no BTF. */
  template?: string | undefined;
  /** Name of the module; default: that of its file. */
  name?: string | undefined;
  /** What modinfo shows. */
  description?: string | undefined;
  /** An atomic replacement of all earlier livepatches; default true. */
  replace?: boolean | undefined;
  /** System states that callbacks change. */
  states?: readonly KlpState[] | undefined;
}

/** The livepatch to write, and what it is made from besides the pair. */
export interface OutputOptions extends ModuleOptions {
  /** The file to write: `.ko` is a finished module, `.o` an object; without it there is only the result. */
  output?: string | undefined;
  /** What to write, where the file's ending does not say it. */
  format?: OutputFormat | undefined;
  symvers?: string | undefined;
  vmlinux?: string | undefined;
  btf?: string | undefined;
  moduleImages?: readonly string[] | undefined;
  /** Of format kpatch: the kernel supports `.klp.arch` sections (before 5.8). */
  klpArch?: boolean | undefined;
}

/** The livepatch that options ask for; nothing where they ask for a report only. @throws KlpflowError `usage` */
export function outputOf(options: OutputOptions): { output?: OutputRequest } {
  const { output: path, symvers, vmlinux, btf, moduleImages } = options;
  if (options.format === undefined) checkEnding(path);
  const format = options.format ?? formatOfPath(path);
  const { needsListing }: Format = FORMATS[format];
  const own = path === undefined ? undefined : format;
  for (const [flag, given, of] of belonging(options)) {
    // Left aside in silence, a livepatch would be another than was asked for.
    if (given && of !== own) throw new KlpflowError('usage', `--${flag} belongs to ${FORMATS[of].asked}`);
  }
  if (path === undefined) {
    if (options.format !== undefined)
      throw new KlpflowError('usage', `--format ${options.format}: say with -o FILE where the livepatch goes`);
    return {};
  }
  if (path === '') throw emptyName('-o');
  if (path === '-')
    throw new KlpflowError('usage', "-o -: standard output is the report's; for a file of this name say ./-");
  if (needsListing && vmlinux === undefined)
    throw new KlpflowError(
      'usage',
      `-o ${path}: --vmlinux FILE is needed, what \`readelf -sW\` prints of the patched kernel or module: format ${format} says where its functions are`,
    );
  const kernel = { path, symvers, vmlinux, moduleImages };
  switch (format) {
    case 'klp':
      return { output: { ...kernel, format } };
    case 'kpatch':
      return { output: { path, format, symvers, vmlinux: vmlinux!, klpArch: options.klpArch ?? false } };
    case 'ko':
      return { output: { ...kernel, format, btf, ...moduleOf(options) } };
  }
}

/** What a module may say, checked. @throws KlpflowError `usage` */
export function moduleOf({ template, name, description, replace = true, states = [] }: ModuleOptions): ModuleOptions {
  const twice = states.find(({ id }, i) => states.findIndex((other) => other.id === id) < i);
  if (twice !== undefined)
    throw new KlpflowError('usage', `--state ${twice.id}:${twice.version}: the state ${twice.id} is given twice`);
  return { template, name, description, replace, states };
}

/** Of `-o a.zip` and `-o x.KO` an object would be written that nobody asked for. @throws KlpflowError `usage` */
function checkEnding(path: string | undefined): void {
  const ending = extname(path ?? '');
  if (ending !== '' && ending !== '.o' && ending !== '.ko')
    throw new KlpflowError(
      'usage',
      `-o ${path}: FILE.ko is a finished module, FILE.o an object; for another name say --format`,
    );
}

/** Flags that only one format has, whether they are given, and which format that is. */
function belonging(options: OutputOptions): Array<[flag: string, given: boolean, format: OutputFormat]> {
  const { template, name, description, replace, states = [] } = options;
  return [
    ['template', template !== undefined, 'ko'],
    ['name', name !== undefined, 'ko'],
    ['description', description !== undefined, 'ko'],
    ['no-replace', replace === false, 'ko'],
    ['state', states.length > 0, 'ko'],
    ['klp-arch', options.klpArch === true, 'kpatch'],
  ];
}
