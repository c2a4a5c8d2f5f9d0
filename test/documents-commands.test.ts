/**
 * Every command of the documents is one that works. Those in blocks are run as they stand, on Debian's kernel; of those within text the command and every
 * flag must exist. The silent failure: a reader copies a line of a year ago and is told "Nonexistent flag", and believes nothing else that the document says.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { CORPUS, kernelFiles, skipWithout, unavailable, unpack } from './support/corpus';
import { MAIN } from './support/run-klpflow';
import { tempFolder } from './support/temp-folder';

const root = join(__dirname, '..');
const folder = tempFolder();
const DOCUMENTS = ['README.md', 'CONTRIBUTING.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)];
const PROGRAM = /^(?:klpflow|npm|npx|ld|insmod|rmmod|cat|echo|ls|apt|git|\/usr\/src\/linux)\b/;
const KERNEL = 'debian-6.12-gcc';
const UNITS = join(CORPUS, KERNEL);
const missing = unavailable(KERNEL, true);

/** Commands of a document's blocks, each on one line without its comment. Blocks of a language other than a shell's hold none. */
function commandsOf(document: string): string[] {
  const blocks: string[] = [];
  let language: string | undefined;
  for (const line of readFileSync(join(root, document), 'utf8').split('\n')) {
    const fence = /^ *```(\w*)/.exec(line);
    if (fence !== null) {
      if (language === undefined) blocks.push('');
      language = language === undefined ? fence[1] : undefined;
    } else if (language === '' || language === 'sh') blocks.push(`${blocks.pop()}${line}\n`);
  }
  return blocks.flatMap((block) =>
    block
      .replace(/\\\n\s*/g, '')
      .split('\n')
      .map((line) =>
        line
          .trim()
          .replace(/^\$ /, '')
          .replace(/\s+#.*$/, ''),
      )
      .filter((line) => PROGRAM.test(line)),
  );
}

/** What cannot be run here, and why. */
const NOT_RUN: ReadonlyArray<[pattern: RegExp, why: string]> = [
  [/^apt /, 'installs packages'],
  [
    /^npm (run demo|pack|install)/,
    'test/package.test.ts packs and installs; the demo builds the tree that this test runs in',
  ],
  [
    /^(insmod|rmmod|cat|echo|ls) .*livepatch/,
    'needs the kernel and root: test/boot and test/e2e load, look and take back',
  ],
  [/^klpflow build /, 'needs the source package: test/e2e/debian.test.ts, by these words'],
  [/sign-file/, "the kernel's own program; test/livepatch/signature.test.ts compares with openssl"],
  [/^klpflow (matrix|worker) /, 'needs a fleet: test/fleet runs both'],
  [/overlayfs/, 'needs the module of the stock kernel: test/e2e/debian.test.ts'],
  [/^(ld -r|klpflow diff orig patched --format kpatch)/, "kpatch's flow: test/tools/kpatch-tree.test.ts"],
];

/** Where the machine's own files would be named, those of the corpus are. */
const here = (command: string): string =>
  command.replaceAll('/sys/kernel/btf/vmlinux', 'types.btf').replace(/\/boot\/vmlinuz-6\.12\.\S+/, 'vmlinuz');

const blocks = DOCUMENTS.flatMap((document) => commandsOf(document).map((command) => [document, command] as const));
const runnable = [
  ...new Map(
    blocks
      .filter(([, command]) => !NOT_RUN.some(([pattern]) => pattern.test(command)))
      .reverse()
      .map(([document, command]) => [command, document] as const),
  ),
].reverse();

beforeAll(() => {
  if (missing !== undefined) return;
  const { orig, patched } = unpack(KERNEL, 'string-change');
  const place = (from: string, name: string): void => {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    symlinkSync(from, join(folder, name));
  };
  place(orig, 'orig/vmlinux.o');
  place(patched, 'patched/vmlinux.o');
  place(join(UNITS, 'vmlinuz'), 'vmlinuz');
  const { symvers, btf, vmlinux } = kernelFiles(KERNEL);
  place(symvers, 'Module.symvers');
  place(btf, 'types.btf');
  place(vmlinux, 'vmlinux');
  execFileSync('tar', ['--zstd', '-xf', join(UNITS, 'units.tar.zst'), '-C', folder, './net__ipv6__raw']);
  for (const side of ['orig', 'patched']) {
    mkdirSync(join(folder, side, 'net/ipv6'), { recursive: true });
    copyFileSync(join(folder, 'net__ipv6__raw', `${side}.o`), join(folder, side, 'net/ipv6/raw.o'));
  }
});

test('what is not run has a reason that is met', () => {
  expect(NOT_RUN.filter(([pattern]) => !blocks.some(([, command]) => pattern.test(command)))).toEqual([]);
  expect(runnable.length).toBeGreaterThan(15);
});

test.each(runnable)('%s (%s)', { timeout: 120_000 }, (command) => {
  // vitest's each has no context: absence is told by the test below.
  if (missing !== undefined) return;
  const { status, stdout, stderr } = spawnSync(
    'bash',
    ['-c', `klpflow() { ${process.execPath} ${MAIN} "$@"; }; ${here(command)}`],
    {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, KLPFLOW_CACHE_DIR: join(folder, 'cached') },
    },
  );
  expect(status, `${stdout.slice(0, 2000)}\n${stderr.slice(-2000)}`).toBe(0);
});

test('there was a kernel to run them on', (context) => skipWithout(context, missing));

interface Manifest {
  commands: Record<string, { flags: Record<string, { char?: string; allowNo?: boolean }> }>;
}

test('commands and flags that a text names are there', () => {
  const { commands } = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8')) as Manifest;
  const named = DOCUMENTS.flatMap((document) =>
    [...readFileSync(join(root, document), 'utf8').matchAll(/`klpflow ([^`\n]+)`/g)].map(([, words]) => ({
      document,
      words: words!,
    })),
  );
  const wrong = named.filter(({ words }) => {
    const id = Object.keys(commands)
      .sort((a, b) => b.length - a.length)
      .find((name) => `${words} `.startsWith(`${name.replaceAll(':', ' ')} `));
    if (id === undefined) return !/^(?:objtool klp$|[A-Z]|help)/.test(words);
    const { flags } = commands[id]!;
    return [...words.matchAll(/(?:^|\s)--([a-z-]+)/g)].some(
      ([, flag]) => !Object.hasOwn(flags, flag!) && flags[flag!.replace(/^no-/, '')]?.allowNo !== true,
    );
  });
  expect(wrong).toEqual([]);
  expect(named.length).toBeGreaterThan(40);
  expect(existsSync(MAIN)).toBe(true);
});
