/**
 * Both builds are compiled at one path: the patched files are put into the work tree, and taken back. A journal says what is in, so that a run that
 * was killed in between is put right by the next: the sources of ORIG are never another patch's.
 */
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ChangedFile } from './patch/apply';

interface Journal {
  /** Paths in the tree; what stood there lies in the folder `saved` under its number. */
  files: Array<{ path: string; added: boolean }>;
}

export class Swap {
  private readonly journal: string;
  private readonly saved: string;

  constructor(
    private readonly tree: string,
    work: string,
  ) {
    this.journal = join(work, 'swap.json');
    this.saved = join(work, 'saved');
  }

  /** Puts the patched files in. The originals are kept as they are, by their links. */
  put(files: readonly ChangedFile[]): void {
    rmSync(this.saved, { recursive: true, force: true });
    mkdirSync(this.saved, { recursive: true });
    const journal: Journal = { files: files.map(({ path, original }) => ({ path, added: original === null })) };
    journal.files.forEach(({ path, added }, i) => {
      if (!added) linkSync(join(this.tree, path), join(this.saved, String(i)));
    });
    replace(this.journal, JSON.stringify(journal));
    for (const { path, patched } of files) {
      const at = join(this.tree, path);
      if (patched === null) rmSync(at, { force: true });
      else {
        mkdirSync(dirname(at), { recursive: true });
        replace(at, Buffer.from(patched, 'latin1'));
      }
    }
  }

  /** Puts back what stood there; also what a run that was killed left. */
  takeBack(): void {
    if (!existsSync(this.journal)) return;
    const { files } = JSON.parse(readFileSync(this.journal, 'utf8')) as Journal;
    files.forEach(({ path, added }, i) => {
      const [at, saved] = [join(this.tree, path), join(this.saved, String(i))];
      if (added) rmSync(at, { force: true });
      else if (existsSync(saved)) {
        renameSync(saved, at);
        // As old as it was, make would take what was compiled of the other for newer.
        const now = new Date();
        utimesSync(at, now, now);
      }
    });
    rmSync(this.journal, { force: true });
    rmSync(this.saved, { recursive: true, force: true });
  }
}

function replace(path: string, content: string | Buffer): void {
  try {
    writeFileSync(`${path}.new`, content);
    renameSync(`${path}.new`, path);
  } catch (cause) {
    rmSync(`${path}.new`, { force: true });
    throw cause;
  }
}
