/**
 * What documents and comments name is there: a document that leads to a file of last year costs a newcomer more than none. Checked are
 * paths, links between documents, scripts, and every `name` in `file`.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { sources } from './support/imports';

const root = join(__dirname, '..');
const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
];
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Paths of the project, as documents write them; bugs.md counts from src/stages. */
const PATH = /`((?:src|test|workers|scripts|bench|docs|proto|\.ci|\.githooks)\/[\w./-]*|[a-z-]+(?:\/[\w-]+)+\.ts)`/g;
const isThere = (path: string): boolean =>
  [path, join('src/stages', path), join('src', path)].some((place) => existsSync(join(root, place))) ||
  // A pattern: `src/arch/NAME.ts`.
  /[A-Z]{4}\.(?:test\.)?ts$/.test(path);

test('paths that documents name are there', () => {
  const named = DOCUMENTS.flatMap((document) =>
    [...read(document).matchAll(PATH)].map(([, path]) => ({ document, path: path! })),
  );
  expect(named.filter(({ path }) => !isThere(path))).toEqual([]);
  expect(named.length).toBeGreaterThan(60);
});

test('links between documents lead somewhere', () => {
  const links = DOCUMENTS.flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, link]) => ({ document, link: link! })),
  );
  expect(links.filter(({ document, link }) => !existsSync(join(root, dirname(document), link)))).toEqual([]);
  expect(links.length).toBeGreaterThan(15);
});

test('a name that a document places in a file is there', () => {
  const placed = DOCUMENTS.flatMap((document) =>
    [
      ...read(document).matchAll(
        /`([A-Za-z]\w*(?:\.\w+)?)`(?: of| in|,| \()\s*`((?:src|workers|test)\/[\w./-]+\.ts)`/g,
      ),
    ].map(([, name, path]) => ({ document, name: name!, path: path! })),
  );
  const last = (name: string): string => name.split('.').at(-1)!;
  expect(placed.filter(({ name, path }) => !new RegExp(`\\b${last(name)}\\b`).test(read(path)))).toEqual([]);
  expect(placed.length).toBeGreaterThan(10);
});

test('scripts that documents name are there', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = DOCUMENTS.flatMap((document) =>
    [...read(document).matchAll(/`npm run ([\w:]+)/g)].map(([, name]) => name!),
  );
  expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
  expect(named.length).toBeGreaterThan(5);
});

test('paths that comments name are there', () => {
  const named = sources(root, ['src', 'workers', 'bench']).flatMap((file) =>
    [...read(file).matchAll(/(?:^|[\s`(])((?:src|test|workers|scripts)\/[\w./-]+\.(?:ts|mjs|json))/g)].map(
      ([, path]) => ({ file, path: path! }),
    ),
  );
  expect(named.filter(({ path }) => !existsSync(join(root, path)))).toEqual([]);
  expect(named.length).toBeGreaterThan(2);
});
