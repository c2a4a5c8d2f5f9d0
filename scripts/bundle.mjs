/**
 * How klpflow is bundled: CommonJS for Node 20, one file an entry, minified but with its names.
 *
 * Start-up time is part of the product: patches and stand-ins take away work that a run does not need.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Lines of packages that a bundle needs otherwise: file, what it says, what it shall say. */
const PATCHES = [
  // Compares Node's version with a package.json of its own, which a bundle has not.
  ['@oclif/core/lib/index.js', '\ncheckNodeVersion();', ''],
  // Sorts the ids of commands, which are ASCII, by locale: the first use of ICU takes 6 ms.
  ['@oclif/core/lib/config/plugin.js', 'a.id.localeCompare(b.id)', '(a.id < b.id ? -1 : 1)'],
  // Starts its threads from a `worker.js` beside itself; in dist/ that name is ours.
  ['piscina/dist/index.js', "(__dirname, 'worker.js')", "(__dirname, 'pool-worker.js')"],
  // dist/ has the file, for bundles that run as scripts, too.
  [
    'iced-x86/iced_x86.js',
    "require('path').join(__dirname, 'iced_x86_bg.wasm')",
    "require('path').join(__dirname, 'iced_x86_bg.wasm')",
  ],
];

/** Applies the patches, and lets packages make at its first use what they make at the first import. */
const packages = {
  name: 'packages',
  setup(build) {
    build.onLoad({ filter: /node_modules\/(@oclif\/core\/lib|piscina\/dist|iced-x86)\/.*\.js$/ }, ({ path: file }) => {
      let source = fs.readFileSync(file, 'utf8');
      for (const [name, from, to] of PATCHES) {
        if (!file.endsWith(`/node_modules/${name}`)) continue;
        if (!source.includes(from)) throw new Error(`${name} changed: it no longer says ${from.trim()}`);
        source = source.replace(from, to);
      }
      const lazy = file.includes('/@oclif/')
        ? lazyRequires
        : file.includes('/iced-x86/')
          ? lazyEnums
          : (unchanged) => unchanged;
      return { contents: lazy(source), loader: 'js' };
    });
  },
};

/** Rewrites the imports of a module that TypeScript compiled to CommonJS: a `require` runs when its value is first asked for. */
export function lazyRequires(source) {
  const names = [];
  const lazy = source
    .replace(
      /^(?:const|var) (\w+_\d+) = ((?:__import(?:Default|Star)\()?require\("[^"]+"\)\)?);$/gm,
      (_, name, load) => {
        names.push(name);
        return `let ${name}$; function ${name}$$() { return ${name}$ ??= ${load}; }`;
      },
    )
    .replace(
      /^exports\.(\w+) = (__importStar\(require\("[^"]+"\)\));$/gm,
      (_, name, load) =>
        `Object.defineProperty(exports, "${name}", { enumerable: true, get: function () { return ${load}; } });`,
    );
  if (names.length === 0) return lazy;
  return lazy.replace(new RegExp(`\\b(${names.join('|')})\\b(?!\\$)`, 'g'), (name) => `(${name}$$())`);
}

/** Rewrites the enums of iced-x86, 41 tables of names and numbers that take longer than its WebAssembly: each is made when it is first asked for. */
export function lazyEnums(source) {
  const lazy = source.replace(
    /^module\.exports\.(\w+) = (Object\.freeze\(\{[^]*?\}\));$/gm,
    (_, name, table) => `lazyEnum("${name}", function () { return ${table}; });`,
  );
  if (lazy === source) throw new Error('iced-x86 changed: it has no enums of the known form');
  return `function lazyEnum(name, make) { Object.defineProperty(module.exports, name, { enumerable: true, configurable: true, get: function () {
    const value = make();
    Object.defineProperty(module.exports, name, { enumerable: true, value });
    return value;
  } }); }\n${lazy}`;
}

/** Rewrites the library's index for the command line: a part of it is loaded when a command first asks for something of it, else `status` loads the compiler's half, too. */
export function lazyExports(source) {
  const parts = [...source.matchAll(/^export (type )?\{([^}]*)\} from '([^']+)';$/gm)];
  const rest = source.replace(/^export (type )?\{[^}]*\} from '[^']+';$|\/\*\*[^]*?\*\//gm, '').trim();
  if (rest !== '') throw new Error(`src/index.ts has more than exports of other files: ${rest.slice(0, 80)}`);
  const getters = parts.flatMap(([, types, names, file]) =>
    types !== undefined
      ? []
      : names
          .split(',')
          .map((name) => name.trim())
          .filter((name) => name !== '' && !name.startsWith('type '))
          .map((name) => {
            const [inside, outside = inside] = name.split(' as ');
            return `get ${outside}() { return require(${JSON.stringify(file)}).${inside}; }`;
          }),
  );
  return `module.exports = {\n${getters.join(',\n')}\n};`;
}

const library = {
  name: 'library',
  setup(build) {
    build.onLoad({ filter: /\/src\/index\.ts$/ }, ({ path: file }) => ({
      contents: lazyExports(fs.readFileSync(file, 'utf8')),
      loader: 'js',
    }));
  },
};

/** Decoders of kernel images: most runs need none of them. */
export const DECODERS = ['zstddec', 'lz4js', 'seek-bzip', 'xz-decompress', '@bokuweb/zstd-wasm', 'fflate'];

/** Packages that are files of their own in dist/, loaded when they are first needed: 100 kB more in a bundle take every thread time to load. */
export const LATE_PACKAGES = [
  ...DECODERS,
  'iced-x86',
  'yaml',
  'ajv/dist/2020',
  'bullmq',
  'ioredis',
  '@aws-sdk/client-s3',
];

/** Has a bundle ask for a package's file when it first needs it. */
const latePackages = (names) => ({
  name: 'late-packages',
  setup(build) {
    const dist = path.relative(path.dirname(build.initialOptions.outfile), path.join(root, 'dist'));
    build.onResolve({ filter: new RegExp(`^(${names.join('|')})$`) }, ({ path: name }) => ({
      path: `./${path.join(dist, name)}.js`,
      external: true,
    }));
  },
});

/** What BullMQ loads only when it is asked to: other stores than Redis, telemetry, and a faster msgpack. */
const FOREIGN = ['pg', 'redis', 'bullmq-otel', 'msgpackr-extract'];

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
  // dist/THIRD-PARTY-LICENSES.txt has them all.
  legalComments: 'none',
  logLevel: 'warning',
  alias: {
    '@mapbox/node-pre-gyp': standIn('node-pre-gyp'),
    debug: standIn('debug'),
    'wsl-utils': standIn('wsl-utils'),
    // As ES modules, of which the bundle has what is used; CommonJS would bring all operators, and load them.
    rxjs: path.join(root, 'node_modules/rxjs/dist/esm/index.js'),
  },
  // piscina loads @napi-rs/nice, and oclif typescript, only when asked to; @napi-rs/lzma is a binary.
  external: ['@napi-rs/lzma', '@napi-rs/nice', 'typescript', ...FOREIGN, '#worker', '#cell', 'mmap-io/package.json'],
  // By this a record of the run directory knows the code that made it; see src/records/file.ts.
  define: {
    KLPFLOW_PRODUCER: JSON.stringify(
      `${JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).version} ${sourceDigest()}`,
    ),
  },
  plugins: [packages, latePackages(LATE_PACKAGES)],
  // `import()` of a decoder's file becomes a `require`: a bundle that is run as a script (src/launch.ts) has no loader of modules before Node 20.10.
  supported: { 'dynamic-import': false },
};

/** What differs for a bundle that nearly every run decodes with: it has iced-x86 within, so that V8's code cache holds that, too. */
export const DECODING = {
  plugins: [packages, latePackages(LATE_PACKAGES.filter((name) => name !== 'iced-x86'))],
};

/** What differs for the command line. */
export const COMMANDS = { plugins: [library, packages, latePackages(LATE_PACKAGES)] };

/** Digest of all that decides what a run computes: the sources, and the versions of the packages they use. */
function sourceDigest() {
  const files = ['src', 'workers', 'proto'].flatMap((folder) =>
    fs.readdirSync(path.join(root, folder), { recursive: true }).map((name) => path.join(folder, name)),
  );
  const digest = createHash('sha256');
  for (const file of [...files, 'package-lock.json'].filter((name) => !name.includes('generated')).sort()) {
    if (fs.statSync(path.join(root, file)).isFile())
      digest.update(`${file}\0`).update(fs.readFileSync(path.join(root, file)));
  }
  return digest.digest('hex').slice(0, 16);
}

/** Bundles `source` and puts the result in place in one step: others may be running the old one. @returns paths of what is in it, from the root */
export async function bundle(source, outfile, more = {}) {
  const result = await esbuild.build({
    ...options,
    ...more,
    entryPoints: [source],
    outfile,
    write: false,
    metafile: true,
  });
  for (const { path: file, text } of result.outputFiles)
    replace(file, Buffer.from(file.endsWith('.js') ? signed(ascii(atFirstUse(text))) : text));
  return Object.keys(result.metafile.inputs);
}

/** Modules of Node that take a thread milliseconds to load and that most runs do not need. */
const LATE = ['crypto', 'fs/promises', 'child_process'];

/** Loads those modules where they are used. */
export function atFirstUse(code) {
  for (const name of LATE) {
    const load = `require("node:${name}")`;
    for (const [declared, variable] of code.matchAll(
      new RegExp(`\\b(import_\\w+)=${load.replace(/[()]/g, '\\$&')}`, 'g'),
    )) {
      // In brackets: `new require(...).X509Certificate` would be a call of require.
      code = code.replace(declared, `${variable}=null`).replace(new RegExp(`\\b${variable}\\.`, 'g'), `(${load}).`);
    }
  }
  return code;
}

/** Ends the code in a digest of it, by which the launcher knows whether a code cache belongs to it: V8 compares lengths only. */
function signed(code) {
  return `${code}//${createHash('sha256').update(code).digest('hex').slice(0, 16)}\n`;
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
