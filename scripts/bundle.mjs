/**
 * How klpflow is bundled: CommonJS for Node 20, one file an entry, minified but with its names.
 *
 * Start-up time is part of the product, hence the plugins: each takes away work that a run does not need.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** @oclif/core loads all of itself at its first import. Here each of its modules is loaded at its first use instead. */
const lazyOclif = {
  name: 'lazy-oclif',
  setup(build) {
    build.onLoad({ filter: /node_modules\/@oclif\/core\/lib\/.*\.js$/ }, ({ path: file }) => {
      let source = fs.readFileSync(file, 'utf8');
      for (const [name, from, to] of OCLIF_PATCHES) {
        if (!file.endsWith(name)) continue;
        if (!source.includes(from)) throw new Error(`@oclif/core changed: ${name} no longer says ${from}`);
        source = source.replace(from, to);
      }
      return { contents: lazyRequires(source), loader: 'js' };
    });
  },
};

const OCLIF_PATCHES = [
  // Compares Node's version with a package.json of its own, which a bundle has not.
  ['/lib/index.js', '\ncheckNodeVersion();', ''],
  // Sorts the ids of commands, which are ASCII, by locale: the first use of ICU takes 6 ms.
  ['/lib/config/plugin.js', 'a.id.localeCompare(b.id)', '(a.id < b.id ? -1 : 1)'],
];

/** Rewrites the imports of a module that TypeScript compiled to CommonJS: a `require` runs when its value is first asked for. */
export function lazyRequires(source) {
  const names = [];
  const lazy = source
    .replace(/^(?:const|var) (\w+_\d+) = ((?:__import(?:Default|Star)\()?require\("[^"]+"\)\)?);$/gm, (_, name, load) => {
      names.push(name);
      return `let ${name}$; function ${name}$$() { return ${name}$ ??= ${load}; }`;
    })
    .replace(/^exports\.(\w+) = (__importStar\(require\("[^"]+"\)\));$/gm, (_, name, load) =>
      `Object.defineProperty(exports, "${name}", { enumerable: true, get: function () { return ${load}; } });`);
  if (names.length === 0) return lazy;
  return lazy.replace(new RegExp(`\\b(${names.join('|')})\\b(?!\\$)`, 'g'), (name) => `(${name}$$())`);
}

/** piscina starts its threads from a `worker.js` beside itself; in dist/ that name is ours, so its own is `pool-worker.js`. */
const piscinaThread = {
  name: 'piscina-thread',
  setup(build) {
    build.onLoad({ filter: /node_modules\/piscina\/dist\/index\.js$/ }, ({ path: file }) => {
      const source = fs.readFileSync(file, 'utf8');
      const contents = source.replace("(__dirname, 'worker.js')", "(__dirname, 'pool-worker.js')");
      if (contents === source) throw new Error("piscina changed: dist/index.js no longer starts 'worker.js'");
      return { contents, loader: 'js' };
    });
  },
};

const standIn = (name) => path.join(root, `scripts/stand-ins/${name}.cjs`);

export const options = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  minifySyntax: true,
  minifyWhitespace: true,
  charset: 'ascii',
  legalComments: 'external',
  logLevel: 'warning',
  alias: {
    '@mapbox/node-pre-gyp': standIn('node-pre-gyp'),
    debug: standIn('debug'),
    'wsl-utils': standIn('wsl-utils'),
  },
  // iced-x86 is WebAssembly and loaded by those who decode; piscina loads @napi-rs/nice, and oclif typescript, only when asked to.
  external: ['iced-x86', '@napi-rs/nice', 'typescript', '#worker', 'mmap-io/package.json'],
  plugins: [lazyOclif, piscinaThread],
};

/** Bundles `source` and puts the result in place in one step: others may be running the old one. */
export async function bundle(source, outfile) {
  const result = await esbuild.build({ ...options, entryPoints: [source], outfile, write: false });
  for (const { path: file, text } of result.outputFiles) replace(file, Buffer.from(file.endsWith('.js') ? ascii(text) : text));
}

/** esbuild leaves regular expressions as they are; the launcher reads the bundle as Latin-1. */
function ascii(code) {
  return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Writes `file` by renaming a finished one over it. */
export function replace(file, contents) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(fresh, contents, { mode: contents[0] === 0x23 /* #! */ ? 0o755 : 0o644 });
  fs.renameSync(fresh, file);
}
