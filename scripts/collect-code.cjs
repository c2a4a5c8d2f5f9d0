/** Loaded before klpflow in the main thread and in each other: saves the code that V8 has compiled by the end as NAME.cache beside NAME.js. */
const fs = require('node:fs');
const path = require('node:path');
const v8 = require('node:v8');
const vm = require('node:vm');
const { isMainThread, MessagePort } = require('node:worker_threads');

// V8 takes a cache only under the flags that it was made with; a run changes them when all threads have loaded theirs.
v8.setFlagsFromString = () => undefined;

const scripts = [];

vm.Script = class extends vm.Script {
  constructor(source, options) {
    // A cache of an earlier build would hide what is compiled now. V8 keeps the name in the cache and takes it for the file's wherever
    // that is installed: a trace would name a folder of the machine that built it.
    super(source, { ...options, filename: `dist/${path.basename(options.filename)}`, cachedData: undefined });
    scripts.push({ script: this, file: options.filename, digest: source.match(/\/\/([0-9a-f]{16})\n/)[1] });
  }
};

function save() {
  for (const { script, file, digest } of scripts) {
    const cache = file.replace(/\.js$/, '.cache');
    const fresh = `${cache}.${process.pid}.tmp`;
    fs.writeFileSync(fresh, Buffer.concat([Buffer.from(digest), script.createCachedData()]));
    fs.renameSync(fresh, cache);
  }
}

if (isMainThread) process.on('exit', save);
else {
  // A pool ends its threads without a word: after each answer a thread has done some more.
  const { postMessage } = MessagePort.prototype;
  MessagePort.prototype.postMessage = function (...message) {
    save();
    return postMessage.apply(this, message);
  };
}
