/** What `status` tells of builds: each tree with its stages, how far each came, and where what it said stands. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { endOf } from './build-log';
import { holderOf } from './lock';

export interface StageStatus {
  /** `unpack`, `configure`, `prepare`, `list-fs`, `compile-fs-pipe.o`: the name of its log. */
  name: string;
  /** `stopped`: killed with the run. */
  state: 'done' | 'failed' | 'stopped' | 'at work';
  /** Null where it did not end. */
  seconds: number | null;
  log: string;
}

/** Of what a tree is made, for people: its key is a digest. */
export interface TreeAbout {
  source: string;
  release: string;
  compiler: string;
  scope: string;
}

export interface TreeStatus {
  folder: string;
  /** Null in a folder of an earlier version's. */
  about: TreeAbout | null;
  /** When it was last used, in milliseconds since the epoch. */
  used: number;
  /** The process that works in it. */
  process: number | null;
  /** Whether the next patch finds it prepared. */
  prepared: boolean;
  /** In the order in which they ran. */
  stages: StageStatus[];
}

export const ABOUT = 'about.json';
/** Ends the name of what is being removed. */
export const REMOVED = '.removed';

/** Trees that are kept below a folder; the last used first. */
export function treesOf(builds: string): TreeStatus[] {
  const names = existsSync(builds) ? readdirSync(builds) : [];
  return names
    .filter((name) => !name.endsWith(REMOVED))
    .map((name) => join(builds, name))
    .filter((folder) => existsSync(join(folder, 'logs')))
    .map(treeOf)
    .sort((a, b) => b.used - a.used);
}

function treeOf(folder: string): TreeStatus {
  const process = holderOf(folder);
  return {
    folder,
    about: aboutOf(folder),
    used: Math.round(statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0),
    process,
    prepared: existsSync(join(folder, 'prepared')),
    stages: stagesOf(join(folder, 'logs'), process !== null),
  };
}

function aboutOf(folder: string): TreeAbout | null {
  try {
    return JSON.parse(readFileSync(join(folder, ABOUT), 'utf8')) as TreeAbout;
  } catch {
    return null;
  }
}

function stagesOf(logs: string, works: boolean): StageStatus[] {
  return readdirSync(logs)
    .filter((name) => name.endsWith('.log'))
    .map((name) => ({ name, log: join(logs, name), begun: statSync(join(logs, name)).birthtimeMs }))
    .sort((a, b) => a.begun - b.begun || (a.name < b.name ? -1 : 1))
    .map(({ name, log }): StageStatus => {
      const end = endOf(log);
      const state = end === undefined ? (works ? 'at work' : 'stopped') : end.status === 0 ? 'done' : 'failed';
      return { name: name.slice(0, -'.log'.length), state, seconds: end?.seconds ?? null, log };
    });
}
