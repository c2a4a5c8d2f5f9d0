import { extname } from 'node:path';
import { FORMATS, KlpflowError, formatOfPath, type Format, type OutputFormat, type OutputRequest } from '../../index';
import { moduleOptions, type ModuleFlags } from './module-flags';

interface OutputFlags extends ModuleFlags {
  output?: string | undefined;
  format?: string | undefined;
  symvers?: string | undefined;
  vmlinux?: string | undefined;
  btf?: string | undefined;
  'module-image'?: string[] | undefined;
  'klp-arch'?: boolean | undefined;
}

/** The livepatch that flags ask for; nothing where they ask for a report only. @throws KlpflowError `usage` */
export function outputOf(flags: OutputFlags): { output?: OutputRequest } {
  const { output: path, symvers, vmlinux, btf, 'module-image': moduleImages } = flags;
  if (flags.format === undefined) checkEnding(path);
  const format = (flags.format as OutputFormat | undefined) ?? formatOfPath(path);
  const { needsListing }: Format = FORMATS[format];
  const own = path === undefined ? undefined : format;
  for (const [flag, given, of] of belonging(flags)) {
    // Left aside in silence, a livepatch would be another than was asked for.
    if (given && of !== own) throw new KlpflowError('usage', `--${flag} belongs to ${FORMATS[of].asked}`);
  }
  if (path === undefined) {
    if (flags.format !== undefined)
      throw new KlpflowError('usage', `--format ${flags.format}: say with -o FILE where the livepatch goes`);
    return {};
  }
  if (path === '') throw new KlpflowError('usage', '-o: the name is empty');
  if (path === '-')
    throw new KlpflowError('usage', "-o -: standard output is the report's; for a file of this name say ./-");
  if (needsListing && vmlinux === undefined)
    throw new KlpflowError(
      'usage',
      `-o ${path}: --vmlinux FILE is needed, what \`readelf -sW\` prints of the patched kernel or module: format ${format} says where its functions are`,
    );
  if (format === 'kpatch' && vmlinux !== undefined) {
    return { output: { path, format, symvers, vmlinux, klpArch: flags['klp-arch'] ?? false } };
  }
  return {
    output: {
      path,
      symvers,
      vmlinux,
      moduleImages,
      ...(format === 'ko' ? { format, btf, ...moduleOptions(flags) } : { format: 'klp' }),
    },
  };
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
function belonging(flags: OutputFlags): Array<[flag: string, given: boolean, format: OutputFormat]> {
  const { template, name, description, state } = flags;
  return [
    ['template', template !== undefined, 'ko'],
    ['name', name !== undefined, 'ko'],
    ['description', description !== undefined, 'ko'],
    ['no-replace', flags['no-replace'], 'ko'],
    ['state', state !== undefined, 'ko'],
    ['klp-arch', flags['klp-arch'] === true, 'kpatch'],
  ];
}
