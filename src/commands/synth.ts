import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { KlpflowError, fileError } from '../diagnostics';
import { SHAPES, isShape, writePair, type Manifest, type Shape } from '../index';
import { BaseCommand } from './support/base-command';
import { byteCount } from './support/bytes';

const DEFAULT_SHAPE = 'linux-7.2-thinlto';
/** A patch as real ones are: few functions, several of each kind. */
const CHANGES = {
  immediates: 4,
  callTargets: 3,
  strings: 3,
  instructions: 4,
  staticLocals: 2,
  newFunctions: 2,
  removedFunctions: 2,
  moves: 3,
};

export default class Synth extends BaseCommand {
  static override summary = 'write a pair of huge synthetic objects, and what exactly differs between them';
  static override description =
    'Writes orig.o, patched.o and manifest.json into a folder. The objects are shaped like a real kernel (klpflow shape measures one); the manifest lists every change, so that the answer of diff can be graded. The same flags give the same bytes. Memory grows with symbols and relocations of tables, not with bytes.';
  static override examples = [
    '<%= config.bin %> <%= command.id %> --functions 50000 -o pair',
    '<%= config.bin %> <%= command.id %> --functions 500000 --size 4G --seed 7 -o pair',
    '<%= config.bin %> <%= command.id %> --functions 250000 --single-text --data 1 -o pair',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    output: Flags.string({
      char: 'o',
      description: 'folder for orig.o, patched.o and manifest.json',
      helpValue: 'DIR',
      required: true,
    }),
    functions: Flags.integer({
      description: 'functions in ORIG',
      helpValue: 'N',
      min: 1,
      max: 4_000_000,
      default: 50_000,
    }),
    seed: Flags.integer({
      description: 'decides everything that flags do not',
      helpValue: 'S',
      min: 0,
      max: 0xffffffff,
      default: 1,
    }),
    size: Flags.string({
      description: 'bytes of ORIG (500M, 4G), by as much debug information as that takes',
      helpValue: 'BYTES',
    }),
    debug: Flags.boolean({ description: 'debug information, as much as kernels have', exclusive: ['size'] }),
    relas: Flags.integer({
      description: 'about this many relocations without debug information, by shorter or longer functions',
      helpValue: 'N',
      min: 1,
    }),
    sections: Flags.integer({
      description: 'about this many sections: functions share those of their unit',
      helpValue: 'N',
      min: 1,
    }),
    'single-text': Flags.boolean({ description: 'all functions in one .text', exclusive: ['sections'] }),
    shape: Flags.string({
      description: `${Object.keys(SHAPES).join(', ')}, or a file from klpflow shape`,
      helpValue: 'NAME|FILE',
      default: DEFAULT_SHAPE,
    }),
    immediates: Flags.integer({
      description: 'functions with another number',
      helpValue: 'N',
      min: 0,
      default: CHANGES.immediates,
    }),
    'call-targets': Flags.integer({
      description: 'functions that call another one',
      helpValue: 'N',
      min: 0,
      default: CHANGES.callTargets,
    }),
    strings: Flags.integer({
      description: 'functions with another text',
      helpValue: 'N',
      min: 0,
      default: CHANGES.strings,
    }),
    instructions: Flags.integer({
      description: 'functions with one more instruction',
      helpValue: 'N',
      min: 0,
      default: CHANGES.instructions,
    }),
    'static-locals': Flags.integer({
      description: 'functions with a new static variable',
      helpValue: 'N',
      min: 0,
      default: CHANGES.staticLocals,
    }),
    'new-functions': Flags.integer({
      description: 'functions that are new',
      helpValue: 'N',
      min: 0,
      default: CHANGES.newFunctions,
    }),
    'removed-functions': Flags.integer({
      description: 'functions that are gone',
      helpValue: 'N',
      min: 0,
      default: CHANGES.removedFunctions,
    }),
    moves: Flags.integer({
      description: 'functions that only stand elsewhere',
      helpValue: 'N',
      min: 0,
      default: CHANGES.moves,
    }),
    data: Flags.integer({ description: 'variables with another initial value', helpValue: 'N', min: 0, default: 0 }),
    ambiguous: Flags.integer({
      description: 'functions rewritten so that nothing tells which variable they use',
      helpValue: 'N',
      min: 0,
      default: 0,
    }),
    'init-functions': Flags.integer({
      description: 'functions of .init.text with one more instruction',
      helpValue: 'N',
      min: 0,
      default: 0,
    }),
  };

  async run(): Promise<Manifest> {
    const { flags } = await this.parse(Synth);
    const bytes = flags.size === undefined ? undefined : byteCount('--size', flags.size);
    const at = (name: string): string => join(flags.output, name);
    try {
      mkdirSync(flags.output, { recursive: true });
    } catch (cause) {
      throw fileError(flags.output, cause, 'write');
    }
    const options = {
      functions: flags.functions,
      seed: flags.seed,
      shape: shapeOf(flags.shape),
      sections: flags.sections,
      relas: flags.relas,
      singleText: flags['single-text'],
      debug: bytes === undefined ? flags.debug : { bytes },
      changes: {
        immediates: flags.immediates,
        callTargets: flags['call-targets'],
        strings: flags.strings,
        instructions: flags.instructions,
        staticLocals: flags['static-locals'],
        newFunctions: flags['new-functions'],
        removedFunctions: flags['removed-functions'],
        moves: flags.moves,
        data: flags.data,
        initFunctions: flags['init-functions'],
        ambiguous: flags.ambiguous,
      },
    };
    const manifest = await writePair(options, at('orig.o'), at('patched.o'), at('manifest.json')).catch(
      (cause: unknown) => {
        // What cannot be made of these flags.
        throw cause instanceof RangeError ? new KlpflowError('usage', cause.message, {}, cause) : cause;
      },
    );
    for (const file of ['orig', 'patched'] as const) {
      const made = manifest[file];
      this.log(
        `${at(`${file}.o`)}: ${made.bytes} bytes, ${made.sections} sections, ${made.symbols} symbols, ${made.relas} relocations`,
      );
    }
    const { changed, new: added, removed, moved } = manifest.functions;
    this.log(
      `${at('manifest.json')}: of ${manifest.functions.total} functions ${changed.length} changed, ${added.length} new, ${removed.length} removed, ${moved.length} moved`,
    );
    return manifest;
  }
}

function shapeOf(value: string): Shape {
  const known = Object.hasOwn(SHAPES, value) ? SHAPES[value] : undefined;
  if (known !== undefined) return known;
  let shape: unknown;
  try {
    shape = JSON.parse(readFileSync(value, 'utf8'));
  } catch (cause) {
    throw new KlpflowError(
      'usage',
      `--shape ${value}: neither ${Object.keys(SHAPES).join(', ')} nor a file of JSON: ${(cause as Error).message}`,
      {},
      cause,
    );
  }
  if (!isShape(shape))
    throw new KlpflowError('usage', `--shape ${value}: not what klpflow shape prints (klpflow/shape@1)`);
  return shape;
}
