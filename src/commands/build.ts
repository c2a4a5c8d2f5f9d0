import { Flags } from '@oclif/core';
import { KlpflowError, build, type BuildOptions, type BuildResult } from '../index';
import { renderBuild } from '../report/build';
import { EXIT } from './diff';
import { MODULE_FLAGS, moduleOptions } from './support/module-flags';
import { RUN_FLAGS, RunCommand } from './support/run-command';
import { argument } from './support/argument';

/** What a build reads its kernel's types from is the image; a template would be another source of the same. */
const { template: _template, ...OWN_MODULE_FLAGS } = MODULE_FLAGS;
const { btf: _btf, ...OWN_RUN_FLAGS } = RUN_FLAGS;

/** Flags that are options by the same name. */
const OPTION_FLAGS = {
  source: Flags.string({
    description: "the kernel's source: a folder or a tarball",
    helpValue: 'DIR|TARBALL',
  }),
  objects: Flags.string({
    description:
      'in place of --source: a tree built with -ffunction-sections -fdata-sections, whose objects are taken over',
    helpValue: 'DIR',
  }),
  scope: Flags.option({
    description:
      'what is compiled: the units that the patch touches, or vmlinux.o and touched modules (default: whole for kernels with LTO, with --objects, and where no image is at hand)',
    options: ['units', 'whole'] as const,
  })(),
  output: Flags.string({
    char: 'o',
    description: 'the module to write (default: livepatch-NAME.ko, NAME from the first patch)',
    helpValue: 'FILE.ko',
  }),
  kernel: Flags.string({
    description: 'the kernel to patch: a release, or its image (default: the one that runs)',
    helpValue: 'RELEASE|FILE',
  }),
  root: Flags.string({
    description: "where the kernel's files are looked for: another machine's files, or unpacked packages",
    helpValue: 'DIR',
    default: '/',
  }),
  vmlinux: Flags.string({ description: "the kernel's image", helpValue: 'FILE' }),
  config: Flags.string({ description: 'its configuration', helpValue: 'FILE' }),
  symvers: Flags.string({ description: 'Module.symvers of its build', helpValue: 'FILE' }),
  modules: Flags.string({ description: 'the folder of its modules', helpValue: 'DIR' }),
  strip: Flags.integer({
    char: 'p',
    description: 'folders to take off the names in patches',
    helpValue: 'N',
    default: 1,
    min: 0,
    max: 9,
  }),
  jobs: Flags.integer({
    char: 'j',
    description: 'programs at a time (default: one a core)',
    helpValue: 'N',
    min: 1,
    max: 1024,
  }),
  allow: Flags.string({
    description: 'turn a refusal into a warning, if its code allows it',
    helpValue: 'CODE[:SYMBOL]',
    multiple: true,
    multipleNonGreedy: true,
  }),
  since: Flags.string({
    description: 'an older livepatch: tell what the new one leaves out, and whether it may take its place',
    helpValue: 'OLD.ko',
  }),
};

export default class Build extends RunCommand {
  static override summary = 'make a livepatch module from a patch and the source of a stock kernel';
  static override description =
    'Compiles only what the patch touches, twice, in a tree of its own (of a kernel with LTO, or whose image is not at hand: vmlinux.o and touched modules): the source given with --source is read and never written to. What is compiled is proven against the image that boots. Words like CC=gcc-12 or LLVM=1 go to make. The prepared tree and all objects are kept in the run directory. Exit codes: 0 written, 2 refused, 3 nothing changed, 1 error, 130 interrupted.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> fix.patch --source /usr/src/linux-source-6.12.tar.xz',
    '<%= config.bin %> <%= command.id %> fix.patch --source linux --kernel 6.12.107+deb12-amd64 --root unpacked',
    '<%= config.bin %> <%= command.id %> fix.patch --source linux-6.12 --kernel vmlinuz --config config CC=gcc-12',
    '<%= config.bin %> <%= command.id %> fix.patch --objects linux-7.2-built',
  ];
  static override enableJsonFlag = true;
  static override strict = false;
  static override args = {
    patch: argument({
      name: 'PATCH',
      description: 'a unified diff; several may follow, and NAME=VALUE for make',
      required: true,
    }),
  };
  static override flags = {
    ...OWN_RUN_FLAGS,
    ...OPTION_FLAGS,
    ...OWN_MODULE_FLAGS,
    'set-data': Flags.string({
      description: 'a variable that is in use: write its new initial value at patch, the old one back at unpatch',
      helpValue: 'NAME',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'sign-key': Flags.string({
      description: 'private key in PEM, or pkcs11: URI, that signs the module',
      helpValue: 'FILE',
      dependsOn: ['sign-cert'],
    }),
    'sign-cert': Flags.string({
      description: 'its X.509 certificate, which the kernel trusts',
      helpValue: 'FILE',
      dependsOn: ['sign-key'],
    }),
  };

  async run(): Promise<BuildResult> {
    const { argv, flags } = await this.parse(Build);
    const words = argv as string[];
    const variables = words.filter((word) => VARIABLE.test(word));
    const patches = words.filter((word) => !VARIABLE.test(word));
    if (patches.length === 0) throw new KlpflowError('usage', 'no patch is given');
    const result = await this.running({ ...flags, btf: undefined }, (options, note) =>
      build({
        ...options,
        ...named(flags, OPTION_FLAGS),
        patches,
        variables,
        ...moduleOptions({ ...flags, template: undefined }),
        setData: flags['set-data'],
        signing: signingOf(flags['sign-key'], flags['sign-cert']),
        step: (what) => {
          if (flags.progress !== 'none')
            note(flags.progress === 'json' ? what : `[${seconds(performance.now())} s] ${what}`);
        },
      }),
    );
    this.log(renderBuild(result));
    process.exitCode = EXIT[result.verdict];
    return result;
  }
}

/** The flags of these names. */
function named<F extends object, K extends keyof F>(flags: F, names: Record<K, unknown>): Pick<F, K> {
  return Object.fromEntries(Object.keys(names).map((name) => [name, flags[name as K]])) as Pick<F, K>;
}

/** oclif has seen to it that both are given, or none. */
function signingOf(key: string | undefined, certificate: string | undefined): BuildOptions['signing'] {
  return key === undefined || certificate === undefined ? undefined : { key, certificate };
}

const seconds = (milliseconds: number): string => (milliseconds / 1000).toFixed(2).padStart(6);

const VARIABLE = /^[A-Z_][A-Z0-9_]*=/;
