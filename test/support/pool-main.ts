/** A program that maps a file in a thread of piscina's pool and prints its first bytes. Bundled and run by build.test.ts. */
import { join } from 'node:path';
import { Piscina } from 'piscina';

async function main(): Promise<void> {
  const pool = new Piscina({ filename: join(__dirname, 'thread.js'), minThreads: 2, maxThreads: 2 });
  const file = process.argv[2]!;
  const answers = await Promise.all([0, 1, 2, 3].map((start) => pool.run({ file, start }, { name: 'peek' })));
  await pool.destroy();
  console.log(JSON.stringify(answers));
}

void main();
