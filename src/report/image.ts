import type { ImageDescription } from '../index';

/** What an image tells, for people: a line a fact, and what to pass where it has none. */
export function renderImage(image: ImageDescription): string {
  const { exports, runsHere } = image;
  const number = (value: number): string => value.toLocaleString('en-US');
  const rows: Array<[name: string, finding: string]> = [
    ['image', `${image.path} (${[...image.wrappers, image.processor].join(', ')})`],
    ['release', image.release ?? 'not told'],
    ['compiler', image.compiler ?? 'not told'],
    ['vermagic', image.vermagic ?? 'not told: pass --template, any module of the kernel'],
    [
      'build ID',
      `${image.buildId ?? 'none'}${runsHere === null ? '' : runsHere ? ', which runs here' : '; another kernel runs here'}`,
    ],
    ['symbols', `${number(image.symbols)} in livepatch's order`],
    [
      'exports',
      `${number(exports.count)}, ${number(exports.gpl)} for GPL modules, ${number(exports.namespaced)} in namespaces; ${exports.versions ? 'with versions' : 'without versions (CONFIG_MODVERSIONS is off)'}`,
    ],
    [
      'types',
      image.btfBytes === null ? 'none (no BTF): pass --btf or --template' : `${number(image.btfBytes)} bytes of BTF`,
    ],
    ['ftrace', image.ftraceSites === null ? 'no sites are told: pass --ftrace' : `${number(image.ftraceSites)} sites`],
    ['seals', image.sealed === 0 ? 'none' : `${number(image.sealed)} functions lose their ENDBR at boot`],
    [
      'config',
      image.configLines === null ? 'not within (CONFIG_IKCONFIG is off)' : `${number(image.configLines)} lines`,
    ],
  ];
  return rows.map(([name, finding]) => `${name.padEnd(8)}  ${finding}`).join('\n');
}
