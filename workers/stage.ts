/**
 * The pool's thread: maps the inputs (`inputs.ts`), calls a stage function, keeps the result in the run directory (`recorded.ts`).
 */
import { resolve } from 'node:path';
import { threadId, workerData } from 'node:worker_threads';
import { diagnosticOf, KlpflowError } from '../src/diagnostics';
import { ElfObject } from '../src/elf';
import { fileIdentity } from '../src/files/mapped-file';
import { archOf } from '../src/arch';
import { moduleInfo } from '../src/kernel/modinfo';
import type { DialectName } from '../src/livepatch/formats';
import {
  contentDigest,
  decodeDigests,
  decodeInput,
  decodeOutcome,
  decodeSpecial,
  decodeTable,
  encodeDigests,
  encodeInput,
  encodeLivepatch,
  encodeOutcome,
  encodeSpecial,
  encodeTable,
  loadHash,
  openRecords,
  readRecords,
  threadCpuMs,
} from '../src/records';
import {
  SPECIAL_TRAITS,
  ScanTable,
  contentSymbols,
  digestShard,
  digestSpecials,
  readTable,
  restoreColumns,
  shardBounds,
} from '../src/stages/scan';
import { CheckedObject } from '../src/stages/checksum';
import { comparePairs, compareUncovered } from '../src/stages/compare';
import { areGaps } from '../src/stages/scan/gaps';
import { Side } from '../src/stages/side/side';
import { resolveTwins } from '../src/stages/declared-twins';
import { settleByAlignment } from '../src/stages/align';
import { profileEvidence, reportLosses } from '../src/stages/assess';
import { UseIndex } from '../src/stages/correlate';
import { usersOf } from '../src/stages/assess/references';
import { unitNames } from '../src/stages/unit-names';
import { explainSymbol } from '../src/stages/explain';
import { explainListed } from '../src/stages/explain/many';
import { keptTable, mustBe, open, sideOf, sidesOf, tableOf, traceableIn } from './inputs';
import type { Dialect } from './dialect';
import { withModuleExports } from './module-exports';
import { unpackFile } from './unpack-file';
import { kernelImage } from './kernel';
import { KLP, rehearseForKlp } from './klp';
import { KPATCH } from './kpatch';
import { counted } from './proof';
import { makeCopy } from './large-input';
import { keep, recorded, restoreSpecial, specialRecord } from './recorded';
import { ownProcess } from '../src/v8-flags';
import type { AnswerOf, Cost, InputFile, Reply, SharedWithThreads, TaskName, TaskOf } from '../src/pipeline/types';

type Outcome<N extends TaskName> = { answer: AnswerOf<N>; reused?: boolean; miss?: string | null };

/** Null outside of a thread. */
const shared = workerData as SharedWithThreads | null;
if (shared?.ownProcess === true) ownProcess();

/** Runs one task. Never throws: what goes wrong is an answer. */
export default async function run<N extends TaskName>({ name, task }: { name: N; task: TaskOf<N> }): Promise<Reply<N>> {
  const start = performance.timeOrigin + performance.now();
  const cpuBefore = threadCpuMs();
  try {
    if (shared !== null && Atomics.load(shared.closing, 0) === 1)
      throw new KlpflowError('interrupted', 'the run is over');
    await loadHash();
    const { answer, reused = false, miss = null } = (await HANDLERS[name](task)) as Outcome<N>;
    const cost: Cost = {
      start,
      end: performance.timeOrigin + performance.now(),
      cpu: threadCpuMs() - cpuBefore,
      thread: threadId,
      reused,
      miss,
    };
    return { answer, cost };
  } catch (thrown) {
    return { failed: diagnosticOf(changedInput(task) ?? thrown) };
  }
}

/** The likely cause of an error: a file that is being written looks damaged, too. */
function changedInput(task: TaskOf<TaskName>): unknown {
  const inputs: readonly InputFile[] =
    'pair' in task
      ? [task.pair.orig, task.pair.patched]
      : 'object' in task
        ? [task.object]
        : 'input' in task
          ? [task.input]
          : [];
  try {
    for (const input of inputs) mustBe(fileIdentity(input.path), input);
    return undefined;
  } catch (changed) {
    return changed;
  }
}

/** A call, a load relative to %rip, a conditional jump: what they need of the decoder is compiled when it is first used. */
const SOME_CODE = Uint8Array.of(0xe8, 0, 0, 0, 0, 0x48, 0x8b, 0x05, 0, 0, 0, 0, 0x74, 0xf2);

const DIALECTS: Record<DialectName, Dialect> = { klp: KLP, kpatch: KPATCH };

const HANDLERS: { [N in TaskName]: (task: TaskOf<N>) => Outcome<N> | Promise<Outcome<N>> } = {
  identify({ input, place, fresh }) {
    const { path, identity, copy } = input;
    const found = recorded(place, 'input', fresh, (messages) => decodeInput(messages[0]));
    if (copy !== null) makeCopy(path, copy, place.scratch, found.value?.digest);
    const object = open(input);
    archOf(object.machine, path);
    const module = moduleInfo(object);
    if (module.livepatch)
      throw new KlpflowError(
        'finished-livepatch',
        `${path} is a finished livepatch (its .modinfo has livepatch=Y), not an object of a build`,
        { object: path, section: '.modinfo' },
      );
    const digest = found.value?.digest ?? contentDigest(object.bytes);
    if (found.value === undefined)
      keep(input, place, 'input', [encodeInput({ path: resolve(path), ...identity, digest })]);
    return {
      answer: {
        digest,
        machine: object.machine,
        little: object.little,
        load: { symbols: object.symbolCount, sections: object.sectionCount, relas: object.loadedRelas },
        module,
      },
      reused: found.value !== undefined,
      miss: found.miss,
    };
  },

  readTable({ input, place, fresh }) {
    const object = open(input);
    const found =
      place === null
        ? { miss: 'absent' }
        : recorded(
            place,
            'table',
            fresh,
            (messages: Iterable<Uint8Array>) => {
              const recordedTable = decodeTable(messages, (shape) => new ScanTable(shape));
              // Columns that fit together only in part trap in the WebAssembly: a record that is damaged, whatever its trailer says.
              if (recordedTable !== undefined) restoreColumns(object, recordedTable);
              return recordedTable;
            },
            openRecords,
          );
    let table = found.value;
    if (table === undefined) {
      table = readTable(object);
      if (place !== null)
        keep(input, place, 'table', encodeTable(table, object.machine, object.little, SPECIAL_TRAITS));
    }
    const id = keptTable(table);
    const answer = {
      table: { id, shape: table.shape, memory: table.memory },
      bounds: shardBounds(table),
      bytes: input.identity.size,
    };
    return { answer, reused: found.value !== undefined, miss: found.miss };
  },

  keepTable({ object, place }) {
    const { machine, little } = open(object);
    keep(object, place, 'table', encodeTable(tableOf(object), machine, little, SPECIAL_TRAITS));
    return { answer: {}, miss: 'absent' };
  },

  digest({ object, from, to, place, fresh }) {
    const table = tableOf(object);
    const symbols = contentSymbols(table, from, to);
    const found = recorded(place, 'digest', fresh, (messages) => {
      const shard = decodeDigests(messages[0], symbols, table.digest);
      return shard?.from === from && shard.to === to ? shard : undefined;
    });
    const uses = found.value?.uses ?? digestShard(open(object), table, from, to);
    if (found.value === undefined)
      keep(object, place, 'digest', [encodeDigests({ from, to, uses }, symbols, table.digest)]);
    return { answer: { uses, bytes: (to - from) * 16 }, reused: found.value !== undefined, miss: found.miss };
  },

  special({ object, place, fresh, structSizes }) {
    const table = tableOf(object);
    const found = recorded(place, 'special', fresh, (messages) => decodeSpecial(messages[0]));
    if (found.value !== undefined && areGaps(found.value.gaps, table) && restoreSpecial(table, found.value)) {
      const { uses, unknown, traceKnown, gaps } = found.value;
      return { answer: { uses, unknown, traceKnown, gaps }, reused: true };
    }
    const answer = digestSpecials(open(object), table, structSizes);
    keep(object, place, 'special', [encodeSpecial({ ...specialRecord(table), ...answer })]);
    return { answer, miss: found.miss };
  },

  unitNames({ input }) {
    return { answer: unitNames(ElfObject.open(input.copy ?? input.path, input.path)) };
  },

  unit({ orig, patched, name, place, fresh, dialect, parentName, ftrace, livepatch, ...given }) {
    const found = recorded(place, 'outcome', fresh, (messages) => {
      const known = decodeOutcome(messages[0])?.outcome as AnswerOf<'unit'> | undefined;
      const whole =
        livepatch === null ||
        known?.made !== true ||
        typeof readRecords(livepatch.place.file, 'livepatch', livepatch.place.key) !== 'string';
      return whole ? known : undefined;
    });
    if (found.value !== undefined) return { answer: found.value, reused: true };
    // Not kept open: a tree has thousands.
    const [a, b] = [orig, patched].map((input) => {
      const object = ElfObject.open(input.copy ?? input.path, input.path);
      mustBe(fileIdentity(input.path), input);
      return object;
    }) as [ElfObject, ElfObject];
    const { structSizes } = given;
    const facts = { structSizes, unitHashes: new Map(given.unitHashes), constants: new Map(given.constants) };
    const traceable = traceableIn(ftrace, parentName);
    const { answer, made } = DIALECTS[dialect].unit({
      orig: a,
      patched: b,
      name,
      facts,
      objectName: parentName,
      traceable,
      livepatch,
    });
    mustBe(fileIdentity(patched.path), patched);
    // The object first: who finds the outcome relies on it.
    if (livepatch !== null && made !== null) keep(orig, livepatch.place, 'livepatch', [encodeLivepatch(made)]);
    keep(orig, place, 'outcome', [encodeOutcome({ outcome: answer, options: { unit: name } })]);
    return { answer, miss: found.miss };
  },

  users({ object, targets }) {
    const found = usersOf(new Side(open(object), tableOf(object)), new Set(targets));
    const users = new Set([...found.values()].flat().map(({ symbol }) => symbol));
    users.delete(0);
    return { answer: { users: [...users].sort((a, b) => a - b) } };
  },

  twins({ orig, patched, twins, structSizes }) {
    return { answer: { pairs: resolveTwins(sideOf(orig, structSizes), sideOf(patched, structSizes), twins) } };
  },

  align({ pair, uses, groups }) {
    const { orig, patched, pairing } = sidesOf(pair);
    const index = {
      orig: new UseIndex(uses.orig, orig.table.symbols),
      patched: new UseIndex(uses.patched, patched.table.symbols),
    };
    return { answer: { open: settleByAlignment(pairing, orig, patched, index, groups) } };
  },

  warm({ objects, structSizes }) {
    const sides = objects.map((object) => sideOf(object, structSizes));
    const disassembler = sides[0]!.arch.disassembler();
    for (const { offset } of disassembler.decode(SOME_CODE)) disassembler.format(SOME_CODE, offset);
    return { answer: {} };
  },

  compare({ pair, pairs, detail }) {
    const { orig, patched, pairing } = sidesOf(pair);
    return { answer: { verdicts: comparePairs(pairing, orig, patched, pairs, detail) } };
  },

  losses({ pair, objectName }) {
    return { answer: { losses: reportLosses({ ...sidesOf(pair), objectName }) } };
  },

  uncovered({ pair, gaps }) {
    const { orig, patched, pairing } = sidesOf(pair);
    return { answer: { uncovered: compareUncovered(pairing, orig, patched, gaps) } };
  },

  assess({ pair, ftrace, dialect, ...input }) {
    const { orig, patched, pairing } = sidesOf(pair);
    const compared = { ...input, traceable: traceableIn(ftrace, input.objectName), pairing, orig, patched };
    return { answer: DIALECTS[dialect].assess(compared) };
  },

  profile({ pair, verdicts }) {
    return { answer: profileEvidence({ ...sidesOf(pair), verdicts }) };
  },

  extract({ pair, place, dialect, ...task }) {
    const { objectName, included, brought } = task;
    const answer = DIALECTS[dialect].extract(task, { ...sidesOf(pair), objectName, included, brought });
    mustBe(fileIdentity(pair.patched.path), pair.patched);
    keep(pair.orig, place, 'livepatch', [encodeLivepatch(answer)]);
    return { answer };
  },

  census({ object, from, to, seen }) {
    return { answer: counted(new Side(open(object), tableOf(object)), seen, from, to) };
  },

  rehearse({ pair, included, brought, ...task }) {
    return { answer: rehearseForKlp(task, { ...sidesOf(pair), objectName: task.objectName, included, brought }) };
  },

  kernelImage,

  async checksum({ input, memory }) {
    await CheckedObject.share(open(input), memory).hashShards();
    return { answer: {} };
  },

  unpackFile,
  moduleExports: withModuleExports,

  explain({ pair, symbol, context }) {
    const { orig, patched, pairing } = sidesOf(pair);
    return { answer: explainSymbol(pairing, orig, patched, symbol, context) };
  },

  explainListed({ pair, wanted, context }) {
    const { orig, patched, pairing } = sidesOf(pair);
    return { answer: { explanations: explainListed(pairing, orig, patched, wanted, context) } };
  },
};
